import assert from 'node:assert/strict'
import { test } from 'node:test'
import { oneChunk, utf8 } from '../src/base/bytes.ts'
import { BinderyError } from '../src/base/error.ts'
import { installPlan, planInstall } from '../src/engine/client/apply/install.ts'
import { logPath, stepsPath } from '../src/engine/client/apply/steps.ts'
import { listNumbers, listReceipts, receiptPath } from '../src/engine/client/apply/receipts.ts'
import { expire, finish, tryToExpire } from '../src/engine/client/apply/transaction.ts'
import { stateFolder, statePaths } from '../src/engine/client/state.ts'
import { encodeJournal } from '../src/format/journal.ts'
import { memoryDisk } from '../src/host/memory-disk.ts'
import { install, installInput, leftovers, machine, release, text, whole } from './helpers/client-world.ts'
import { callsOf } from './helpers/crash.ts'
import { Crash, faultyDisk } from './helpers/faulty-disk.ts'
import { withoutRoot } from './helpers/limited-disk.ts'
import { plainJournal } from './helpers/plain-journal.ts'
import { dir, file, hardlink, plant, relPath } from './helpers/plant.ts'
import { refused } from './helpers/refused.ts'
import type { InstallInput } from '../src/engine/client/apply/install.ts'
import type { Journal } from '../src/format/journal.ts'
import type { Disk, Stat } from '../src/port/disk.ts'
import type { Literal } from './helpers/plant.ts'

/** What a plan that is carried out does beside the changes themselves: it looks again, takes back, and sweeps. */

const mtime = { sec: 1_650_000_000, nsec: 5 }
const f = relPath('f')

/** An install that is planned on a machine, which `work` changes before it is carried out. */
async function afterPlanning(
  before: Literal,
  after: Literal,
  work: (disk: Disk) => Promise<Disk | void>,
  changes: Partial<InstallInput> = {},
): Promise<{ readonly disk: Disk; readonly refusal: readonly (string | undefined)[] }> {
  const disk = await machine(memoryDisk(), before)
  const input = installInput(disk, await release('1.0', before), await release('1.1', after), changes)
  const plan = await planInstall(input)
  const changed = (await work(disk)) ?? disk
  return { disk, refusal: await refused(installPlan({ ...input, disk: changed }, plan)) }
}

const failing = (error: unknown) => async (): Promise<never> => {
  throw error
}

// --- looked at again

