import assert from 'node:assert/strict'
import { test } from 'node:test'
import { emptyBytes, oneChunk } from '../src/base/bytes.ts'
import { BinderyError } from '../src/base/error.ts'
import { checkFileSystems, checkOwnership, needs, showNeed } from '../src/engine/client/apply/space.ts'
import { memoryDisk } from '../src/host/memory-disk.ts'
import { action, nodeAt, planOn, seenOn } from './helpers/planned.ts'
import { block, char, dir, file, plant, relPath, symlink } from './helpers/plant.ts'
import type { Plan, Source, StageItem } from '../src/engine/client/apply/plan.ts'
import type { Action } from '../src/format/journal.ts'
import type { Leaf } from '../src/format/journal-node.ts'
import type { Disk, Space, Stat } from '../src/port/disk.ts'
import type { Plant } from './helpers/plant.ts'

/** What a plan takes of each file system, where that is not there, and what only root may do: all asked before anything is written. */

const state = 'var/db/bindery'
const usr = { area: 1, number: 0 }
const content = (path: string): Source => ({ kind: 'content', path: relPath(path) })
const stream = (from?: string): Source => ({
  kind: 'stream',
  content: () => oneChunk(emptyBytes),
  ...(from !== undefined && { from: relPath(from) }),
})

function staged(path: string, given: Plant, { source = content(path), area = 0 }: { source?: Source; area?: number } = {}): StageItem {
  return { slot: { area, number: 0 }, node: nodeAt(path, given) as Leaf, source }
}

/** Of two areas, the second on /usr. */
async function planned(disk: Disk, actions: readonly Action[], stage: readonly StageItem[] = []): Promise<Plan> {
  const plan = await planOn(disk, actions, stage)
  const seen = await seenOn(disk, [...actions.map(({ path }) => path), state, 'usr/.bindery'])
  return { ...plan, seen, journal: { ...plan.journal, areas: [relPath(state), relPath('usr/.bindery')] } }
}

// --- what it takes

const perAction = 800
const five = file('12345')

async function needed(actions: readonly Action[], stage: readonly StageItem[] = []): Promise<readonly (readonly unknown[])[]> {
  return needs(await planned(memoryDisk(), actions, stage)).map(({ sizes, inodes, first }) => [sizes, inodes, first])
}

const nothing = [[1, 1], 3, undefined] as const

for (const [what, actions, stage, own, other] of [
  ['nothing: the folders of the transaction', [], [], [[0, 1, 1], 3, undefined], nothing],
  ['actions: the journal', [action('rmdir', 'a'), action('rmdir', 'b')], [], [[2 * perAction, 1, 1], 3, undefined], nothing],
  ['a file: its content, where its slot is', [], [staged('f', five)], [[5, 0, 1, 1], 4, 'f'], nothing],
  ['a file of another area', [], [staged('usr/f', five, usr)], [[0, 1, 1], 3, undefined], [[5, 1, 1], 4, 'usr/f']],
  ['a link, which has no blocks, before a file', [], [staged('l', symlink('x')), staged('f', five)], [[0, 5, 0, 1, 1], 5, 'f'], nothing],
  [
    'a link alone: no file is the first',
    [],
    [staged('l', symlink('x'), { source: { kind: 'make' } })],
    [[0, 0, 1, 1], 4, undefined],
    nothing,
  ],
  ['a copy', [], [staged('f', five, { source: { kind: 'copy', slot: usr } })], [[5, 0, 1, 1], 4, 'f'], nothing],
  ['another name of a slot', [], [staged('f', five, { source: { kind: 'share', slot: usr } })], [[0, 1, 1], 3, undefined], nothing],
  ['another name of a file', [], [staged('f', five, { source: { kind: 'link', from: relPath('g') } })], [[0, 1, 1], 3, undefined], nothing],
  ['bytes that are made', [], [staged('f', five, { source: stream() })], [[5, 0, 1, 1], 4, 'f'], nothing],
  ['bytes that lie on the disk', [], [staged('f', five, { source: stream('g') })], [[0, 1, 1], 3, undefined], nothing],
  [
    'folders that come: a block each',
    [action('mkdir', 'd'), action('mkdir', 'e')],
    [],
    [[2 * perAction, 1, 1, 1, 1], 5, undefined],
    nothing,
  ],
  ['a file that goes: nothing', [action('drop', 'f', { old: five })], [], [[perAction, 1, 1], 3, undefined], nothing],
  [
    'a file whose twin stays, in the end: a copy for the store',
    [action('drop', 'f', { old: five, twin: 'g' })],
    [],
    [[5, perAction, 1, 1], 4, undefined],
    nothing,
  ],
  [
    'likewise of another area',
    [action('swap', 'usr/f', { old: five, twin: 'usr/g', area: 1 })],
    [],
    [[perAction, 1, 1], 3, undefined],
    [[5, 1, 1], 4, undefined],
  ],
  [
    'a link whose twin stays: nothing',
    [action('drop', 'f', { old: symlink('x'), twin: 'g' })],
    [],
    [[perAction, 1, 1], 3, undefined],
    nothing,
  ],
] as const)
  test(`what a plan takes of each file system: ${what}`, async () => {
    assert.deepEqual(await needed(actions, stage), [own, other])
  })

