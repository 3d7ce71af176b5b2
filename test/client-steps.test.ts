import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BinderyError, isBinderyError } from '../src/base/error.ts'
import { markVerified } from '../src/base/verified.ts'
import { finishing } from '../src/command/finish.ts'
import { planLines } from '../src/command/plan-text.ts'
import { catchUp, conclude, recoverFirst } from '../src/command/outcome.ts'
import { afterInstall } from '../src/engine/client/apply/after.ts'
import { planRollback, rollbackPlan } from '../src/engine/client/apply/rollback.ts'
import { readLeft } from '../src/engine/client/apply/steps.ts'
import { readReceiptHeads } from '../src/engine/client/apply/receipts.ts'
import { pendingReboots } from '../src/engine/client/reboot.ts'
import { makeStateFolders } from '../src/engine/client/state.ts'
import { defaultConfig } from '../src/format/conf.ts'
import { usualTerms } from '../src/format/post-step.ts'
import { memoryBoot } from '../src/host/boot.ts'
import { memoryDisk } from '../src/host/memory-disk.ts'
import { incoming, install, machine, picture, release } from './helpers/client-world.ts'
import { callsOf } from './helpers/crash.ts'
import { Crash, faultyDisk } from './helpers/faulty-disk.ts'
import { relPath } from './helpers/plant.ts'
import { recovery } from './helpers/recovery.ts'
import type { Context } from '../src/command/command.ts'
import type { Plan } from '../src/engine/client/apply/plan.ts'
import type { Journal } from '../src/format/journal.ts'
import type { Session } from '../src/engine/client/fetch/session.ts'
import type { PostStep, StepTerms } from '../src/format/post-step.ts'
import type { RebootClass, Update } from '../src/format/update.ts'
import type { Disk } from '../src/port/disk.ts'
import type { StaleReport } from '../src/port/processes.ts'
import type { StepEnd } from '../src/port/step-runner.ts'
import type { Release } from './helpers/client-world.ts'
import type { Literal } from './helpers/plant.ts'

/** What an update runs and says at its end: after kills, with steps that fail, and for several updates at once. */

const tree = (text: string): Literal => ({ 'bin/a': text, 'lib/b': `${text} too` })
const releases = Promise.all(['1.0', '1.1', '1.2'].map(async (revision) => await release(revision, tree(revision))))
const run = (name: string, terms: Partial<StepTerms> = {}): PostStep => ({ kind: 'run', name, command: name, ...usualTerms, ...terms })

type World = {
  readonly disk: Disk
  /** What the steps came to: everything else is done at once. */
  readonly ends?: Readonly<Record<string, StepEnd | 'killed'>>
  readonly boot?: string
  readonly stale?: StaleReport
}

type Did = {
  readonly status: number | undefined
  readonly error?: BinderyError
  readonly ran: readonly string[]
  readonly said: readonly string[]
  readonly reboot?: RebootClass
}

/** A verb as the client has them, from catching up to the notices. */
async function verb(world: World, work: (context: Context, session: Session) => Promise<number>): Promise<Did> {
  const ran: string[] = []
  const said: string[] = []
  const context = {
    root: '/',
    say: (line: string) => void said.push(line),
    explain: () => {},
    boot: memoryBoot({ id: world.boot ?? 'first' }),
    processes: { usersOf: async () => await Promise.resolve(world.stale ?? { processes: [] }) },
    steps: {
      run: async ({ text, env }: { text: string; env: Readonly<Record<string, string>> }) => {
        ran.push(`${text} ${env['BINDERY_NEW']}`.replaceAll(/base-|-2026.*/g, ''))
        const end = world.ends?.[text] ?? { kind: 'ended', status: 0, lastLine: '' }
        if (end === 'killed') throw new Crash()
        return await Promise.resolve(end)
      },
    },
  } as unknown as Context
  const session = {
    disk: world.disk,
    config: defaultConfig,
    clock: { now: () => 1_700_000_000_000 },
    recovery,
    signal: new AbortController().signal,
    beforeCommit: async () => {},
  } as Session
  try {
    const { result, reboot } = await finishing(context, session, async () => await work(context, session))
    return { status: result, ran, said, reboot }
  } catch (error) {
    if (!(error instanceof BinderyError)) throw error
    return { status: undefined, error, ran, said }
  }
}

