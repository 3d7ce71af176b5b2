import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { audit } from '../src/command/audit.ts'
import { bundle } from '../src/command/bundle.ts'
import { check } from '../src/command/check.ts'
import { cut } from '../src/command/cut.ts'
import { enroll } from '../src/command/enroll.ts'
import { init } from '../src/command/init.ts'
import { install } from '../src/command/install.ts'
import { list } from '../src/command/list.ts'
import { publish } from '../src/command/publish.ts'
import { rollback } from '../src/command/rollback.ts'
import { writeSteps } from '../src/engine/client/apply/steps.ts'
import { decodeJournal } from '../src/format/journal.ts'
import { memoryBoot } from '../src/host/boot.ts'
import { hostDisk } from '../src/host/disk.ts'
import { runCommand } from './helpers/run-command.ts'
import type { Command } from '../src/command/command.ts'
import type { StepRunner } from '../src/port/step-runner.ts'
import type { Outcome } from './helpers/run-command.ts'

/** A release that comes in phases, from publish over a reboot to rollback. */

const work = mkdtempSync(join(tmpdir(), 'bindery-phases-'))
after(() => rmSync(work, { recursive: true }))
const at = (...names: readonly string[]): string => join(work, ...names)
const start = { id: 'start-1' }
const ran: string[] = []
const steps: StepRunner = {
  run: async ({ title }) => {
    ran.push(title)
    return await Promise.resolve({ kind: 'ended', status: 0, lastLine: '' })
  },
}

async function on(root: string, command: Command, ...words: readonly string[]): Promise<Outcome> {
  return await runCommand(command, words, { root: at(root), steps, boot: memoryBoot(start) })
}

function plant(folder: string, files: Readonly<Record<string, string>>): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(at(folder, path), '..'), { recursive: true })
    writeFileSync(at(folder, path), text)
  }
}

const filesOf = (world: string, kernel = world): Readonly<Record<string, string>> => ({
  'lib64/ld-linux-x86-64.so.2': 'the linker',
  [`boot/vmlinuz-${kernel}`]: kernel,
  [`lib/modules/${kernel}/net.ko`]: kernel,
  'bin/sh': world,
})

const rules = `format = 1
base = "linux"
[[rule]]
name = "loader-menu"
match = ["/boot/vmlinuz*"]
steps = ["menu"]
[[step]]
name = "menu"
run = "update-menu"
`

async function release(revision: string, files: Readonly<Record<string, string>>, ...words: readonly string[]): Promise<Outcome> {
  const dist = at(`base-${revision}.tar.zst`)
  plant(`base-${revision}`, files)
  const name = ['--product', 'base', '--revision', revision, '--date', '20260101', '--arch', 'amd64']
  assert.equal((await runCommand(cut, [at(`base-${revision}`), '-o', dist, ...name])).status, 0)
  return await runCommand(publish, ['-r', at('repo'), '-k', at('keys'), '--rules', at('rules.toml'), ...words, dist])
}

let machines = 0
async function machine(revision = '1'): Promise<string> {
  const root = `machine${++machines}`
  execFileSync('cp', ['-a', at(`base-${revision}`), at(root)])
  const words = [`file://${at('repo')}/`, at('repo/metadata/1.root.json'), 'base/amd64', '--release', `base-${revision}-20260101-amd64`]
  assert.equal((await on(root, enroll, ...words)).status, 0)
  return root
}

const has = (root: string, path: string): boolean => existsSync(at(root, path))
const world = (root: string): string => readFileSync(at(root, 'bin/sh'), 'utf8')

before(async () => {
  plant('.', { 'rules.toml': rules })
  assert.equal((await runCommand(init, ['-r', at('repo'), '-k', at('keys'), '--no-passphrase'])).status, 0)
  assert.equal((await release('1', filesOf('1'))).status, 0)
  const seen = await release('2', filesOf('2'), '--phase', 'kernel', '--phase', 'kernel=/boot/loader*')
  assert.equal(seen.status, 0, seen.error?.message)
})

