import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fromLatin1 } from '../src/base/bytes.ts'
import { sha256 } from '../src/base/digest.ts'
import { BinderyError } from '../src/base/error.ts'
import { inodeKey } from '../src/engine/client/apply/links.ts'
import { separated } from '../src/engine/client/apply/separate.ts'
import { stateFolder, statePaths } from '../src/engine/client/state.ts'
import { memoryDisk } from '../src/host/memory-disk.ts'
import { text } from './helpers/client-world.ts'
import { faultyDisk } from './helpers/faulty-disk.ts'
import { withoutLinks } from './helpers/limited-disk.ts'
import { dir, file, hardlink, plant, relPath, symlink } from './helpers/plant.ts'
import { refused } from './helpers/refused.ts'
import type { RelPath } from '../src/base/path.ts'
import type { Plan, Source, StageItem } from '../src/engine/client/apply/plan.ts'
import type { Action, Journal } from '../src/format/journal.ts'
import type { Leaf, Node } from '../src/format/journal-node.ts'
import type { Disk, Stat } from '../src/port/disk.ts'
import type { Literal } from './helpers/plant.ts'

/** Files of a staged root that other trees have, too: before a plan sets attributes of one it is a file of its own. */

const mtime = { sec: 1_600_000_000, nsec: 0 }
const [staged, tree] = [statePaths.stage, statePaths.tree]

/** `other/…` is another tree. */
async function on(literal: Literal): Promise<Disk> {
  const disk = memoryDisk()
  await plant(disk, { etc: dir(), [staged]: dir(), [tree]: 'state of a tree', ...literal })
  return disk
}

const shared: Literal = { 'etc/f': file('x', { mode: 0o640 }), 'other/f': hardlink('etc/f') }

function leaf(path: string, more: Partial<Node> = {}): Leaf {
  const own = { kind: 'file', size: 1, sha256: sha256(fromLatin1('x')) }
  return { path: relPath(path), mode: 0o640, uid: 0, gid: 0, mtime, ...own, ...more } as Leaf
}

const attr = (path: string, old: Node = leaf(path)): Action => ({ kind: 'attr', path: relPath(path), old, new: { ...old, mode: 0o600 } })
const slot = (number: number) => ({ area: 0, number })
const put = (path: string, number: number): Action => ({ kind: 'put', path: relPath(path), slot: slot(number), new: leaf(path) })
const swap = (path: string, number: number): Action => ({ ...put(path, number), kind: 'swap', old: leaf(path) }) as Action
const item = (path: string, number: number, source: Source): StageItem => ({ slot: slot(number), node: leaf(path), source })

async function planOf(
  disk: Disk,
  actions: readonly Action[],
  stage: readonly StageItem[] = [],
  seen: readonly string[] = [],
): Promise<Plan> {
  const none = { releases: [], undoes: [], postSteps: [], reboot: [], kept: [] }
  const journal: Journal = { ...none, transaction: 1, purpose: 'install', direction: 'forward', time: 0, areas: [stateFolder], actions }
  const stats = new Map<RelPath, Stat>()
  for (const path of seen.map(relPath)) stats.set(path, (await disk.lstat(path)) as Stat)
  return { journal, stage, seen: stats }
}

async function callsOf(inner: Disk, ...actions: readonly Action[]): Promise<readonly string[]> {
  const { disk, calls } = faultyDisk(inner, { kind: 'none' })
  await separated(disk, await planOf(inner, actions))
  return calls
}

const statOf = async (disk: Disk, path: string): Promise<Stat> => (await disk.lstat(relPath(path))) as Stat
const areOne = async (disk: Disk, a: string, b: string): Promise<boolean> =>
  inodeKey(await statOf(disk, a)) === inodeKey(await statOf(disk, b))

const half = `${staged}/separated`
const made = [`create ${half}`, `chmod ${half}`, 'setTimes', `sync ${half}`, `rename ${half}`, 'setTimes', 'sync etc']

test('a file that another tree has, too, becomes one of its own, and its folder keeps its time', async () => {
  const disk = await on(shared)
  assert.deepEqual(await callsOf(disk, attr('etc/f')), made)
  assert.equal(await areOne(disk, 'etc/f', 'other/f'), false)
  const stat = await statOf(disk, 'etc/f')
  assert.deepEqual([await text(disk, 'etc/f'), stat.mode, stat.mtime, stat.nlink], ['x', 0o640, mtime, 1])
  assert.deepEqual([(await statOf(disk, 'etc')).mtime, (await statOf(disk, 'other/f')).nlink], [mtime, 1])
  assert.deepEqual(await callsOf(disk, attr('etc/f')), [])
})

test('in a tree that is no staged root nothing is done, and the plan is the same', async () => {
  const disk = await on(shared)
  await disk.unlink(tree)
  const plan = await planOf(disk, [attr('etc/f')], [], ['etc/f'])
  assert.equal(await separated(disk, plan), plan)
  assert.equal(await areOne(disk, 'etc/f', 'other/f'), true)
})

test('what is nobody else’s, or is no file by now, is left as it is', async () => {
  const ways: readonly (readonly [string, Literal])[] = [
    ['a file of its own', { 'etc/f': 'x' }],
    ['nothing', {}],
    ['a folder, which counts its folders', { 'etc/f/a/b': 'x', 'etc/f/c/d': 'x' }],
  ]
  for (const [what, given] of ways) assert.deepEqual(await callsOf(await on(given), attr('etc/f')), [], what)
  const behindLink = await on({ ...shared, 'etc/link': symlink('../other') })
  assert.deepEqual(await callsOf(behindLink, attr('etc/link/f')), [])
})