type Step = { readonly old: Release; readonly next: Release; readonly record: Partial<Update> }

async function installing(world: World, ...steps: readonly Step[]): Promise<Did> {
  return await verb(world, async (context, session) => {
    let status = await recoverFirst(context, session)
    for (const { old, next, record } of steps) {
      const plain = incoming(old, next)
      const update = markVerified({ ...plain.update.value, ...record })
      status = Math.max(status, await conclude(context, session, await install(world.disk, old, next, { incoming: { ...plain, update } })))
    }
    return status
  })
}

async function update(world: World, record: Partial<Update>): Promise<Did> {
  const [old, next] = (await releases) as [Release, Release, Release]
  return await installing(world, { old, next, record })
}

async function next(world: World): Promise<Did> {
  return await verb(world, async (context, session) => await catchUp(context, session, { undo: false, tell: () => {} }))
}

async function back(world: World): Promise<Did> {
  return await verb(world, async (context, session) => {
    const work = { ...session, goal: { kind: 'steps', count: 1 } as const }
    return await conclude(context, session, await rollbackPlan(work, await planRollback(work)))
  })
}

async function fresh(): Promise<Disk> {
  const disk = await machine(memoryDisk(), tree('1.0'))
  await makeStateFolders(disk)
  return disk
}

const failing = (status = 3, lastLine = ''): StepEnd => ({ kind: 'ended', status, lastLine })
const short = (lines: readonly string[]): readonly string[] => lines.map((line) => line.replaceAll(/base-(\d\.\d)-\d+-amd64/g, '$1'))

test('steps run in their order, and then the notices are said', async () => {
  const disk = await fresh()
  const record = { postSteps: [run('a'), { kind: 'notice', text: 'one' }, run('b')] as const, notices: ['two\nlines'] }
  const did = await update({ disk }, record)
  assert.deepEqual(did, { status: 0, ran: ['a 1.1', 'b 1.1'], said: ['base/amd64: one', 'base/amd64: two', '  lines'], reboot: 'none' })
  assert.deepEqual(await next({ disk }), { status: 0, ran: [], said: [], reboot: 'none' })
})

test('a kill at any moment of the steps: those that were done are not run again, those that were not are, and what is to be said is', async () => {
  const record = { postSteps: [run('a'), run('b'), run('c')], notices: ['mind the gap'], reboot: 'reboot' } as const
  const calls = await callsOf(await fresh(), async (disk) => await update({ disk }, record))
  const first = calls.indexOf('rename var/db/bindery/journal')
  let interrupted = 0
  for (let at = first; at <= calls.length; at++) {
    const disk = await fresh()
    const ran: string[] = []
    await assert.rejects(update({ disk: faultyDisk(disk, { kind: 'crash', at, when: 'before' }).disk }, { ...record }), Crash)
    const left = (await readLeft(disk)).flatMap(({ postSteps }) => postSteps.map((step) => ('name' in step ? step.name : 'notice')))
    const did = await next({ disk })
    ran.push(...did.ran.map((one) => one.slice(0, 1)))
    const what = `before ${at} ${calls[at - 1] ?? ''}`
    if (left.length > 0) assert.deepEqual([...ran, 'notice'], left, what)
    if (left.length > 0)
      assert.deepEqual(short(did.said).slice(-2), ['base/amd64: mind the gap', 'reboot to finish the update of base/amd64'], what)
    if (left.length > 0) interrupted++
    assert.deepEqual(await readLeft(disk), [], what)
    assert.equal((await pendingReboots(disk, memoryBoot({ id: 'first' }))).length, 1, what)
  }
  assert.ok(interrupted > 8, String(interrupted))
  for (const killed of ['a', 'b', 'c']) {
    const disk = await fresh()
    await assert.rejects(update({ disk, ends: { [killed]: 'killed' } }, record), Crash)
    const did = await next({ disk })
    assert.deepEqual(did.ran, ['a 1.1', 'b 1.1', 'c 1.1'].slice(['a', 'b', 'c'].indexOf(killed)))
  }
})