test('the kernel comes first, and the rest when the machine has started again', async () => {
  const root = await machine()
  ran.length = 0
  const first = await on(root, install)
  assert.equal(first.status, 6, first.error?.message)
  assert.match(
    first.stderr.join('\n'),
    /^base\/amd64: of base-2-20260101-amd64 the phase kernel is in place; reboot, then run 'bindery install' again$/m,
  )
  assert.match(first.stderr.join('\n'), /^reboot to finish the update of base\/amd64$/m)
  assert.deepEqual([world(root), has(root, 'boot/vmlinuz-2'), has(root, 'boot/vmlinuz-1')], ['1', true, true])
  assert.deepEqual(ran.splice(0), ['depmod', 'initramfs', 'menu'])
  assert.deepEqual(await on(root, audit), { status: 0, stdout: '', stderr: [] })
  assert.equal((await on(root, audit, '--repair')).code, 'conflict')

  const again = await on(root, install)
  assert.deepEqual([again.status, again.stderr.length, world(root)], [6, 1, '1'])
  assert.match(
    (await on(root, list)).stdout,
    /^base\/amd64: base-1-.*\nbase\/amd64: of base-2-20260101-amd64 the phase kernel is in place; reboot/,
  )
  assert.match((await on(root, check)).stdout, /^base\/amd64: of base-2-20260101-amd64 the phase kernel is in place; reboot/)
  const { phase } = JSON.parse((await on(root, check, '--json')).stdout) as { phase: unknown }
  assert.deepEqual(phase, { release: 'base-2-20260101-amd64', done: ['kernel'], waitsFor: 'reboot' })

  start.id = 'start-2'
  assert.match((await on(root, list)).stdout, /'bindery install' brings the rest\n/)
  assert.equal((await on(root, install)).status, 0)
  assert.deepEqual([world(root), has(root, 'boot/vmlinuz-1'), has(root, 'lib/modules/1/net.ko')], ['2', false, false])
  assert.deepEqual(ran.splice(0), ['depmod', 'initramfs', 'menu'])
  assert.deepEqual(await on(root, audit), { status: 0, stdout: '', stderr: [] })
  assert.doesNotMatch((await on(root, list)).stdout, /phase/)

  assert.equal((await on(root, rollback)).status, 0)
  assert.deepEqual([world(root), has(root, 'boot/vmlinuz-1'), has(root, 'boot/vmlinuz-2')], ['1', true, false])
  assert.deepEqual(await on(root, audit), { status: 0, stdout: '', stderr: [] })
})

test('between the phases the way back takes back what has come, and the way on begins anew', async () => {
  const root = await machine()
  assert.equal((await on(root, install)).status, 6)
  const back = await on(root, rollback)
  assert.deepEqual([back.status, back.stderr, has(root, 'boot/vmlinuz-2')], [0, [], false])
  assert.doesNotMatch((await on(root, list)).stdout, /phase|waits/)
  assert.equal((await on(root, install)).status, 6)
  start.id = 'start-3'
  assert.equal((await on(root, install)).status, 0)
  assert.equal((await on(root, rollback, '--to', 'base-1-20260101-amd64')).status, 0)
  assert.deepEqual(await on(root, audit), { status: 0, stdout: '', stderr: [] })
})

test('of an image, which nothing starts in between, the phases follow each other in one run', async () => {
  const root = await machine()
  const boot = memoryBoot({ id: 'start-of-the-host', image: true })
  const onImage = async (command: Command, ...words: readonly string[]): Promise<Outcome> =>
    await runCommand(command, words, { root: at(root), steps, boot })
  ran.length = 0
  assert.equal((await onImage(install, '-n')).status, 0)
  const done = await onImage(install)
  assert.deepEqual([done.status, done.error?.message, world(root)], [0, undefined, '2'])
  assert.deepEqual(
    [has(root, 'boot/vmlinuz-2'), has(root, 'boot/vmlinuz-1'), has(root, 'var/db/bindery/channel/base-amd64/phase')],
    [true, false, false],
  )
  // Those of the phase are run behind it, since an initramfs is made of what came then, and all of them at the end.
  assert.deepEqual(ran.splice(0), ['depmod', 'initramfs', 'menu', 'depmod', 'initramfs', 'menu'])
  assert.deepEqual(await onImage(audit), { status: 0, stdout: '', stderr: [] })
  assert.equal((await onImage(rollback)).status, 0)
  assert.deepEqual([world(root), has(root, 'boot/vmlinuz-2')], ['1', false])
})

test('a machine between its phases that is gone on with from elsewhere waits for no start of that one', async () => {
  const root = await machine()
  assert.equal((await on(root, install)).status, 6)
  const seen = await runCommand(install, [], { root: at(root), steps, boot: memoryBoot({ ...start, image: true }) })
  assert.deepEqual([seen.status, world(root)], [0, '2'])
})