test('what was changed since the plan was made is planned anew; folders in which names came and went are not', async () => {
  const before: Literal = { f: file('1', { mtime }), g: file('1', { mtime }), 'd/e': dir({ mtime }), a: file('x', { mtime }) }
  const after: Literal = { f: '2', 'n/m': 'new', a: file('x', { mtime }), b: hardlink('a') }
  const rewrite = async (disk: Disk, path: string, content: string): Promise<void> => {
    await disk.truncate(relPath(path), 0)
    await disk.append(relPath(path), oneChunk(utf8(content)))
    await disk.setTimes([{ path: relPath(path), mtime }])
  }
  const timed = async (disk: Disk, path: string, sec: number, nsec: number): Promise<void> =>
    await disk.setTimes([{ path: relPath(path), mtime: { sec, nsec } }])
  const exchange = async (disk: Disk, path: string): Promise<void> => {
    await disk.unlink(relPath(path))
    await disk.create(relPath(path), oneChunk(utf8('1')))
    await disk.setTimes([{ path: relPath(path), mtime }])
  }
  /** Numbers of files are used again: another one may have that of the file that was seen. */
  const asOther = async (disk: Disk, path: string, other: Partial<Stat>): Promise<Disk> => ({
    ...disk,
    lstat: async (at) => {
      const stat = await disk.lstat(at)
      return stat !== undefined && at === path ? { ...stat, ...other } : stat
    },
  })
  const ways: readonly (readonly [string, (disk: Disk) => Promise<Disk | void>, string | undefined])[] = [
    ['nothing', async () => {}, undefined],
    ['another size', async (disk) => await rewrite(disk, 'f', '1+'), '/f'],
    ['another time', async (disk) => await timed(disk, 'f', mtime.sec + 1, mtime.nsec), '/f'],
    ['another time by a nanosecond', async (disk) => await timed(disk, 'g', mtime.sec, mtime.nsec + 1), '/g'],
    ['another file', async (disk) => await exchange(disk, 'f'), '/f'],
    ['another kind with its number', async (disk) => await asOther(disk, 'f', { kind: 'fifo' }), '/f'],
    ['a folder with its number', async (disk) => await asOther(disk, 'f', { kind: 'dir' }), '/f'],
    ['another file of its number on another device', async (disk) => await asOther(disk, 'f', { device: 99n }), '/f'],
    ['a file that is gone', async (disk) => await disk.unlink(relPath('g')), '/g'],
    ['a name that came', async (disk) => void (await disk.create(relPath('n'), oneChunk(utf8('mine')))), '/n'],
    ['a folder that was touched', async (disk) => await timed(disk, 'd/e', 1, 0), undefined],
    ['a folder that got another mode', async (disk) => await disk.chmod(relPath('d/e'), 0o700), undefined],
    ['a file that gives its name to another path', async (disk) => await rewrite(disk, 'a', 'mine'), '/a'],
  ]
  for (const [what, work, subject] of ways) {
    const { disk, refusal } = await afterPlanning(before, after, work)
    assert.deepEqual(refusal, subject === undefined ? ['not refused'] : ['conflict', subject], what)
    if (subject !== undefined) assert.deepEqual(await leftovers(disk), [], what)
  }
})

test('what is planned to stay as it is may change meanwhile', async () => {
  const tree = { f: '1', own: 'a' }
  const { disk, refusal } = await afterPlanning(tree, { ...tree, f: '2' }, async (on) => {
    await on.append(relPath('own'), oneChunk(utf8('b')))
  })
  assert.deepEqual([refusal, await text(disk, 'own'), await text(disk, 'f')], [['not refused'], 'ab', '2'])
})

test('somebody who is not root is told before anything is staged that a release has files of others', async () => {
  let calls: readonly string[] = []
  const { refusal } = await afterPlanning({ f: '1' }, { f: file('2', { uid: 7 }) }, async (disk) => {
    const watched = faultyDisk(withoutRoot(disk), { kind: 'none' })
    calls = watched.calls
    return watched.disk
  })
  assert.deepEqual(refusal, ['permission', '/f'])
  assert.deepEqual(
    calls.filter((call) => call.startsWith('create')),
    [],
  )
})

// --- stopped, or failed

test('whoever stops it is told so with the reason, or by the reason itself', async () => {
  const [own, other] = [new BinderyError('stopped', 'out of time', { hint: 'later' }), new Error('a signal')]
  const run = async (reason: unknown): Promise<unknown> => {
    const stopping = new AbortController()
    const disk = await machine(memoryDisk(), { f: '1' })
    const input = installInput(disk, await release('1.0', { f: '1' }), await release('1.1', { f: '2' }), { signal: stopping.signal })
    const plan = await planInstall(input)
    stopping.abort(reason)
    const error = await installPlan(input, plan).catch((thrown: unknown) => thrown)
    assert.deepEqual([await leftovers(disk), await text(disk, 'f')], [[], '1'])
    return error
  }
  assert.equal(await run(own), own)
  const stopped = await run(other)
  assert.ok(stopped instanceof BinderyError)
  assert.deepEqual([stopped.code, stopped.cause], ['stopped', other])
})

test('a failure after which nobody has stopped anything is told as it is, and leaves nothing', async () => {
  const stopping = new AbortController()
  const full = new BinderyError('no-space', 'is full', { subject: 'elsewhere' })
  const work = async (on: Disk): Promise<Disk> => ({ ...on, create: failing(full) })
  const { disk, refusal } = await afterPlanning({ f: '1' }, { f: '2' }, work, { signal: stopping.signal })
  assert.deepEqual([refusal, await leftovers(disk)], [['no-space', 'elsewhere'], []])
})