test('a step that fails is told, marks its receipt, and is tried again by the next run', async () => {
  const disk = await fresh()
  const ends = { b: failing(3, 'no such library') }
  const did = await update({ disk, ends }, { postSteps: [run('a'), run('b'), run('c')], notices: ['read'], reboot: 'reboot' })
  assert.deepEqual(did.ran, ['a 1.1', 'b 1.1', 'c 1.1'])
  assert.equal(did.status, 6)
  assert.deepEqual(did.said, [
    "the step b failed with status 3: no such library (its output is in /var/db/bindery/log/1); 'bindery recover' tries it again",
    'base/amd64: read',
    'reboot to finish the update of base/amd64',
  ])
  assert.equal(did.reboot, 'none', 'nobody is asked to reboot into what is half done')
  const [left] = await readLeft(disk)
  assert.deepEqual([left?.failed?.map(({ name }) => name), left?.postSteps], [['b'], []])
  const again = await next({ disk, ends: { b: { kind: 'out of time' } } })
  assert.deepEqual([again.status, again.ran, again.said.length], [6, ['b 1.1'], 1])
  assert.deepEqual(await next({ disk }), { status: 0, ran: ['b 1.1'], said: [], reboot: 'none' })
  assert.deepEqual(await readLeft(disk), [])
})

test('a step that failed is tried again by installs that come after, until its install is taken back', async () => {
  const disk = await fresh()
  const [one, two, three] = (await releases) as [Release, Release, Release]
  const ends = { b: failing() }
  await installing({ disk, ends }, { old: one, next: two, record: { postSteps: [run('b')] } })
  const did = await installing({ disk, ends }, { old: two, next: three, record: { postSteps: [run('c')] } })
  assert.deepEqual([did.status, did.ran], [6, ['b 1.1', 'c 1.2']])
  assert.deepEqual(
    (await readLeft(disk)).map(({ transaction }) => transaction),
    [1],
  )
  await back({ disk })
  await back({ disk })
  assert.deepEqual(await readLeft(disk), [])
})

test('a step that never succeeds can be given up; what else is left is run', async () => {
  const disk = await fresh()
  const ends = { b: failing() }
  await update({ disk, ends }, { postSteps: [run('a'), run('b')] })
  const again = await next({ disk, ends })
  assert.match(again.said.join(), /'bindery recover' tries it again, with --skip-step b it is given up$/)
  const skip = new Set(['b'])
  const given = await verb(
    { disk, ends },
    async (context, session) => await catchUp(context, session, { undo: false, tell: () => {}, skip }),
  )
  assert.deepEqual([given.status, given.ran, short(given.said)], [0, [], ['the step b of 1.1 is given up']])
  assert.deepEqual(await readLeft(disk), [])

  const killed = await fresh()
  await assert.rejects(
    update({ disk: killed, ends: { a: 'killed' } }, { postSteps: [run('a'), run('b'), run('c')], notices: ['read'] }),
    Crash,
  )
  const did = await verb(
    { disk: killed },
    async (context, session) => await catchUp(context, session, { undo: false, tell: () => {}, skip }),
  )
  assert.deepEqual([did.status, did.ran, did.said.slice(1)], [0, ['a 1.1', 'c 1.1'], ['base/amd64: read']])
})

test('what a step prints last reaches no terminal as it is', async () => {
  const disk = await fresh()
  const did = await update({ disk, ends: { b: failing(1, `\u001b]0;mine\u0007\u202e${'x'.repeat(4000)}`) } }, { postSteps: [run('b')] })
  assert.match(did.said.join(), /^the step b failed with status 1: \?\]0;mine\?\?x{190} \(/)
})

test('a plan shows a command without what turns the direction of a text', () => {
  const journal = { actions: [], kept: [], reboot: [], postSteps: [{ ...run('b'), command: 'rm \u202e/x\u009b' }] } as unknown as Journal
  assert.deepEqual(planLines({ journal } as Plan, false), ['run b: rm ?/x?'])
})