for (const [bytes, expected] of [
  [0, '0 kB'],
  [1, '1 kB'],
  [1000, '1 kB'],
  [1001, '2 kB'],
  [999_000, '999 kB'],
  [1_000_000, '1 MB'],
  [1_000_001, '2 MB'],
  [999_000_000, '999 MB'],
  [1_000_000_000, '1 GB'],
  [12_300_000_001, '12.4 GB'],
] as const)
  test(`a need of ${bytes} bytes is told as ${expected}`, () => {
    assert.equal(showNeed(bytes), expected)
  })

// --- where it is not there

const tree = { [state]: dir(), 'usr/share/f': 'x', 'etc/f': 'x' }
const ample: Space = { freeBytes: 1e12, freeInodes: 1e6, blockSize: 4096, readOnly: false, isOrdered: false }

/** With /usr as a file system of its own, and `space` for each folder that is asked. */
async function spacious(
  space: Readonly<Record<string, Partial<Space>>>,
): Promise<{ readonly disk: Disk; readonly asked: readonly string[] }> {
  const disk = memoryDisk({ mounts: { usr: {} } })
  await plant(disk, tree)
  const asked: string[] = []
  return { disk: { ...disk, space: async (path) => (asked.push(path), { ...ample, ...space[path] }) }, asked }
}

async function failureOf(work: () => Promise<void> | void): Promise<readonly (string | undefined)[]> {
  try {
    await work()
  } catch (error) {
    if (error instanceof BinderyError) return [error.code, error.subject, error.message, error.hint]
    throw error
  }
  return []
}

const actions = [action('swap', 'etc/f'), action('swap', 'usr/share/f', { area: 1 })]
const stage = [staged('etc/f', file('x'.repeat(5000))), staged('usr/share/f', file('x'.repeat(600)), usr)]

async function spaceFor(space: Readonly<Record<string, Partial<Space>>>): Promise<readonly (string | undefined)[]> {
  const { disk } = await spacious(space)
  return await failureOf(async () => await checkFileSystems(disk, await planned(disk, actions, stage)))
}

test('each file system is asked where its area is, or will be', async () => {
  const { disk, asked } = await spacious({})
  await checkFileSystems(disk, await planned(disk, actions, stage))
  assert.deepEqual(asked, [state, 'usr'])
})

// In blocks: two of the file, one of the journal, two of the folders; on /usr three.
for (const [what, space, expected] of [
  ['exactly enough', { [state]: { freeBytes: 5 * 4096, freeInodes: 4 }, usr: { freeBytes: 3 * 4096, freeInodes: 4 } }, undefined],
  ['a byte too few', { [state]: { freeBytes: 5 * 4096 - 1 } }, ['/etc/f', 'no space on /, need 21 kB, 20 kB is free']],
  ['nothing', { [state]: { freeBytes: 0, freeInodes: 0 } }, ['/etc/f', 'no space on /, need 21 kB, 0 kB is free']],
  [
    'exactly enough for the bytes, and an inode too few',
    { [state]: { freeBytes: 5 * 4096, freeInodes: 3 } },
    ['/etc/f', 'no inodes left on /, need 4'],
  ],
  ['an inode too few', { [state]: { freeInodes: 3 } }, ['/etc/f', 'no inodes left on /, need 4']],
  ['a byte too few on another', { usr: { freeBytes: 3 * 4096 - 1 } }, ['/usr/share/f', 'no space on /usr, need 13 kB, 12 kB is free']],
  ['an inode too few on another', { usr: { freeInodes: 3 } }, ['/usr/share/f', 'no inodes left on /usr, need 4']],
  ['small blocks', { [state]: { blockSize: 1000, freeBytes: 8999 } }, ['/etc/f', 'no space on /, need 9 kB, 8 kB is free']],
  ['small blocks, and enough', { [state]: { blockSize: 1000, freeBytes: 9000 } }, undefined],
  [
    'blocks of no size are of 512 bytes',
    { usr: { blockSize: 0, freeBytes: 2047 } },
    ['/usr/share/f', 'no space on /usr, need 3 kB, 2 kB is free'],
  ],
  ['blocks of no size, and enough', { usr: { blockSize: 0, freeBytes: 2048 } }, undefined],
] as const)
  test(`there is ${what}`, async () => {
    assert.deepEqual(await spaceFor(space), expected === undefined ? [] : ['no-space', ...expected, 'nothing was changed'])
  })

