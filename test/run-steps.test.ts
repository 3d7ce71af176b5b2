import assert from 'node:assert/strict'
import { test } from 'node:test'
import { afterStep, failureOf, runSteps } from '../src/engine/client/apply/run-steps.ts'
import { receiptPath } from '../src/engine/client/apply/receipts.ts'
import { readLeft, withoutSteps, writeSteps } from '../src/engine/client/apply/steps.ts'
import { makeStateFolders } from '../src/engine/client/state.ts'
import { encodeJournal } from '../src/format/journal.ts'
import { usualTerms } from '../src/format/post-step.ts'
import { memoryDisk } from '../src/host/memory-disk.ts'
import { plainJournal } from './helpers/plain-journal.ts'
import { file, plant, relPath } from './helpers/plant.ts'
import { refused } from './helpers/refused.ts'
import type { FailedStep, StepsRun } from '../src/engine/client/apply/run-steps.ts'
import type { Left } from '../src/engine/client/apply/steps.ts'
import type { PostStep, StepTerms, StepToRun } from '../src/format/post-step.ts'
import type { StepEnd, StepJob } from '../src/port/step-runner.ts'

/** Steps with a runner that only says how they end: what each of them is given, and what is left behind it. */

const run = (name: string, terms: Partial<StepTerms> = {}): StepToRun => ({
  kind: 'run',
  command: `do ${name}`,
  name,
  ...usualTerms,
  ...terms,
})
const script = (name: string): StepToRun => ({ kind: 'script', text: 'echo 1\necho 2\n', name, ...usualTerms })

function leftOf(postSteps: readonly PostStep[], more: Partial<Left> = {}): Left {
  return {
    transaction: 7,
    purpose: 'install',
    direction: 'forward',
    time: 1_700_000_000,
    releases: [{ role: 'base', old: 'base-1.0', new: 'base-1.1' }],
    areas: [relPath('var/db/bindery')],
    undoes: [],
    postSteps,
    reboot: [],
    kept: [],
    actions: [],
    ...more,
  }
}

type Did = {
  readonly run: StepsRun
  readonly jobs: readonly StepJob[]
  readonly said: readonly string[]
  /** What the disk said was left when each step was run, and at the end. */
  readonly disk: readonly string[]
}

/** What is not among `ends` ends well. */
async function did(left: Left, ends: Readonly<Record<string, StepEnd>> = {}): Promise<Did> {
  const disk = memoryDisk()
  await makeStateFolders(disk)
  await writeSteps(disk, left)
  const [jobs, said, states]: [StepJob[], string[], string[]] = [[], [], []]
  const onDisk = async (): Promise<string> => (await readLeft(disk)).map(names).join()
  const runner = {
    run: async (job: StepJob): Promise<StepEnd> => {
      jobs.push(job)
      states.push(await onDisk())
      return ends[job.title] ?? { kind: 'ended', status: 0, lastLine: 'done' }
    },
  }
  const outcome = await runSteps({ disk, runner, signal, explain: (line) => said.push(line) }, left)
  return { run: outcome, jobs, said, disk: [...states, await onDisk()] }
}

const { signal } = new AbortController()
const names = ({ failed = [], postSteps }: Left): string =>
  `${failed.map(nameOf).join(' ')}|${postSteps.map((step) => (step.kind === 'notice' ? 'notice' : nameOf(step))).join(' ')}`
const nameOf = ({ name }: StepToRun): string => name
const told = (failed: readonly FailedStep[]): readonly string[] =>
  failed.map(({ step, reason, isOld }) => `${step.name}${isOld ? ' again' : ''}: ${reason}`)

const bad = { kind: 'ended', status: 3, lastLine: 'no space\n' } as const

test('a step is told, and run with its text, its time, its log and the names of the releases', async () => {
  const { jobs, said } = await did(leftOf([run('a', { seconds: 5 }), script('b')]))
  const common = {
    env: {
      HOME: '/root',
      LC_ALL: 'C',
      PATH: '/sbin:/bin:/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin',
      BINDERY_OLD: 'base-1.0',
      BINDERY_NEW: 'base-1.1',
    },
    log: 'var/db/bindery/log/7',
    signal,
  }
  assert.deepEqual(jobs, [
    { title: 'a', text: 'do a', seconds: 5, ...common },
    { title: 'b', text: 'echo 1\necho 2\n', seconds: 900, ...common },
  ])
  assert.deepEqual(said, ['running a', 'running b'])
})

test('a step of several channels, or of none, has no names of releases', async () => {
  const releases = ['base', 'ports'].map((role) => ({ role, old: `${role}-1`, new: `${role}-2` }))
  for (const some of [releases, []]) {
    const { jobs } = await did(leftOf([run('a')], { releases: some }))
    assert.deepEqual(Object.keys(jobs[0]?.env ?? {}), ['HOME', 'LC_ALL', 'PATH'])
  }
})

test('after each step the disk says what is left, and notices stay', async () => {
  const notice: PostStep = { kind: 'notice', text: 'read UPDATING' }
  const { run: found, disk } = await did(leftOf([run('a'), notice, run('b')], { failed: [run('z')] }))
  assert.deepEqual(disk, ['z|a notice b', '|a notice b', '|notice b', '|notice'])
  assert.deepEqual([names(found.left), found.failed, found.rollBack], ['|notice', [], undefined])
})