test('what has begun is ended first, also when something newer is there; a phase in which nothing happens asks for no reboot', async () => {
  const root = await machine()
  assert.equal((await on(root, install)).status, 6)
  const words = ['--phase', 'kernel']
  assert.equal((await release('3', { ...filesOf('3', '2') }, ...words)).status, 0)
  start.id = 'start-4'
  assert.equal((await on(root, install)).status, 0)
  assert.match((await on(root, list)).stdout, /^base\/amd64: base-2-/)
  const seen = await on(root, install)
  assert.deepEqual([seen.status, world(root)], [0, '3'])
  assert.match((await on(root, list)).stdout, /^base\/amd64: base-3-/)
})

test('a phase that no rule knows, and a bundle of a release with phases, are refused', async () => {
  const unknown = await release('4', filesOf('4'), '--phase', 'wrld')
  assert.deepEqual([unknown.code, unknown.error?.message], ['usage', "no rule speaks of the phase 'wrld'"])
  assert.equal((await release('5', filesOf('5'), '--phase', 'kernel=boot')).code, 'usage')
  const made = await runCommand(bundle, [
    '-r',
    at('repo'),
    '--from',
    'base-1-20260101-amd64',
    '--to',
    'base-2-20260101-amd64',
    '-o',
    at('b'),
    'base/amd64',
  ])
  assert.deepEqual([made.code, made.error?.subject], ['not-supported', 'base-2-20260101-amd64'], made.error?.message)
})

test('a machine that comes back with its old kernel goes on when what the release asks is so, and may go back until then', async () => {
  for (const bad of ['kernel', 'world=true', 'kernel='])
    assert.equal((await release('6', filesOf('6'), '--phase', 'kernel', '--phase-check', bad)).code, 'usage')
  const words = ['--phase', 'kernel', '--phase-check', 'kernel=test "$(uname -r)" = 7']
  assert.equal((await release('7', filesOf('7'), ...words)).status, 0)
  const asked: string[] = []
  let status = 1
  const checking: StepRunner = {
    run: async ({ title, text, env }) => {
      if (title === 'check of kernel') asked.push(`${text} ${env['BINDERY_OLD'] ?? ''} ${env['BINDERY_NEW'] ?? ''}`)
      return await Promise.resolve({ kind: 'ended', status: title === 'check of kernel' ? status : 0, lastLine: '' })
    },
  }
  const going = async (root: string, command: Command, ...more: readonly string[]): Promise<Outcome> =>
    await runCommand(command, more, { root: at(root), steps: checking, boot: memoryBoot(start) })
  const root = await machine()
  assert.equal((await going(root, install)).status, 6)
  assert.equal((await going(root, install)).status, 6)
  assert.deepEqual(asked, [])
  start.id = 'start-5'
  const unwell = await going(root, install)
  assert.deepEqual([unwell.status, unwell.error, world(root), has(root, 'boot/vmlinuz-1')], [6, undefined, '1', true])
  assert.match(
    unwell.stderr.join('\n'),
    /^base\/amd64: the machine has started again, and the check of kernel failed with status 1; 'bindery install'/m,
  )
  assert.deepEqual(asked.splice(0), ['test "$(uname -r)" = 7 base-1-20260101-amd64 base-7-20260101-amd64'])
  assert.equal((await going(root, install, '-n')).status, 0)
  assert.deepEqual(asked, [])
  assert.equal((await going(root, rollback)).status, 0)
  assert.deepEqual([has(root, 'boot/vmlinuz-7'), has(root, 'boot/vmlinuz-1')], [false, true])
  assert.equal((await going(root, install)).status, 6)
  start.id = 'start-6'
  status = 0
  assert.deepEqual([(await going(root, install)).status, world(root), has(root, 'boot/vmlinuz-1')], [0, '7', false])
  assert.equal(asked.length, 1)
})

test('a phase that a power cut broke off, and that the next start finished, waits for one more: that one began without it', async () => {
  const root = await machine()
  assert.equal((await on(root, install)).status, 6)
  // As the recovery program leaves it early in that start: the files are in place, and what comes behind them is not done.
  const state = (name: string): string => at(root, 'var/db/bindery', name)
  const [newest = ''] = readdirSync(state('receipt')).toSorted((a, b) => Number(b) - Number(a))
  await writeSteps(hostDisk(at(root)), decodeJournal(readFileSync(state(`receipt/${newest}`))))
  rmSync(state('reboot'))
  start.id = 'start-7'
  const early = await on(root, install)
  assert.deepEqual([early.status, world(root)], [6, '1'])
  assert.match(early.stderr.join('\n'), /the phase kernel is in place; reboot, then run 'bindery install' again$/m)
  assert.equal((await on(root, install)).status, 6)
  start.id = 'start-8'
  assert.deepEqual([(await on(root, install)).status, world(root)], [0, '7'])
})