test('of actions those alone set attributes of what is there that say so, and folders have one name', async () => {
  const folder: Node = { kind: 'dir', path: relPath('etc/f'), mode: 0o755, uid: 0, gid: 0, mtime }
  const drop = { ...swap('etc/f', 0), kind: 'drop' } as Action
  for (const action of [attr('etc/f', folder), put('etc/f', 0), swap('etc/f', 0), drop])
    assert.deepEqual(await callsOf(await on(shared), action), [])
})

test('a link with another name is a link of its own', async () => {
  const disk = await on({ 'etc/f': symlink('to'), 'other/f': hardlink('etc/f') })
  await separated(disk, await planOf(disk, [attr('etc/f', leaf('etc/f', { kind: 'symlink', target: 'to', mode: 0o777 }))]))
  assert.deepEqual([await areOne(disk, 'etc/f', 'other/f'), await disk.readlink(relPath('etc/f'))], [false, 'to'])
})

test('names of one file in this tree stay names of one file', async () => {
  const given = { ...shared, 'etc/g': hardlink('etc/f'), 'etc/h': hardlink('etc/f'), 'etc/y': 'y', 'other/y': hardlink('etc/y') }
  const actions = ['etc/f', 'etc/g', 'etc/y', 'etc/h'].map((path) => attr(path))
  const disk = await on(given)
  const calls = await callsOf(disk, ...actions)
  assert.deepEqual(calls.slice(made.length, made.length + 4), [`link ${half}`, `rename ${half}`, 'setTimes', 'sync etc'])
  assert.deepEqual([await areOne(disk, 'etc/f', 'etc/g'), await areOne(disk, 'etc/f', 'etc/h')], [true, true])
  assert.deepEqual([await areOne(disk, 'etc/f', 'other/f'), await areOne(disk, 'etc/y', 'etc/f')], [false, false])
  assert.deepEqual([await text(disk, 'etc/y'), (await statOf(disk, 'other/f')).nlink], ['y', 1])
  const plain = await on(given)
  await separated(withoutLinks(plain), await planOf(plain, actions))
  assert.deepEqual([await areOne(plain, 'etc/f', 'etc/g'), await areOne(plain, 'etc/g', 'other/f')], [false, false])
})

test('what comes from a store gets its attributes there, and what comes otherwise is a file of its own', async () => {
  const stored = `${stateFolder}/store/7/0`
  const given = {
    ...shared,
    [stored]: file('x', { mode: 0o640 }),
    'other/old': hardlink(stored),
    'etc/g': 'y',
    'other/g': hardlink('etc/g'),
  }
  const link: Source = { kind: 'link', from: relPath(stored) }
  const content: Source = { kind: 'content', path: relPath('etc/f') }
  const others = [item('etc/a', 0, content), item('etc/b', 2, content)]
  for (const coming of [put('etc/f', 1), swap('etc/f', 1)]) {
    const disk = await on(given)
    await separated(
      disk,
      await planOf(disk, [put('etc/a', 0), coming, attr('etc/f'), put('etc/b', 2)], [...others, item('etc/f', 1, link)]),
    )
    assert.deepEqual([await areOne(disk, stored, 'other/old'), await areOne(disk, 'etc/f', 'other/f')], [false, true])
    for (const source of [content, { kind: 'make' } as const]) {
      const plan = await planOf(disk, [coming, attr('etc/f')], [item('etc/f', 1, source)])
      const watched = faultyDisk(disk, { kind: 'none' })
      await separated(watched.disk, plan)
      assert.deepEqual(watched.calls, [])
    }
  }
  // What comes elsewhere is no matter of what is there.
  const disk = await on(given)
  await separated(disk, await planOf(disk, [put('etc/a', 0), attr('etc/f')], others))
  assert.equal(await areOne(disk, 'etc/f', 'other/f'), false)
})

test('the plan knows the tree as it is then, and no more of it than before', async () => {
  const disk = await on({ ...shared, 'etc/g': hardlink('etc/f'), 'etc/own': 'x' })
  const plan = await planOf(disk, [attr('etc/f'), attr('etc/g'), attr('etc/own')], [], ['etc/f', 'etc/own'])
  const before = new Map(plan.seen)
  const { seen, ...rest } = await separated(disk, plan)
  assert.deepEqual([...seen.keys()], ['etc/f', 'etc/own'])
  assert.equal(seen.get(relPath('etc/f'))?.inode, (await statOf(disk, 'etc/f')).inode)
  assert.notEqual(seen.get(relPath('etc/f'))?.inode, before.get(relPath('etc/f'))?.inode)
  assert.equal(seen.get(relPath('etc/own')), before.get(relPath('etc/own')))
  assert.deepEqual([plan.seen, rest], [before, { journal: plan.journal, stage: plan.stage }])
})

test('what a run before has left half done goes first', async () => {
  const disk = await on({ ...shared, [half]: 'left' })
  assert.deepEqual(await callsOf(disk, attr('etc/f')), [`unlink ${half}`, ...made])
  assert.equal(await text(disk, 'etc/f'), 'x')
})

test('what fails is told of the path', async () => {
  const disk = await on(shared)
  const rename: Disk['rename'] = async (from) => await Promise.reject(new BinderyError('io', 'a fault of the test', { subject: from }))
  assert.deepEqual(await refused(callsOf({ ...disk, rename }, attr('etc/f'))), ['io', '/etc/f'])
})