/** A disk that is full when the first content comes, and can remove no folder from then on. */
function fullAndMore(inner: Disk, second: unknown): Disk {
  let isFull = false
  return {
    ...inner,
    create: async (path) => {
      isFull = true
      throw new BinderyError('no-space', 'the first failure', { subject: path })
    },
    rmdir: async (path) => {
      if (isFull) throw second
      await inner.rmdir(path)
    },
  }
}

test('a journal that has its name, and is not durable, is taken back for good before what it names is', async () => {
  const before = { f: '1' }
  const disk = await machine(memoryDisk(), before)
  const [old, next] = [await release('1.0', before), await release('1.1', { f: '2' })]
  const calls = await callsOf(await machine(memoryDisk(), before), async (on) => await install(on, old, next))
  const at = calls.indexOf(`rename ${statePaths.journal}.new`) + 2
  assert.equal(calls[at - 1], `sync ${stateFolder}`)
  const faulty = faultyDisk(disk, { kind: 'fail', at, code: 'io' })
  assert.deepEqual(await refused(install(faulty.disk, old, next)), ['io', stateFolder])
  assert.deepEqual(faulty.calls.slice(at, at + 2), [`unlink ${statePaths.journal}`, `sync ${stateFolder}`])
  assert.deepEqual([await text(disk, 'f'), await leftovers(disk), await disk.lstat(statePaths.journal)], ['1', [], undefined])
})

test('what cannot be taken back does not hide why it was to be; a bug on the way is no failure', async () => {
  const second = new BinderyError('permission', 'the second failure')
  const bug = new TypeError('a bug')
  const run = async (then: unknown): Promise<readonly (string | undefined)[]> =>
    (await afterPlanning({ f: '1' }, { f: '2' }, async (disk) => fullAndMore(disk, then))).refusal
  assert.deepEqual(await run(second), ['no-space', '/f'])
  await assert.rejects(run(bug), bug)
})

// --- finished

const none = plainJournal({ time: 0, releases: [{ role: 'base-amd64', old: '1.0', new: '1.1' }] })
const reboot: Journal['reboot'] = [{ role: 'base-amd64', class: 'reboot' }]
const inState = (path: string, ...journals: readonly Journal[]): Literal =>
  Object.fromEntries(journals.map((journal) => [`${path}/${journal.transaction}`, file(encodeJournal(journal))]))

async function on(literal: Literal): Promise<Disk> {
  const disk = memoryDisk()
  const folders = [statePaths.stage, statePaths.store, statePaths.receipt, statePaths.steps, statePaths.log]
  await plant(disk, { ...Object.fromEntries(folders.map((path) => [path, dir()])), ...literal })
  return disk
}

test('the journal becomes the receipt, with what is left to do beside it; a receipt is durable before its old name is gone for good', async () => {
  const journal = { ...none, reboot }
  const disk = await on({ [`${statePaths.stage}/1`]: dir(), [statePaths.journal]: file(encodeJournal(journal)) })
  const calls = await callsOf(disk, async (watched) => await finish(watched, journal, { keepReleases: 1 }))
  assert.deepEqual(calls.slice(-5), [
    `sync ${statePaths.steps}`,
    `rename ${statePaths.journal}`,
    `sync ${statePaths.receipt}`,
    `sync ${stateFolder}`,
    `rmdir ${statePaths.stage}/1`,
  ])
  assert.deepEqual([await listReceipts(disk), await disk.readdir(statePaths.steps)], [[1], ['1']])
})

