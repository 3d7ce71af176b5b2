import assert from 'node:assert/strict'
import { test } from 'node:test'
import { oneChunk, utf8 } from '../src/base/bytes.ts'
import { BinderyError, isBinderyError } from '../src/base/error.ts'
import { expireTrees, makeNewTree, noteSwitch, nothingChanged, switchTo } from '../src/engine/client/staged/new-tree.ts'
import { readStanding, readTreeState, writeTreeState } from '../src/engine/client/staged/place.ts'
import { defaultConfig } from '../src/format/conf.ts'
import { memoryDisk } from '../src/host/memory-disk.ts'
import { release } from './helpers/client-world.ts'
import { enrolledState } from './helpers/enrolled-state.ts'
import { dir, file, plant, relPath, symlink } from './helpers/plant.ts'
import { refused } from './helpers/refused.ts'
import { belowOn, link, placeOn } from './helpers/staged-place.ts'
import type { NewTreeInput } from '../src/engine/client/staged/new-tree.ts'
import type { TreeState } from '../src/format/tree-state.ts'
import type { Disk } from '../src/port/disk.ts'
import type { Literal } from './helpers/plant.ts'

/** A tree is made beside others and comes in their place: what it is called, what is noted of it, and which of the others go. */

const treePath = (number: number): ReturnType<typeof relPath> => relPath(`jail.trees/${number}`)

type Trees = Readonly<Record<number, Partial<TreeState> | undefined>>

/** Trees by their numbers, with what they say of themselves, if they do; the link leads to `current`. */
async function world(current: number, trees: Trees, more: Literal = {}, mounts: readonly string[] = []): Promise<Disk> {
  const disk = memoryDisk({ mounts: Object.fromEntries(mounts.map((path) => [path, {}])) })
  const folders = Object.keys(trees).map((number) => [`jail.trees/${number}/var/db/bindery`, dir()] as const)
  await plant(disk, {
    jail: symlink(`jail.trees/${current}`),
    'jail.trees/closed': dir(),
    'jail.trees/lock': dir(),
    ...Object.fromEntries(folders),
    ...more,
  })
  for (const [number, state] of Object.entries(trees))
    if (state !== undefined)
      await writeTreeState(belowOn(disk)(treePath(Number(number))), { number: Number(number), from: undefined, made: 1000, ...state })
  return disk
}

async function inputOn(disk: Disk, changes: Partial<NewTreeInput> = {}): Promise<NewTreeInput> {
  const [place, diskOf] = [placeOn(disk), belowOn(disk)]
  const standing = await readStanding(place, diskOf)
  return { place, standing, diskOf, config: defaultConfig, now: 2000, signal: new AbortController().signal, ...changes }
}

async function stateOf(disk: Disk, number: number): Promise<TreeState | undefined> {
  return await readTreeState(belowOn(disk)(treePath(number)))
}

const closed = async (disk: Disk): Promise<readonly string[]> => await disk.readdir(relPath('jail.trees/closed'))

const left = { left: { sec: 1_700_000_000, nsec: 0 } }

test('a new tree has the next number after all that are there, and says which one it was made from', async () => {
  for (const [current, trees, number] of [
    [1, { 1: {} }, 2],
    [3, { 1: left, 3: {} }, 4],
    [2, { 1: left, 2: left, 5: left }, 6],
  ] as const) {
    const disk = await world(current, trees)
    const made = await makeNewTree(await inputOn(disk))
    assert.deepEqual([made.number, made.path, made.mounts], [number, `jail.trees/closed/${number}.new`, []])
    assert.deepEqual(await readTreeState(belowOn(disk)(made.path)), { number, from: current, made: 2000 })
    for (const folder of ['lock', 'stage']) assert.ok(await belowOn(disk)(made.path).lstat(relPath(`var/db/bindery/${folder}`)), folder)
  }
})

test('a mount in the tree is told, unless a release has files there: then no tree is made', async () => {
  const state = await enrolledState(await release('1.0', { 'usr/lib.so': 'library', proc: dir() }))
  const files = Object.fromEntries(Object.entries(state).map(([path, one]) => [`jail.trees/1/${path}`, one]))
  const mounted = async (path: string): Promise<Disk> => await world(1, { 1: {} }, files, [`jail.trees/1/${path}`])
  assert.deepEqual((await makeNewTree(await inputOn(await mounted('proc')))).mounts, ['proc'])
  const disk = await mounted('usr')
  assert.deepEqual(await refused(makeNewTree(await inputOn(disk))), ['conflict', '/usr'])
  assert.deepEqual(await closed(disk), [])
})

