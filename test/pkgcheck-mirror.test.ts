import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { test } from 'node:test'
import { pkgindex } from '../src/command/pkgindex.ts'
import { catalogOf, laterCatalog, someOf } from './helpers/openbsd-mirror/catalog.ts'
import { installPackages, packageKey, writeMirror } from './helpers/openbsd-mirror/mirror.ts'
import { packingList } from './helpers/openbsd-mirror/package-facts.ts'
import { runCommand } from './helpers/run-command.ts'
import { serveSite } from './helpers/site.ts'
import { inTemporary } from './helpers/temporary.ts'
import type { PackageFacts } from './helpers/openbsd-mirror/package-facts.ts'
import type { Page } from '../src/host/memory-http.ts'

/** What must be offered, from the facts alone: the same path and flavors, and anything else in what a signature is made of. */
function expectedUpdates(installed: readonly PackageFacts[], mirror: readonly PackageFacts[]): readonly string[] {
  const stem = (name: string): string => name.replace(/-\d.*$/, '')
  const flavors = (name: string): string => /-\d[^-]*(.*)$/.exec(name)?.[1] ?? ''
  const signed = (facts: PackageFacts): string => {
    const lines = packingList(facts).split('\n')
    return lines.filter((line) => /^@(name|version|depend|wantlib) /.test(line)).join('\n')
  }
  const isUpdate = (old: PackageFacts): boolean =>
    mirror.some(
      (next) =>
        next.pkgpath === old.pkgpath &&
        stem(next.name) === stem(old.name) &&
        flavors(next.name) === flavors(old.name) &&
        signed(next) !== signed(old),
    )
  const argument = (facts: PackageFacts): string => {
    const branch = facts.options.includes('is-branch') ? facts.pkgpath.split('/')[2]?.split(',')[0] : undefined
    return stem(facts.name) + (branch === undefined ? '' : `%${branch}`)
  }
  return [...new Set(installed.filter(isUpdate).map(argument))].toSorted()
}

type Ran = { readonly status: number | null; readonly stdout: string; readonly stderr: string }

async function bindery(words: readonly string[], environment: Readonly<Record<string, string>>): Promise<Ran> {
  const child = spawn(resolve('bin/bindery'), words, { env: { ...process.env, ...environment }, stdio: ['ignore', 'pipe', 'pipe'] })
  const [stdout, stderr]: [Buffer[], Buffer[]] = [[], []]
  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk))
  child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk))
  const [status] = (await once(child, 'close')) as [number | null]
  return { status, stdout: Buffer.concat(stdout).toString(), stderr: Buffer.concat(stderr).toString() }
}

test('against a mirror with hundreds of signed packages, each of the three indexes gives the same command', async () => {
  await inTemporary(async (folder) => {
    const [root, directory] = [join(folder, 'root'), join(folder, 'mirror')]
    const catalog = catalogOf({ count: 240, seed: 11, medianBytes: 500 })
    const later = laterCatalog(catalog, { seed: 12, newer: 20, rebuilt: 20, gone: 4, added: 4 })
    const installed = someOf(catalog, 100, 13)
    const key = await packageKey()
    installPackages(root, installed, { signer: key.name, date: '2026-10-01T00:00:00Z' })
    const files = await writeMirror({ folder: directory, packages: later, key })
    writeFileSync(join(folder, 'key.sec'), key.secretKeyFile)
    writeFileSync(join(folder, 'openbsd-78-pkg.pub'), key.publicKeyFile)
    const made = await runCommand(pkgindex, [directory, '-o', join(directory, 'index.pkgup.gz'), '-s', join(folder, 'key.sec')])
    assert.equal(made.status, 0, made.stderr.join('\n'))

    const pages = new Map<string, Page>()
    const put = (file: string): unknown =>
      pages.set(`/snapshots/packages/amd64/${file}`, { bytes: readFileSync(join(directory, file)), etag: `"${file}"` })
    for (const file of files.filter((name) => name.startsWith('quirks-'))) put(file)
    for (const file of ['index.txt', 'index.pkgup.gz', 'index.bindery.zst']) put(file)
    const site = await serveSite(pages)
    try {
      const names = expectedUpdates(installed, later)
      assert.ok(names.length > 8, `${names.length} updates`)
      const command = `pkg_add -u -Dsnap ${names.join(' ')}\n`
      const environment = { PKG_PATH: `${site.base}/%c/packages/%a`, XDG_CACHE_HOME: join(folder, 'cache'), no_proxy: '*' }
      const words = ['-C', root, 'pkgcheck', '--kern-version', 'OpenBSD 7.8-current', '--arch', 'amd64']
      const first = await bindery(words, environment)
      assert.deepEqual([first.status, first.stdout], [0, command], first.stderr)
      site.seen.length = 0
      const second = await bindery(words, environment)
      assert.deepEqual(second, first)
      assert.equal(
        site.seen.reduce((sum, { bytes }) => sum + bytes, 0),
        0,
      )
      const signed = await bindery([...words, '-p', join(folder, 'openbsd-78-pkg.pub')], environment)
      assert.deepEqual([signed.status, signed.stdout], [0, command], signed.stderr)
      pages.delete('/snapshots/packages/amd64/index.pkgup.gz')
      rmSync(join(folder, 'cache'), { recursive: true })
      const keys = join(root, 'etc/signify')
      const unkeyed = await bindery(words, environment)
      assert.equal(unkeyed.status, 1)
      assert.match(unkeyed.stderr, /is signed by a key that \/etc\/signify does not have: openbsd-78-pkg\n$/)
      installKey(keys, key.publicKeyFile)
      const own = await bindery(words, environment)
      assert.deepEqual([own.status, own.stdout], [0, command], own.stderr)
    } finally {
      await site.close()
    }
  })
})

function installKey(folder: string, bytes: Uint8Array): void {
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'openbsd-78-pkg.pub'), bytes)
}