test('backward, the journal goes with the steps that were left, and no receipt comes', async () => {
  const journal: Journal = { ...none, direction: 'backward', reboot }
  const disk = await on({
    [`${statePaths.stage}/1`]: dir(),
    [statePaths.journal]: file(encodeJournal(journal)),
    ...inState(statePaths.steps, none),
  })
  const calls = await callsOf(disk, async (watched) => await finish(watched, journal, { keepReleases: 1 }))
  assert.deepEqual(calls.slice(-5), [
    `unlink ${stepsPath(1)}`,
    `sync ${statePaths.steps}`,
    `unlink ${statePaths.journal}`,
    `sync ${stateFolder}`,
    `rmdir ${statePaths.stage}/1`,
  ])
  assert.deepEqual([await disk.lstat(statePaths.journal), await listReceipts(disk)], [undefined, []])
})

test('what fails in the middle says that it was interrupted, of a path from the root; a bug stays one', async () => {
  const subjects: readonly (readonly [string | undefined, string | undefined])[] = [
    ['var/db/bindery/journal', '/var/db/bindery/journal'],
    ['/f', '/f'],
    [undefined, undefined],
  ]
  for (const [subject, told] of subjects) {
    const cause = new BinderyError('io', 'is damaged', { subject })
    const disk: Disk = { ...(await on({ [`${statePaths.stage}/1`]: dir() })), rename: failing(cause) }
    await assert.rejects(finish(disk, none, { keepReleases: 1 }), (error: BinderyError) => {
      assert.deepEqual([error.code, error.subject, error.cause], ['interrupted', told, cause])
      return true
    })
  }
  const bug = new TypeError('a bug')
  const disk: Disk = { ...(await on({ [`${statePaths.stage}/1`]: dir() })), rename: failing(bug) }
  await assert.rejects(finish(disk, none, { keepReleases: 1 }), bug)
})

// --- several names of one file

/** `b` is a name of `a`, and goes while `a` stays; at the end the journal waits for its receipt. */
async function interruptedAtEnd(): Promise<{ readonly disk: Disk; readonly journal: Journal; readonly before: string }> {
  const [before, after]: readonly Literal[] = [{ a: file('x', { mtime }), b: hardlink('a') }, { a: file('x', { mtime }) }]
  const [old, next] = [await release('1.0', before as Literal), await release('1.1', after as Literal)]
  const disk = await machine(memoryDisk(), before as Literal)
  const picture = await whole(disk)
  const input = installInput(disk, old, next)
  const plan = await planInstall(input)
  const calls = await callsOf(await machine(memoryDisk(), before as Literal), async (on) => await install(on, old, next))
  const at = calls.indexOf(`rename ${statePaths.journal}`) + 1
  await assert.rejects(installPlan({ ...input, disk: faultyDisk(disk, { kind: 'crash', at, when: 'before' }).disk }, plan), Crash)
  return { disk, journal: plan.journal, before: picture }
}

test('a name that went is a name of the same file again when it comes back, also at the last moment', async () => {
  const { disk, journal, before } = await interruptedAtEnd()
  assert.equal((await disk.lstat(relPath('a')))?.nlink, 1)
  const calls = await callsOf(disk, async (on) => await finish(on, { ...journal, direction: 'backward' }, { keepReleases: 1 }))
  assert.equal(await whole(disk), before)
  assert.equal((await disk.lstat(relPath('b')))?.inode, (await disk.lstat(relPath('a')))?.inode)
  const store = `${stateFolder}/store/1`
  assert.deepEqual(
    calls.filter((call) => call.startsWith('link') || call === `sync ${store}`),
    [`link ${store}/0.half`, `sync ${store}`],
  )
})