test('each path is told while a tree is made, and what was made goes when it is stopped', async () => {
  const disk = await world(1, { 1: {} }, { 'jail.trees/1/etc/conf': '' })
  let count = 0
  await makeNewTree(await inputOn(disk, { meter: { advance: (by) => void (count += by), end: () => undefined } }))
  // The state of the tree is its own.
  assert.equal(count, ['.', 'etc', 'etc/conf', 'var', 'var/db', 'var/db/bindery'].length)
  const [stopped, stop] = [new Error('stopped'), new AbortController()]
  const stopping = await world(1, { 1: {} })
  const advance = (): void => stop.abort(stopped)
  await assert.rejects(
    makeNewTree(await inputOn(stopping, { signal: stop.signal, meter: { advance, end: () => undefined } })),
    (error) => error === stopped,
  )
  assert.deepEqual(await closed(stopping), [])
})

test('where what was made cannot be removed, the failure before it is told', async () => {
  const inner = await world(1, { 1: {} }, { 'jail.trees/1/etc/conf': '' })
  const failing = (code: 'io' | 'no-space') => async (path: string) => {
    throw new BinderyError(code, 'fails', { subject: path })
  }
  const disk: Disk = { ...inner, clone: failing('no-space'), rename: failing('io') }
  const path = 'jail.trees/closed/2.new'
  assert.deepEqual(await refused(makeNewTree(await inputOn(disk))), ['no-space', `${path}/etc/conf`])
  assert.deepEqual(await closed(inner), ['2.new'])
})

/** Somebody writes a file at each of the first `times` looks at the old tree before the switch. */
async function writingOn(times: number): Promise<{ readonly late: number; readonly looks: number; readonly came: number }> {
  const inner = await world(1, { 1: {} })
  let [looks, isSwitched] = [0, false]
  const disk: Disk = {
    ...inner,
    readdir: async (path) => {
      if (path === treePath(1) && !isSwitched && ++looks <= times)
        await inner.create(relPath(`jail.trees/1/f${looks}`), oneChunk(utf8('late')))
      return await inner.readdir(path)
    },
    rename: async (from, to) => {
      isSwitched ||= to === link
      await inner.rename(from, to)
    },
  }
  const input = await inputOn(disk)
  const made = await makeNewTree({ ...input, place: placeOn(inner), diskOf: belowOn(inner) })
  const { late } = await switchTo(input, made)
  const came = (await inner.readdir(treePath(2))).filter((name) => name.startsWith('f')).length
  return { late, looks, came }
}

test('what is written meanwhile is looked for until a look finds nothing, three times at most', async () => {
  assert.deepEqual(await writingOn(0), { late: 0, looks: 1, came: 0 })
  assert.deepEqual(await writingOn(1), { late: 1, looks: 2, came: 1 })
  assert.deepEqual(await writingOn(2), { late: 2, looks: 3, came: 2 })
  assert.deepEqual(await writingOn(5), { late: 3, looks: 3, came: 3 })
})

test('behind the switch the old tree says when it was left, by the time of the link', async () => {
  const disk = await world(1, { 1: { made: 7 } })
  const input = await inputOn(disk)
  const { old } = await switchTo(input, await makeNewTree(input))
  assert.deepEqual(old, { number: 1, path: 'jail.trees/1' })
  assert.deepEqual(await stateOf(disk, 1), { number: 1, from: undefined, made: 7, left: (await disk.lstat(link))?.mtime })
  assert.equal((await stateOf(disk, 2))?.left, undefined)
})

test('a tree that says nothing of itself is left without a note', async () => {
  const disk = await world(1, { 1: undefined })
  const input = await inputOn(disk)
  await switchTo(input, await makeNewTree(input))
  assert.equal(await stateOf(disk, 1), undefined)
  assert.equal((await stateOf(disk, 2))?.from, 1)
})

async function noted(disk: Disk, meanwhile: () => Promise<void> = async () => {}): Promise<void> {
  const { place, diskOf, standing } = await inputOn(disk)
  await meanwhile()
  await noteSwitch(place, diskOf, standing)
}

