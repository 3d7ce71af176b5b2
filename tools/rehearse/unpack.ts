import { execFile, execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  copyFileSync,
  existsSync,
  lutimesSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { basename, join } from 'node:path'
import { promisify } from 'node:util'

/**
 * A system out of packages alone: their files, and dpkg's record of them, so that dpkg --verify is a judge of what an update
 * left. No maintainer's script is run; what those make on a machine is in machine.ts.
 */
export async function unpackSystem(debs: readonly string[], root: string): Promise<void> {
  mkdirSync(join(root, 'usr'), { recursive: true })
  for (const name of ['bin', 'sbin', 'lib', 'lib64']) mergeIntoUsr(root, name)
  recordPackages(await unpackAll(debs, root), root)
}

/** Files alone: a kernel. Its release names no link of the system's, but the folders where they lead to. */
export async function unpackKernels(debs: readonly string[], root: string): Promise<void> {
  mkdirSync(join(root, 'usr'), { recursive: true })
  mergeIntoUsr(root, 'lib')
  await unpackAll(debs, root)
  rmSync(join(root, 'lib'))
}

/** A folder of several packages gets the time of its newest name: one that the clock gave, and no release would have. */
async function unpackAll(debs: readonly string[], root: string): Promise<readonly Unpacked[]> {
  const started = Math.floor(Date.now() / 1000)
  const unpacked: Unpacked[] = []
  for (const deb of debs) unpacked.push({ deb, names: await unpackFiles(deb, root) })
  execFileSync('find', [root, '-type', 'd', '-newermt', `@${started}`, '-exec', 'touch', '-d', merged.toISOString(), '{}', '+'])
  return unpacked
}

/** A package, and the names in it, in order. */
type Unpacked = { readonly deb: string; readonly names: readonly string[] }

const later = promisify(execFile)

async function unpackFiles(deb: string, root: string): Promise<readonly string[]> {
  // By tar, since dpkg-deb -x would make folders of the links /bin and /lib.
  const unpack = 'dpkg-deb --fsys-tarfile "$1" | tar -x -v -p --numeric-owner --keep-directory-symlink --quoting-style=literal -C "$2"'
  const { stdout } = await later('bash', ['-o', 'pipefail', '-c', unpack, 'bash', deb, root], { maxBuffer: 1 << 26 })
  return stdout.trimEnd().split('\n')
}

/** Long before any package, so that the link is the same in each release. */
const merged = new Date('2023-06-10T00:00:00Z')

function mergeIntoUsr(root: string, name: string): void {
  mkdirSync(join(root, 'usr', name))
  symlinkSync(`usr/${name}`, join(root, name))
  lutimesSync(join(root, name), merged, merged)
}

function recordPackages(unpacked: readonly Unpacked[], root: string): void {
  const dpkg = join(root, 'var/lib/dpkg')
  mkdirSync(join(dpkg, 'info'), { recursive: true })
  mkdirSync(join(dpkg, 'updates'), { recursive: true })
  const records = unpacked.map((one) => recordPackage(one, root))
  for (const [name, text] of [
    ['status', records.map(({ paragraph }) => `${paragraph}\n`).join('')],
    ['available', ''],
    ['info/format', '1\n'],
  ] as const) {
    const newest = new Date(Math.max(...records.map(({ made }) => made.getTime())))
    writeFileSync(join(dpkg, name), text)
    utimesSync(join(dpkg, name), newest, newest)
  }
  for (const folder of ['info', 'updates', '.']) utimesSync(join(dpkg, folder), merged, merged)
}

type Record = { readonly paragraph: string; readonly made: Date }

function recordPackage({ deb, names }: Unpacked, root: string): Record {
  const control = `${root}.control`
  execFileSync('dpkg-deb', ['-e', deb, control])
  const fields = readFileSync(join(control, 'control'), 'utf8').trimEnd()
  const made = statSync(join(control, 'control')).mtime
  const name = /^Package: (.*)$/m.exec(fields)?.[1] ?? basename(deb)
  const isSame = /^Multi-Arch: same$/m.test(fields)
  const stem = join(root, 'var/lib/dpkg/info', isSame ? `${name}:${/^Architecture: (.*)$/m.exec(fields)?.[1] ?? ''}` : name)
  for (const file of readdirSync(control).filter((one) => one !== 'control')) {
    copyFileSync(join(control, file), `${stem}.${file}`)
    utimesSync(`${stem}.${file}`, made, made)
  }
  writeFileSync(`${stem}.list`, listed(names).join('\n') + '\n')
  utimesSync(`${stem}.list`, made, made)
  const conffiles = conffilesOf(join(control, 'conffiles'), root)
  rmSync(control, { recursive: true })
  return { paragraph: fields.replace(/^(Package: .*)$/m, `$1\nStatus: install ok installed`) + `\n${conffiles}`, made }
}

function listed(names: readonly string[]): readonly string[] {
  return names.map((name) => (name === './' ? '/.' : name.replace(/^\./, '').replace(/\/$/, '')))
}

function conffilesOf(file: string, root: string): string {
  if (!existsSync(file)) return ''
  const names = readFileSync(file, 'utf8')
    .split('\n')
    .filter((name) => name.startsWith('/'))
  const lines = names.map(
    (name) =>
      ` ${name} ${createHash('md5')
        .update(readFileSync(join(root, name)))
        .digest('hex')}\n`,
  )
  return lines.length === 0 ? '' : `Conffiles:\n${lines.join('')}`
}
