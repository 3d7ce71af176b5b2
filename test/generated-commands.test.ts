import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { audit } from '../src/command/audit.ts'
import { cut } from '../src/command/cut.ts'
import { enroll } from '../src/command/enroll.ts'
import { init } from '../src/command/init.ts'
import { install } from '../src/command/install.ts'
import { publish } from '../src/command/publish.ts'
import { rollback } from '../src/command/rollback.ts'
import { runCommand } from './helpers/run-command.ts'
import type { Command } from '../src/command/command.ts'
import type { Outcome } from './helpers/run-command.ts'

/** A machine that links libraries and programs anew at each boot, as OpenBSD does: that is no change of anybody's. */

const work = mkdtempSync(join(tmpdir(), 'bindery-generated-'))
after(() => rmSync(work, { recursive: true }))
const at = (...names: readonly string[]): string => join(work, ...names)
const on = async (root: string, command: Command, ...words: readonly string[]): Promise<Outcome> =>
  await runCommand(command, words, {
    root: at(root),
    steps: { run: async () => await Promise.resolve({ kind: 'ended', status: 0, lastLine: '' }) },
  })

const filesOf = (version: string): Readonly<Record<string, string>> => ({
  'usr/libexec/ld.so': 'linker one two three',
  'usr/lib/libc.so.100.3': `libc ${version} one two three`,
  [`usr/lib/libcrypto.so.${version}.0`]: `libcrypto ${version} one two three`,
  'usr/sbin/sshd': 'sshd one two three',
  bsd: `kernel ${version} one two three`,
  'etc/pwd.db': `accounts ${version}`,
  'usr/share/man/man1/ls.1': 'a page',
  'bin/sh': `sh ${version}`,
})

function plant(folder: string, files: Readonly<Record<string, string>>): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(at(folder, path), '..'), { recursive: true })
    writeFileSync(at(folder, path), text)
  }
}

const read = (root: string, path: string): string => readFileSync(at(root, path), 'utf8')

/** What a boot does: each in another order, of another length, under the name that it had. */
function boot(root: string, version: string): void {
  for (const path of ['usr/libexec/ld.so', 'usr/lib/libc.so.100.3', `usr/lib/libcrypto.so.${version}.0`, 'usr/sbin/sshd', 'bsd']) {
    writeFileSync(at(root, `${path}.tmp`), `${read(root, path).split(' ').toReversed().join(' ')} linked`)
    renameSync(at(root, `${path}.tmp`), at(root, path))
  }
  plant(root, { 'etc/pwd.db': `made here of ${version}`, 'usr/share/man/mandoc.db': 'an index' })
}

before(async () => {
  assert.equal((await runCommand(init, ['-r', at('repo'), '-k', at('keys'), '--no-passphrase'])).status, 0)
  for (const version of ['1', '2']) {
    plant(`base-${version}`, filesOf(version))
    const dist = at(`base-${version}.tar.zst`)
    const name = ['--product', 'base', '--revision', version, '--date', '20260101', '--arch', 'amd64']
    assert.equal((await runCommand(cut, [at(`base-${version}`), '-o', dist, ...name])).status, 0)
    const seen = await runCommand(publish, ['-r', at('repo'), '-k', at('keys'), dist])
    assert.equal(seen.status, 0, seen.error?.message)
  }
})

const clean = { status: 0, stdout: '', stderr: [] }
const told = (seen: Outcome): readonly string[] => seen.stderr.filter((line) => !line.startsWith('reboot to finish'))

async function machine(root: string, basis: string): Promise<void> {
  execFileSync('cp', ['-a', at('base-1'), at(root)])
  const words = [`file://${at('repo')}/`, at('repo/metadata/1.root.json'), 'base/amd64', '--release', 'base-1-20260101-amd64']
  const seen = await on(root, enroll, '--basis', basis, ...words)
  assert.equal(seen.status, 0, seen.error?.message)
  boot(root, '1')
}

for (const basis of ['tar', 'installed']) {
  test(`what a boot links anew is no change: audit, install and rollback, basis ${basis}`, async () => {
    await machine(basis, basis)
    const relinked = read(basis, 'usr/lib/libc.so.100.3')
    assert.deepEqual(await on(basis, audit, '--extra'), clean)

    const seen = await on(basis, install)
    assert.deepEqual([seen.status, told(seen)], [0, []], seen.error?.message)
    const paths = ['usr/lib/libc.so.100.3', 'usr/sbin/sshd', 'bsd', 'etc/pwd.db', 'usr/lib/libcrypto.so.2.0']
    assert.deepEqual(
      paths.map((path) => read(basis, path)),
      ['libc 2 one two three', 'three two one sshd linked', 'kernel 2 one two three', 'accounts 2', 'libcrypto 2 one two three'],
    )
    assert.ok(!existsSync(at(basis, 'usr/lib/libcrypto.so.1.0')))
    boot(basis, '2')
    assert.deepEqual(await on(basis, audit, '--extra'), clean)

    const back = await on(basis, rollback)
    assert.deepEqual([back.status, told(back)], [0, []])
    assert.deepEqual([read(basis, 'usr/lib/libc.so.100.3'), read(basis, 'etc/pwd.db')], [relinked, 'made here of 1'])
    assert.deepEqual(await on(basis, audit, '--extra'), clean)
    assert.equal(execFileSync('find', [at(basis), '-name', '*.new*', '-o', '-name', '*.old*'], { encoding: 'utf8' }), '')
  })
}

test('whose it is and who may run it is still looked at, and bindery.conf adds paths', async () => {
  await machine('modes', 'tar')
  chmodSync(at('modes/usr/sbin/sshd'), 0o4755)
  const seen = await on('modes', audit)
  assert.deepEqual([seen.status, seen.stdout], [7, 'changed /usr/sbin/sshd  mode 0644 -> 04755\n'])
  plant('modes', { 'usr/share/man/own.index': 'made here' })
  assert.match((await on('modes', audit, '--extra')).stdout, /own\.index/)
  plant('modes', { 'etc/bindery.conf': 'generated /usr/share/man/*.index\nignore /etc/bindery.conf\n' })
  assert.doesNotMatch((await on('modes', audit, '--extra')).stdout, /own\.index/)
})