test('a step that fails is told, and left for the next run; the others are run', async () => {
  const { run: found, disk } = await did(leftOf([run('a'), run('b'), run('c')]), { a: bad, c: { kind: 'out of time' } })
  assert.deepEqual(disk, ['|a b c', 'a|b c', 'a|c', 'a c|'])
  assert.deepEqual(told(found.failed), ['a: failed with status 3: no space', 'c: took too long'])
  assert.deepEqual([names(found.left), found.rollBack], ['a c|', undefined])
})

test('one that fails again is told as an old one, behind those that fail now', async () => {
  const { run: found } = await did(leftOf([run('b')], { failed: [run('a')] }), { a: bad, b: { kind: 'too much output' } })
  assert.deepEqual(told(found.failed), ['a again: failed with status 3: no space', 'b: printed too much'])
  assert.equal(names(found.left), 'a b|')
})

test('of an install that was taken back no steps are left', async () => {
  const disk = memoryDisk()
  await makeStateFolders(disk)
  for (const transaction of [7, 8]) await writeSteps(disk, leftOf([run(`step-${transaction}`)], { transaction }))
  const rollback = plainJournal({ transaction: 9, purpose: 'rollback', undoes: [8] })
  await plant(disk, { [receiptPath(9)]: file(encodeJournal(rollback)) })
  assert.deepEqual((await readLeft(disk)).map(names), ['|step-7'])
})

test('a notice stays, whichever steps are done or given up', () => {
  const notice: PostStep = { kind: 'notice', text: 'read UPDATING' }
  assert.equal(names(withoutSteps(leftOf([run('a'), notice], { failed: [run('z')] }), () => true)), '|notice')
})

const takesBack = (name: string): StepToRun => run(name, { failure: 'roll-back' })

test('a failure that takes the install back ends the steps, and leaves what was left', async () => {
  const { run: found, jobs, disk } = await did(leftOf([run('a'), takesBack('b'), run('c')]), { a: bad, b: bad })
  assert.deepEqual(
    jobs.map(({ title }) => title),
    ['a', 'b'],
  )
  assert.deepEqual(
    [told(found.failed), told(found.rollBack === undefined ? [] : [found.rollBack])],
    [['a: failed with status 3: no space'], ['b: failed with status 3: no space']],
  )
  assert.deepEqual([names(found.left), disk.at(-1)], ['a|b c', 'a|b c'])
})

test('a step that could take the install back, and does not fail, or failed before, takes nothing back', async () => {
  const good = await did(leftOf([takesBack('a'), run('b')]))
  assert.deepEqual([good.run.rollBack, good.run.failed, names(good.run.left), good.jobs.length], [undefined, [], '|', 2])
  const again = await did(leftOf([run('b')], { failed: [takesBack('a')] }), { a: bad })
  assert.deepEqual([again.run.rollBack, told(again.run.failed)], [undefined, ['a again: failed with status 3: no space']])
  assert.equal(again.jobs.length, 2)
})

test('a run that is stopped at a step ends there, and the step is left', async () => {
  const disk = memoryDisk()
  await makeStateFolders(disk)
  const runner = {
    run: async ({ title }: StepJob): Promise<StepEnd> =>
      await Promise.resolve(title === 'b' ? { kind: 'stopped' } : { kind: 'ended', status: 0, lastLine: '' }),
  }
  const left = leftOf([run('a'), run('b'), run('c')])
  assert.deepEqual(await refused(runSteps({ disk, runner, signal, explain: () => {} }, left)), ['stopped', undefined])
  assert.deepEqual((await readLeft(disk)).map(names), ['|b c'])
})

for (const [end, expected] of [
  [{ kind: 'ended', status: 0, lastLine: 'a warning' }, undefined],
  [{ kind: 'ended', status: 1, lastLine: '' }, 'failed with status 1'],
  [{ kind: 'ended', status: 2, lastLine: ' \t\n' }, 'failed with status 2'],
  [{ kind: 'ended', status: 127, lastLine: '  not found \r\n' }, 'failed with status 127: not found'],
  [{ kind: 'ended', status: 1, lastLine: ` ${'x'.repeat(201)}` }, `failed with status 1: ${'x'.repeat(200)}`],
  [{ kind: 'out of time' }, 'took too long'],
  [{ kind: 'too much output' }, 'printed too much'],
] as const satisfies readonly (readonly [StepEnd, string | undefined])[])
  test(`a step that ended so is told so: ${JSON.stringify(end).slice(0, 80)}`, () => {
    assert.equal(failureOf(end), expected)
  })

test('what is left behind a step no longer says what the install kept', () => {
  const [a, b] = [run('a'), run('b')]
  const left = leftOf([a, b], { kept: [{ path: relPath('etc/conf'), reason: 'modified' }] })
  for (const hasFailed of [false, true]) {
    const rest = afterStep(left, a, hasFailed)
    assert.deepEqual([rest.kept, rest.failed, rest.postSteps], [[], hasFailed ? [a] : undefined, [b]])
  }
  const before = { ...left, failed: [a], postSteps: [b] }
  assert.deepEqual(afterStep(before, b, true).failed, [a, b])
  assert.equal('failed' in afterStep(before, a, false), false)
})
