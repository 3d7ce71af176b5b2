import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { BinderyError } from '../src/base/error.ts'
import { audit } from '../src/command/audit.ts'
import { check } from '../src/command/check.ts'
import { enroll } from '../src/command/enroll.ts'
import { fetch } from '../src/command/fetch.ts'
import { install } from '../src/command/install.ts'
import { recover } from '../src/command/recover.ts'
import { rollback } from '../src/command/rollback.ts'
import { unenroll } from '../src/command/unenroll.ts'
import { hostHttp } from '../src/host/http.ts'
import { hostLocker } from '../src/host/lock.ts'
import { openFleet } from './helpers/fleet.ts'
import type { TestContext } from 'node:test'
import type { Command, Context } from '../src/command/command.ts'
import type { StepRunner } from '../src/port/step-runner.ts'
import type { Fleet, Machine } from './helpers/fleet.ts'
import type { Outcome } from './helpers/run-command.ts'

/** Roots that are mounted read-only but for a moment: what bindery.conf runs before and after that. */

let fleet: Fleet
before(async () => {
  fleet = await openFleet()
  assert.equal((await fleet.release('1')).status, 0)
})
after(() => fleet.remove())

type Watched = { readonly titles: string[]; readonly steps: StepRunner }

/** Notes what is run. Hooks are run by the shell of this system, in place of that of the root. */
function watched(): Watched {
  const titles: string[] = []
  const run: StepRunner['run'] = async ({ title, text }) => {
    titles.push(title)
    const isHook = title.endsWith('-commit')
    const { status, stderr } = isHook ? spawnSync('sh', ['-c', text], { encoding: 'utf8' }) : { status: 0, stderr: '' }
    return { kind: 'ended', status: status ?? 1, lastLine: stderr }
  }
  return { titles, steps: { run } }
}

async function running(
  machine: Machine,
  command: Command,
  words: readonly string[] = [],
): Promise<Outcome & { readonly titles: string[] }> {
  const { titles, steps } = watched()
  return { ...(await machine.run(command, words, { steps })), titles }
}

async function machineWith(conf: string): Promise<Machine> {
  const machine = await fleet.machine()
  machine.write('etc/bindery.conf', conf)
  return machine
}

const both = ['before-commit', 'after-commit']
const note = (machine: Machine): boolean => existsSync(join(machine.root, 'var/db/bindery/commit-hooks'))

test('the hooks enclose the change and its steps, and nothing else', async () => {
  const machine = await machineWith('before-commit true\nafter-commit true\n')
  assert.deepEqual((await running(machine, install)).titles, [])
  assert.equal((await fleet.release('2', '--post-step', 'makewhatis')).status, 0)
  assert.deepEqual((await running(machine, install, ['-n'])).titles, [])
  assert.deepEqual((await running(machine, check)).titles, [])
  assert.deepEqual((await running(machine, install)).titles, ['before-commit', 'step-1', 'after-commit'])
  assert.equal(note(machine), false)
  assert.deepEqual((await running(machine, rollback)).titles, both)
  assert.equal(machine.version(), '1')
  writeFileSync(join(machine.root, 'version'), 'damaged')
  assert.deepEqual((await running(machine, audit)).titles, [])
  assert.deepEqual((await running(machine, audit, ['--repair'])).titles, both)
  assert.deepEqual((await running(machine, recover)).titles, [])
})

test('what was left open by a killed run is closed by the next, unless another run is in the middle', async () => {
  const machine = await machineWith('before-commit true\nafter-commit true\n')
  machine.write('var/db/bindery/commit-hooks', 'bindery-commit-hooks 1\n')
  const lock = await hostLocker(join(machine.root, 'var/db/bindery/lock')).take('install')
  assert.deepEqual((await running(machine, recover)).titles, ['before-commit'])
  await lock.release()
  assert.deepEqual((await running(machine, recover)).titles, both)
  assert.equal(note(machine), false)
})

test('a hook before that fails ends the run with nothing changed, one after is told and tried again', async () => {
  const machine = await machineWith('before-commit echo no such device >&2; exit 3\nafter-commit true\n')
  const seen = await running(machine, install)
  assert.deepEqual([seen.status, seen.code, seen.titles, machine.version()], [1, 'command-failed', both, '1'])
  assert.match(seen.error?.message ?? '', /^before-commit of bindery\.conf failed with status 3: no such device$/)
  machine.write('etc/bindery.conf', 'after-commit echo is busy >&2; exit 32\n')
  const told = await running(machine, install)
  assert.deepEqual([told.status, machine.version(), note(machine)], [6, '2', true])
  assert.ok(
    told.stderr.includes('after-commit of bindery.conf failed with status 32: is busy; the next run tries it again'),
    told.stderr.join(),
  )
  machine.write('etc/bindery.conf', 'after-commit true\n')
  assert.deepEqual((await running(machine, recover)).titles, ['after-commit'])
  assert.equal(note(machine), false)
})