test('forward, a name that has its own file in the store keeps it', async () => {
  const { disk, journal } = await interruptedAtEnd()
  const calls = await callsOf(disk, async (on) => await finish(on, journal, { keepReleases: 1 }))
  const ofStore = calls.filter((call) => /^(?:link|create|rename) .*\/store\//.test(call))
  assert.deepEqual([ofStore, (await disk.lstat(relPath('a')))?.nlink], [[], 1])
})

// --- expired

const numbered = (transaction: number, more: Partial<Journal> = {}): Journal => ({
  ...none,
  transaction,
  releases: [{ role: 'base-amd64', old: `1.${transaction - 1}`, new: `1.${transaction}` }],
  ...more,
})
const undoing = (transaction: number, ...undoes: readonly number[]): Journal => numbered(transaction, { purpose: 'rollback', undoes })

test('so many installs are kept as can be taken back, and their stores; of one with steps that are left the newest', async () => {
  const all = [1, 2, 3].map((transaction) => numbered(transaction))
  const ways: readonly (readonly [string, readonly Journal[], readonly Journal[], number, readonly number[]])[] = [
    ['all', all, [], 4, [1, 2, 3]],
    ['two', all, [], 2, [2, 3]],
    ['none', all, [], 0, []],
    ['none, but for steps', all, [numbered(3, { reboot })], 0, [3]],
    ['two, with steps', all, [numbered(3, { reboot })], 2, [2, 3]],
    ['what was undone', [...all, undoing(4, 3, 2)], [], 3, [1]],
    ['what was undone long ago', [numbered(2), undoing(3, 2), numbered(4)], [], 3, [4]],
  ]
  for (const [what, receipts, steps, keep, stores] of ways) {
    const inStore = receipts.map(({ transaction }) => [`${statePaths.store}/${transaction}/0`, 'old'] as const)
    const disk = await on({
      ...inState(statePaths.receipt, ...receipts),
      ...inState(statePaths.steps, ...steps),
      ...Object.fromEntries(inStore),
    })
    await expire(disk, keep)
    assert.deepEqual(await listNumbers(disk, statePaths.store), stores, what)
    const purposes = receipts.filter(({ purpose }) => purpose === 'install').map(({ transaction }) => transaction)
    const left = (await listReceipts(disk)).filter((transaction) => purposes.includes(transaction))
    assert.deepEqual(left, stores, what)
  }
})

test('receipts have gone for good, with their steps, before anything that they name goes; else nothing is synced', async () => {
  const literal: Literal = {
    ...inState(statePaths.receipt, numbered(1), numbered(2), numbered(3)),
    ...inState(statePaths.steps, numbered(1, { reboot })),
    [`${statePaths.store}/1`]: dir(),
  }
  const disk = await on(literal)
  const calls = await callsOf(disk, async (watched) => await expire(watched, 1))
  assert.deepEqual(calls, [
    `unlink ${stepsPath(1)}`,
    `sync ${statePaths.steps}`,
    `unlink ${receiptPath(1)}`,
    `unlink ${receiptPath(2)}`,
    `sync ${statePaths.receipt}`,
    `rmdir ${statePaths.store}/1`,
    `sync ${statePaths.store}`,
  ])
  assert.deepEqual(await callsOf(disk, async (watched) => await expire(watched, 1)), [])
})

test('outputs of steps stay of as many transactions as can be taken back, and always that of the newest', async () => {
  const ways: readonly (readonly [number, readonly string[]])[] = [
    [0, ['3']],
    [1, ['3']],
    [2, ['2', '3']],
    [3, ['1', '2', '3']],
    [4, ['1', '2', '3']],
  ]
  for (const [keep, logs] of ways) {
    const disk = await on(Object.fromEntries([1, 2, 3].map((transaction) => [logPath(transaction), 'output'])))
    await expire(disk, keep)
    assert.deepEqual([...(await disk.readdir(statePaths.log))].sort(), logs, String(keep))
  }
})

test('that old things could not be removed is told, and no failure', async () => {
  const disk = await on(inState(statePaths.receipt, numbered(1), numbered(2)))
  const told = await tryToExpire({ ...disk, unlink: failing(new BinderyError('read-only', 'is mounted so', { subject: f })) }, 1)
  assert.deepEqual([told?.code, told?.subject, await tryToExpire(disk, 1), await listReceipts(disk)], ['read-only', f, undefined, [2]])
})
