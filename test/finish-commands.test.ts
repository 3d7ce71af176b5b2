import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { cut } from '../src/command/cut.ts'
import { enroll } from '../src/command/enroll.ts'
import { init } from '../src/command/init.ts'
import { install } from '../src/command/install.ts'
import { list } from '../src/command/list.ts'
import { publish } from '../src/command/publish.ts'
import { rollback } from '../src/command/rollback.ts'
import { elfFile } from './helpers/elf-file.ts'
import { runCommand } from './helpers/run-command.ts'
import type { RelPath } from '../src/base/path.ts'
import type { Command } from '../src/command/command.ts'
import type { StaleProcess } from '../src/port/processes.ts'
import type { Outcome } from './helpers/run-command.ts'

/** Libraries that a release has no more, from the install that leaves them to the one that removes them. */

const work = mkdtempSync(join(tmpdir(), 'bindery-finish-'))
after(() => rmSync(work, { recursive: true }))
const at = (...names: readonly string[]): string => join(work, ...names)
const library = 'usr/lib/libfoo.so.1'
let running: readonly StaleProcess[] = []

async function on(root: string, command: Command, ...words: readonly string[]): Promise<Outcome> {
  const usersOf = async (files: readonly { readonly path: RelPath }[]): Promise<{ processes: readonly StaleProcess[] }> =>
    await Promise.resolve({ processes: running.filter((one) => one.files.some((path) => files.some((file) => file.path === path))) })
  return await runCommand(command, words, { root: at(root), processes: { usersOf } })
}

function plant(folder: string, files: Readonly<Record<string, string | Uint8Array>>): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(at(folder, path), '..'), { recursive: true })
    writeFileSync(at(folder, path), text, { mode: 0o755 })
  }
}

const filesOf = (version: string): Readonly<Record<string, string | Uint8Array>> => ({
  'bin/sh': version,
  [`usr/lib/libfoo.so.${version}`]: elfFile({ needed: [], soname: `libfoo.so.${version}` }),
})

before(async () => {
  assert.equal((await runCommand(init, ['-r', at('repo'), '-k', at('keys'), '--no-passphrase'])).status, 0)
  for (const version of ['1', '2']) {
    plant(`base-${version}`, filesOf(version))
    const dist = at(`base-${version}.tar.zst`)
    const name = ['--product', 'base', '--revision', version, '--date', '20260101', '--arch', 'amd64']
    assert.equal((await runCommand(cut, [at(`base-${version}`), '-o', dist, ...name])).status, 0)
    assert.equal((await runCommand(publish, ['-r', at('repo'), '-k', at('keys'), dist])).status, 0)
  }
})

test('install --finish lists who needs a former library, and removes it when nobody does', async () => {
  const program = elfFile({ needed: ['libfoo.so.1'], interpreter: '/libexec/ld.so' })
  plant('root', { ...filesOf('1'), 'usr/local/bin/x': program, 'opt/y': program })
  const words = [`file://${at('repo')}/`, at('repo/metadata/1.root.json'), 'base/amd64', '--release', 'base-1-20260101-amd64']
  assert.equal((await on('root', enroll, ...words)).status, 0)
  assert.equal((await on('root', install)).status, 0)
  assert.ok(existsSync(at('root', library)))

  running = [{ pid: 812, program: '/usr/sbin/food', files: [library as RelPath] }]
  const found = await on('root', install, '--finish')
  assert.deepEqual([found.status, found.stderr], [6, []], found.error?.message)
  assert.equal(found.stdout, `/${library} is needed by /opt/y, /usr/local/bin/x, process 812 (/usr/sbin/food)\n`)
  const json = JSON.parse((await on('root', install, '--finish', '--json')).stdout) as unknown
  const processes = [{ pid: 812, program: '/usr/sbin/food' }]
  assert.deepEqual(json, { library: `/${library}`, programs: ['/opt/y', '/usr/local/bin/x'], processes })

  for (const path of ['opt/y', 'usr/local/bin/x']) rmSync(at('root', path))
  const mapped = await on('root', install, '--finish')
  assert.deepEqual([mapped.status, mapped.stdout], [6, `/${library} is needed by process 812 (/usr/sbin/food)\n`])
  running = []
  assert.deepEqual(await on('root', install, '--finish', '-n'), { status: 0, stdout: `remove /${library}\n`, stderr: [] })
  assert.ok(existsSync(at('root', library)))
  assert.deepEqual(await on('root', install, '--finish'), { status: 0, stdout: '', stderr: [] })
  assert.ok(!existsSync(at('root', library)))
  assert.doesNotMatch((await on('root', list)).stdout, /needed/)
  assert.deepEqual(await on('root', install, '--finish'), { status: 0, stdout: '', stderr: [] })

  assert.equal((await on('root', rollback)).status, 0)
  assert.ok(existsSync(at('root', library)))
  assert.match((await on('root', list)).stdout, /libfoo\.so\.1 is still needed/)
  assert.equal((await on('root', install, '--finish')).status, 0)
  assert.equal((await on('root', rollback, '--to', 'base-1-20260101-amd64')).status, 0)
  assert.ok(existsSync(at('root', library)) && !existsSync(at('root', 'usr/lib/libfoo.so.2')))
})

test('it goes with no channel', async () => {
  assert.equal((await on('root', install, '--finish', 'base/amd64')).code, 'usage')
})