test('a disk that is full behind the install leaves the rest to the next run', async () => {
  const record = { postSteps: [run('a'), run('b')], notices: ['read'], reboot: 'reboot' } as const
  const calls = await callsOf(await fresh(), async (disk) => await update({ disk }, record))
  const receipt = calls.indexOf('rename var/db/bindery/journal')
  let interrupted = 0
  for (let at = receipt + 4; at <= calls.length; at++) {
    const disk = await fresh()
    const did = await update({ disk: faultyDisk(disk, { kind: 'fail', at, code: 'no-space' }).disk }, record)
    if (did.error !== undefined) assert.equal(did.error.code, 'interrupted', `${calls[at - 1] ?? ''}: ${did.error.message}`)
    if (did.error !== undefined) interrupted++
    const rest = await next({ disk })
    assert.deepEqual([rest.status, await readLeft(disk)], [0, []])
    assert.deepEqual([...new Set([...did.ran, ...rest.ran])], ['a 1.1', 'b 1.1'])
    assert.ok([...did.said, ...rest.said].includes('base/amd64: read'))
  }
  assert.ok(interrupted > 8, String(interrupted))
})

test('a step that says so takes the install back, also when it fails in a recovery', async () => {
  const before = await picture(await fresh())
  const record = { postSteps: [run('db', { afterRollback: true }), run('b', { failure: 'roll-back' }), run('c')], notices: ['read'] }
  const disk = await fresh()
  const did = await update({ disk, ends: { b: failing(1, 'broken') } }, record)
  assert.ok(isBinderyError(did.error, 'command-failed'))
  assert.deepEqual(short([did.error.message]), [
    'the step b failed with status 1: broken (its output is in /var/db/bindery/log/1); 1.1 was taken back',
  ])
  assert.deepEqual(did.ran, ['db 1.1', 'b 1.1', 'db 1.0'])
  assert.deepEqual(did.said, [])
  assert.equal(await picture(disk), before)
  assert.deepEqual(
    (await readReceiptHeads(disk)).map(({ purpose }) => purpose),
    ['rollback'],
  )
  assert.deepEqual(await next({ disk }), { status: 0, ran: [], said: [], reboot: 'none' })

  const killed = await fresh()
  await assert.rejects(update({ disk: killed, ends: { b: 'killed' } }, record), Crash)
  const recovered = await next({ disk: killed, ends: { b: failing() } })
  assert.ok(isBinderyError(recovered.error, 'command-failed'))
  assert.equal(await picture(killed), before)
})

test('a kill at any moment of taking back ends with the old release', async () => {
  const before = await picture(await fresh())
  const record = { postSteps: [run('b', { failure: 'roll-back', afterRollback: true })] }
  const ends = { b: failing() }
  const calls = await callsOf(await fresh(), async (disk) => await update({ disk, ends }, record))
  const first = calls.indexOf('rename var/db/bindery/journal') + 1
  for (let at = first; at <= calls.length; at++) {
    const disk = await fresh()
    await assert.rejects(update({ disk: faultyDisk(disk, { kind: 'crash', at, when: 'before' }).disk, ends }, record), Crash)
    await next({ disk, ends })
    await next({ disk })
    assert.equal(await picture(disk), before, `before ${at} ${calls[at - 1] ?? ''}`)
    assert.deepEqual(await readLeft(disk), [])
  }
})

test('what cannot be taken back is told, and stays', async () => {
  const disk = await fresh()
  const record = { postSteps: [run('a'), run('b', { failure: 'roll-back' })] }
  const world = { disk, ends: { b: failing() } }
  const [old, one] = (await releases) as [Release, Release, Release]
  const did = await verb(world, async (context, session) => {
    const plain = incoming(old, one)
    const done = await install(disk, old, one, { incoming: { ...plain, update: markVerified({ ...plain.update.value, ...record }) } })
    await disk.unlink(relPath('var/db/bindery/store/1/0'))
    return await conclude(context, session, done)
  })
  assert.equal(did.status, 6)
  assert.match(did.said.join('\n'), /the step b failed with status 3 .* could not be taken back: cannot be brought back/)
  const again = await next({ disk, ends: { b: failing() } })
  assert.deepEqual([again.status, again.ran], [6, ['b 1.1']])
})

