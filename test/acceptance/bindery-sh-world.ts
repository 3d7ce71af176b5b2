import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { after } from 'node:test'
import { needs, needsRoot } from '../helpers/programs.ts'
import { folderInMemory } from '../helpers/temporary.ts'

/** Where the tests of bindery-sh work: trees, a repository with two bundles, keys, one root. */
export const work = folderInMemory('bindery-sh-')
after(() => rmSync(work, { recursive: true }))

export const client = resolve('dist/bindery-sh')
export const root = join(work, 'root')

/** Runs a line of bash in `work`. */
export function sh(script: string): string {
  const env = { ...process.env, PATH: `${resolve('bin')}:${process.env['PATH'] ?? ''}` }
  return execFileSync('bash', ['-eu', '-o', 'pipefail', '-c', script], {
    cwd: work,
    env,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

type Ran = { readonly status: number | null; readonly stdout: string; readonly stderr: string }

/** Servers of this process have to answer meanwhile. */
export async function run(path: string, ...args: readonly string[]): Promise<Ran> {
  const child = spawn(join(path, 'sh'), [client, '-R', root, ...args], {
    cwd: work,
    env: { PATH: path },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let [stdout, stderr] = ['', '']
  child.stdout.on('data', (bytes: Buffer) => (stdout += bytes.toString('latin1')))
  child.stderr.on('data', (bytes: Buffer) => (stderr += bytes.toString('latin1')))
  const status = await new Promise<number | null>((done) => child.once('close', done))
  return { status, stdout, stderr }
}

export async function ran(wanted: number, path: string, ...args: readonly string[]): Promise<Ran> {
  const it = await run(path, ...args)
  assert.equal(it.status, wanted, `${args.join(' ')}\n${it.stdout}${it.stderr}`)
  return it
}

/** A root of the first release that follows what is at the addresses. */
export function newRoot(urls: readonly string[], ...more: readonly string[]): void {
  sh('rm -rf root && cp -a OLD root && mkdir -p conf')
  configure(urls, ...more)
}

export function configure(urls: readonly string[], ...more: readonly string[]): void {
  const lines = [...urls.map((url) => `url ${url}`), `key /../bundles.pub`, 'channel base/amd64 base-1.0-20260101-amd64', ...more]
  writeFileSync(join(work, 'conf/bindery-sh.conf'), `# of the test\n\n${lines.join('\n')}\n`)
}

export const conf = ['-f', join(work, 'conf/bindery-sh.conf')]
export const firstBundle = 'base-1.0-20260101-amd64_to_base-1.1-20260201-amd64.sh'
export const secondBundle = 'base-1.1-20260201-amd64_to_base-1.2-20260301-amd64.sh'

/** Lists and trees after the first and after the second bundle lie in `one` and `two`. */
export function makeReleases(): void {
  if (needsRoot().skip !== undefined || needs('mtree', 'setfattr', 'getfattr').skip !== undefined) return
  sh(`'${resolve('test/acceptance/trees.sh')}' OLD NEW
    for tree in OLD NEW; do
      setfattr -x user.origin $tree/usr/share/doc/numbers 2>/dev/null || true
      touch -r $tree/usr/share/doc/page1 $tree/usr/share/doc
    done
    cp -a NEW LAST && echo later >LAST/usr/share/doc/later && touch -r NEW/usr/share/doc LAST/usr/share/doc LAST/usr/share/doc/later
    bindery init -r repo -k keys --no-passphrase
    bindery keygen --no-passphrase -p bundles.pub -s bundles.sec
    bindery keygen --no-passphrase -p other.pub -s other.sec
    bindery cut OLD -o a.tar.zst --product base --revision 1.0 --date 20260101 --arch amd64
    bindery cut NEW -o b.tar.zst --product base --revision 1.1 --date 20260201 --arch amd64
    bindery cut LAST -o c.tar.zst --product base --revision 1.2 --date 20260301 --arch amd64
    bindery publish -r repo -k keys --system none a.tar.zst && bindery publish -r repo -k keys --system none b.tar.zst
    bindery bundle -r repo -s bundles.sec --expires 30 base/amd64
    mkdir one two && cp -a repo/SHA256.sig repo/bundles one
    bindery publish -r repo -k keys --system none c.tar.zst
    bindery bundle -r repo -s bundles.sec base/amd64
    cp -a repo/SHA256.sig repo/bundles two`)
}

export function bundleBytes(): Buffer {
  return readFileSync(join(work, 'two/bundles', firstBundle))
}

/** Leaves, instead of the first bundle, something that a broken download may have left. */
export function plantPart(left: Buffer): void {
  const file = join(root, 'var/db/bindery/cache', digestOf(join(work, 'two/bundles', firstBundle)))
  rmSync(file, { force: true })
  writeFileSync(`${file}.part`, left)
}

export function digestOf(file: string): string {
  return sh(`sha256sum '${file}'`).slice(0, 64)
}