test('where no content is missing its place, none is told', async () => {
  const { disk } = await spacious({ [state]: { freeInodes: 2 } })
  const plan = await planned(disk, [action('rmdir', 'etc/d')])
  const expected = ['no-space', undefined, 'no inodes left on /, need 3', 'nothing was changed']
  assert.deepEqual(await failureOf(async () => await checkFileSystems(disk, plan)), expected)
})

test('a state folder that is not there yet is where the folder above it is', async () => {
  const disk = memoryDisk({ mounts: { var: {} } })
  await plant(disk, { 'var/log/x': 'x' })
  const full: Disk = { ...disk, space: async () => ({ ...ample, freeInodes: 0 }) }
  const [, , message] = await failureOf(async () => await checkFileSystems(full, await planned(disk, [])))
  assert.equal(message, 'no inodes left on /var, need 3')
})

test('what the system refuses is told before what there is no space for', async () => {
  const { disk } = await spacious({ [state]: { freeBytes: 0 } })
  const refusing: Disk = { ...disk, refusalsOf: async () => new Map([[relPath('etc'), 'immutable' as const]]) }
  const [code] = await failureOf(async () => await checkFileSystems(refusing, await planned(disk, actions)))
  assert.equal(code, 'permission')
})

// --- who may do it

const me = { privileged: false, uid: 7, gid: 7 }
const mine = { uid: 7, gid: 7 }

async function owned(): Promise<Disk> {
  const disk = memoryDisk()
  await plant(disk, {
    own: dir(mine),
    'own/f': file('x', mine),
    'own/theirs': file('x', { uid: 5 }),
    'own/root': dir(),
    root: dir(),
    'root/mine': file('x', mine),
  })
  return disk
}

for (const [what, given, expected] of [
  ['a file in an own folder', action('put', 'own/new', { next: file('x', mine) }), undefined],
  ['a file in an own folder in the place of another’s', action('swap', 'own/theirs', { next: file('x', mine) }), undefined],
  ['a file that goes out of an own folder', action('drop', 'own/theirs'), undefined],
  ['a file in a folder that comes into an own one', action('put', 'own/a/b/new', { next: file('x', mine) }), undefined],
  ['attributes of an own file, wherever it is', action('attr', 'root/mine', { next: file('x', mine) }), undefined],
  ['a file of root’s', action('put', 'own/new'), 'belongs to user 0 in the release'],
  ['a folder of another’s', action('mkdir', 'own/new', { next: dir({ uid: 5 }) }), 'belongs to user 5 in the release'],
  ['a device', action('put', 'own/new', { next: char(1, 3, mine) }), 'only root makes devices'],
  ['a block device', action('put', 'own/new', { next: block(1, 3, mine) }), 'only root makes devices'],
  ['attributes of another’s file', action('attr', 'own/theirs', { next: file('x', mine) }), 'belongs to user 5'],
  ['attributes of a file that is not there', action('attr', 'own/gone', { next: file('x', mine) }), 'belongs to user ?'],
  ['a file in root’s folder', action('put', 'root/new', { next: file('x', mine) }), 'lies in a directory of user 0'],
  [
    'a file in a folder that comes into root’s',
    action('put', 'own/root/a/new', { next: file('x', mine) }),
    'lies in a directory of user 0',
  ],
  ['a file at the top', action('put', 'new', { next: file('x', mine) }), 'lies in a directory of user 0'],
  ['a file that goes out of root’s folder', action('drop', 'root/mine'), 'lies in a directory of user 0'],
  ['a folder that goes', action('rmdir', 'own/root'), undefined],
] as const)
  test(`without root, ${expected === undefined ? 'ours to change' : 'refused'}: ${what}`, async () => {
    const plan = await planOn(await owned(), [action('drop', 'own/f'), given])
    const told = [`/${given.path}`, expected, 'run as root; nothing was changed']
    assert.deepEqual(await failureOf(() => checkOwnership(plan, me)), expected === undefined ? [] : ['permission', ...told])
    assert.deepEqual(await failureOf(() => checkOwnership(plan, { ...me, privileged: true })), [])
  })

test('where nothing was seen, a folder is nobody’s', async () => {
  const plan: Plan = { ...(await planOn(memoryDisk(), [action('drop', 'a/f')])), seen: new Map<never, Stat>() }
  const [, , message] = await failureOf(() => checkOwnership(plan, me))
  assert.equal(message, 'lies in a directory of user ?')
})