test('somebody who goes back does not wait for the steps of what goes', async () => {
  const disk = await fresh()
  await assert.rejects(
    update({ disk, ends: { a: 'killed' } }, { postSteps: [run('a'), run('b', { afterRollback: true })], notices: ['read'] }),
    Crash,
  )
  const did = await verb({ disk }, async (context, session) => {
    const status = await recoverFirst(context, session, ({ purpose }) => purpose !== 'install')
    const work = { ...session, goal: { kind: 'steps', count: 1 } as const }
    return Math.max(status, await conclude(context, session, await rollbackPlan(work, await planRollback(work))))
  })
  assert.deepEqual(did, { status: 0, ran: ['b 1.0'], said: [], reboot: 'none' })
})

test('after a rollback the steps are run that are for both ways, each once', async () => {
  const disk = await fresh()
  const [one, two, three] = (await releases) as [Release, Release, Release]
  const record = { postSteps: [run('ldconfig', { afterRollback: true }), run('once')] }
  await installing({ disk }, { old: one, next: two, record }, { old: two, next: three, record })
  const did = await verb({ disk }, async (context, session) => {
    const work = { ...session, goal: { kind: 'steps', count: 2 } as const }
    return await conclude(context, session, await rollbackPlan(work, await planRollback(work)))
  })
  assert.deepEqual([did.status, did.ran], [0, ['ldconfig 1.0']])
})

test('several updates give one notice: each text once, with its channels, and one class of reboot', async () => {
  const disk = await fresh()
  const [one, two, three] = (await releases) as [Release, Release, Release]
  const did = await installing(
    { disk },
    { old: one, next: two, record: { notices: ['read', 'first'], reboot: 'reboot' } },
    { old: two, next: three, record: { notices: ['read'], reboot: 'careful' } },
  )
  assert.deepEqual(did.said, [
    'base/amd64: read',
    'base/amd64: first',
    'reboot to finish the update of base/amd64; somebody should be near the machine',
  ])
  assert.equal(did.reboot, 'careful')
})

test('a release that is passed over has its say: its steps, notices and class are those of the step', () => {
  const plain = { sequence: 2, reboot: 'none', security: false, notices: [], postSteps: [] } as unknown as Update
  const same = [run('ldconfig')]
  const after = afterInstall([
    { ...plain, postSteps: same, notices: ['x'], reboot: 'careful' },
    { ...plain, postSteps: same, notices: ['x'] },
    { ...plain, postSteps: [run('b')], notices: ['y'], reboot: 'restart' },
    { ...plain, postSteps: same },
  ])
  assert.deepEqual(after.postSteps, [
    run('ldconfig'),
    run('b'),
    run('ldconfig'),
    { kind: 'notice', text: 'x' },
    { kind: 'notice', text: 'y' },
  ])
  assert.equal(after.reboot, 'careful')
})

test('a reboot is needed until the machine has started again, and by a rollback only where it had', async () => {
  const disk = await fresh()
  const pending = async (boot: string): Promise<readonly string[]> =>
    (await pendingReboots(disk, memoryBoot({ id: boot }))).map((need) => short([`${need.old} ${need.new} ${need.class}`])[0] as string)
  await update({ disk }, { reboot: 'reboot' })
  assert.deepEqual([await pending('first'), await pending('second')], [['1.0 1.1 reboot'], []])
  const soon = await back({ disk })
  assert.deepEqual([soon.said, await pending('first')], [[], []])
  await update({ disk }, { reboot: 'careful' })
  assert.deepEqual(await pending('first'), ['1.0 1.1 careful'])
  const late = await back({ disk, boot: 'second' })
  assert.deepEqual(late.said, ['reboot to finish the update of base/amd64; somebody should be near the machine'])
  assert.deepEqual([await pending('second'), await pending('third')], [['1.1 1.0 careful'], []])
})

test('services to restart are named with what they still run', async () => {
  const stale = {
    processes: [{ pid: 812, program: '/usr/sbin/sshd', files: [relPath('lib/b')] }],
    unseen: '3 processes of others can only be seen by root',
  }
  const did = await update({ disk: await fresh(), stale }, { reboot: 'restart' })
  assert.deepEqual(did.said, [
    'restart what still runs files that base/amd64 had before:',
    '  812 /usr/sbin/sshd: /lib/b',
    '  (3 processes of others can only be seen by root)',
  ])
  const none = await update({ disk: await fresh() }, { reboot: 'restart' })
  assert.deepEqual(none.said, ['restart services that use what was updated of base/amd64'])
})