test('a run that was killed behind the switch has its note made by the next one, and nothing else is noted', async () => {
  const disk = await world(3, { 1: left, 2: {}, 3: { from: 2 } })
  await noted(disk)
  const [time, linkTime] = [(await stateOf(disk, 2))?.left, (await disk.lstat(link))?.mtime]
  assert.deepEqual(time, linkTime)
  assert.deepEqual([(await stateOf(disk, 1))?.left, (await stateOf(disk, 3))?.left], [left.left, undefined])
})

test('a note that is there stays as it is, and where none can be made nothing fails', async () => {
  const there = await world(2, { 1: left, 2: { from: 1 } })
  await noted(there)
  assert.deepEqual((await stateOf(there, 1))?.left, left.left)
  for (const trees of [
    { 1: {}, 2: undefined },
    { 1: {}, 2: {} },
    { 1: {}, 2: { from: 7 } },
  ]) {
    const disk = await world(2, trees)
    await noted(disk)
    assert.equal((await stateOf(disk, 1))?.left, undefined)
  }
  const silent = await world(2, { 1: undefined, 2: { from: 1 } })
  await noted(silent)
  assert.equal(await stateOf(silent, 1), undefined)
  const gone = await world(2, { 1: {}, 2: { from: 1 } })
  await noted(gone, async () => await gone.unlink(link))
  assert.equal((await stateOf(gone, 1))?.left, undefined)
})

/** Which trees are kept, and how many are there afterwards. */
async function expired(disk: Disk, keepTrees: number): Promise<readonly [kept: readonly string[], there: readonly string[]]> {
  const kept = await expireTrees(await inputOn(disk, { config: { ...defaultConfig, keepTrees } }))
  const names = (await disk.readdir(relPath('jail.trees'))).filter((name) => /^[0-9]/.test(name))
  return [kept.map(({ tree, why }) => `${tree.number}: ${why}`), names.toSorted()]
}

test('the oldest trees go, but for as many as bindery.conf says', async () => {
  const trees = { 1: left, 2: left, 3: left, 4: {} }
  assert.deepEqual(await expired(await world(4, trees), 1), [[], ['3', '4']])
  assert.deepEqual(await expired(await world(4, trees), 2), [[], ['2', '3', '4']])
  assert.deepEqual(await expired(await world(4, trees), 0), [[], ['4']])
  assert.deepEqual(await expired(await world(4, trees), 9), [[], ['1', '2', '3', '4']])
})

test('a tree is kept longer in which something is mounted, or was written, or that was left by hand, and that is told', async () => {
  const one = async (state: Partial<TreeState> | undefined, more: Literal = {}, mounts: readonly string[] = []): Promise<unknown> =>
    await expired(await world(2, { 1: state, 2: {} }, more, mounts), 0)
  assert.deepEqual(await one(left, {}, ['jail.trees/1/proc']), [['1: /proc is mounted in it'], ['1', '2']])
  const late = (path: string): Literal => ({ [`jail.trees/1/${path}`]: file('', { mtime: { sec: left.left.sec + 1, nsec: 0 } }) })
  assert.deepEqual(await one(left, late('f')), [['1: /f was written into it after the switch'], ['1', '2']])
  const three = { ...late('d/f'), ...late('d/g'), ...late('d/h') }
  assert.deepEqual(await one(left, three), [['1: /d/f was written into it after the switch, and 2 more'], ['1', '2']])
  for (const state of [{}, undefined]) assert.deepEqual(await one(state), [['1: the link was led away from it by hand'], ['1', '2']])
})

test('a failure in a tree that is thrown away has interrupted nothing', () => {
  const cause = new BinderyError('no-space', 'no space left', { subject: 'f' })
  const facts = { subject: '/etc', hint: "'bindery recover' finishes it" }
  const ways: readonly (readonly [BinderyError, string, string])[] = [
    [new BinderyError('interrupted', 'stopped midway', { ...facts, cause }), 'no-space', 'no space left'],
    [new BinderyError('interrupted', 'stopped midway', { ...facts, cause: new Error('a bug') }), 'io', 'stopped midway'],
    [new BinderyError('interrupted', 'stopped midway', facts), 'io', 'stopped midway'],
  ]
  for (const [error, code, message] of ways) {
    const told = nothingChanged(error)
    assert.ok(isBinderyError(told))
    assert.deepEqual([told.code, told.message, told.subject, told.cause], [code, message, '/etc', error])
    assert.notEqual(told.hint, facts.hint)
  }
  for (const other of [cause, new Error('a bug'), undefined]) assert.equal(nothingChanged(other), other)
})