/** A machine whose root is mounted read-only, and a look at whether it is so. Undefined where nothing can be mounted. */
async function readOnlyMachine(t: TestContext): Promise<(Machine & { readonly isReadOnly: () => boolean }) | undefined> {
  const machine = await fleet.machine()
  const { root } = machine
  if (process.getuid?.() !== 0 || spawnSync('mount', ['--bind', root, root]).status !== 0) {
    t.skip('cannot mount here')
    return undefined
  }
  t.after(() => void spawnSync('umount', ['-l', root]))
  const remount = (how: string): string => `mount -o remount,bind,${how} '${root}'`
  assert.equal(spawnSync('sh', ['-c', remount('ro')]).status, 0)
  assert.equal((await running(machine, install)).code, 'read-only')
  assert.equal(spawnSync('sh', ['-c', remount('rw')]).status, 0)
  machine.write('etc/bindery.conf', `before-commit ${remount('rw')}\nafter-commit ${remount('ro')}\n`)
  assert.equal(spawnSync('sh', ['-c', remount('ro')]).status, 0)
  const isReadOnly = (): boolean =>
    readFileSync('/proc/self/mounts', 'utf8')
      .split('\n')
      .some((line) => line.includes(` ${root} `) && / ro[, ]/.test(line))
  return { ...machine, isReadOnly }
}

test('a root that is read-only, the state in it too, is writable for the install alone', async (t) => {
  const machine = await readOnlyMachine(t)
  if (machine === undefined) return
  assert.equal((await running(machine, check)).status, 0)
  for (const [command, version] of [
    [install, '2'],
    [rollback, '1'],
  ] as const) {
    const seen = await running(machine, command)
    assert.deepEqual(
      [seen.error?.message, seen.titles.filter((title) => title !== 'step-1'), machine.version()],
      [undefined, both, version],
    )
    assert.ok(machine.isReadOnly())
  }
  assert.equal(note(machine), false)
})

test('so it is for what else writes into it: a download, leaving, and coming anew', async (t) => {
  const machine = await readOnlyMachine(t)
  if (machine === undefined) return
  const { root } = machine
  const enrolling = [
    `file://${fleet.at('repo')}/`,
    fleet.at('repo/metadata/1.root.json'),
    'base/amd64',
    '--release',
    'base-1-20260101-amd64',
  ]
  for (const [command, words, isDone] of [
    [fetch, [], () => readdirSync(join(root, 'var/db/bindery/cache')).length > 0],
    [unenroll, ['--all'], () => !existsSync(join(root, 'var/db/bindery/enrolled'))],
    [enroll, enrolling, () => existsSync(join(root, 'var/db/bindery/enrolled'))],
  ] as const) {
    const seen = await running(machine, command, words)
    assert.deepEqual([seen.error?.message, seen.titles, isDone(), machine.isReadOnly()], [undefined, both, true, true])
    assert.equal(note(machine), false)
  }
  assert.deepEqual((await running(machine, unenroll, ['-n', '--all'])).titles, [])
})

test('a root that was never enrolled is writable for it alone, and is left as it was where that fails', async (t) => {
  const machine = await readOnlyMachine(t)
  if (machine === undefined) return
  const { root } = machine
  const [rw, ro] = ['rw', 'ro'].map((how) => ['-o', `remount,bind,${how}`, root])
  spawnSync('mount', rw)
  rmSync(join(root, 'var'), { recursive: true })
  spawnSync('mount', ro)
  const enrolling = [`file://${fleet.at('repo')}/`, fleet.at('repo/metadata/1.root.json'), 'base/amd64', '--release']
  const failed = await running(machine, enroll, [...enrolling, 'base-7-20260101-amd64'])
  assert.deepEqual([failed.status, failed.titles, existsSync(join(root, 'var')), machine.isReadOnly()], [1, both, false, true])
  let noted: string | undefined
  const http: Context['http'] = {
    get: async (request) => {
      noted ??= readFileSync(join(root, 'var/db/bindery/commit-hooks'), 'utf8')
      return await hostHttp().get(request)
    },
  }
  const { titles, steps } = watched()
  const done = await machine.run(enroll, [...enrolling, 'base-1-20260101-amd64'], { steps, http })
  assert.deepEqual([done.error?.message, titles, machine.isReadOnly()], [undefined, both, true])
  const remounts = ['before', 'after'].map((key, i) => `${key} mount -o remount,bind,${['rw', 'ro'][i]} '${root}'\n`)
  assert.equal(noted, `bindery-commit-hooks 1\n${remounts.join('')}`)
})

test('a stopped run puts the root back as well', async (t) => {
  const machine = await readOnlyMachine(t)
  if (machine === undefined) return
  const controller = new AbortController()
  const { titles, steps } = watched()
  const run: StepRunner['run'] = async (step) => {
    controller.abort(new BinderyError('stopped', 'stopped by SIGINT'))
    return await steps.run(step)
  }
  const seen = await machine.run(install, [], { steps: { run }, signal: controller.signal })
  assert.deepEqual([seen.status, seen.code, titles, machine.version(), machine.isReadOnly()], [1, 'stopped', both, '1', true])
  assert.equal(note(machine), false)
})
