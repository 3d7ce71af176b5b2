import assert from 'node:assert/strict'
import { test } from 'node:test'
import { collectBytes, oneChunk, utf8 } from '../src/base/bytes.ts'
import { makePlan } from '../src/engine/client/apply/plan.ts'
import { nodeTree } from '../src/engine/client/apply/nodes.ts'
import { unreadDigest } from '../src/engine/client/apply/look.ts'
import { isOwnState } from '../src/engine/tree/scan.ts'
import { usualKeepOld } from '../src/format/keep-old.ts'
import { memoryDisk } from '../src/host/memory-disk.ts'
import { machine, release } from './helpers/client-world.ts'
import { dir, file, hardlink, plant, relPath, symlink } from './helpers/plant.ts'
import type { Origin, Plan, PlanInput, StageItem, StateChange } from '../src/engine/client/apply/plan.ts'
import type { Merging } from '../src/engine/client/apply/merges.ts'
import type { NodeTree } from '../src/engine/client/apply/nodes.ts'
import type { Action } from '../src/format/journal.ts'
import type { Disk } from '../src/port/disk.ts'
import type { Literal } from './helpers/plant.ts'

/** All that is decided before anything is written: the actions, in their order, and what must lie ready for them. */

const scope = { xattrs: true, flags: true, excluded: isOwnState }
const header: PlanInput['header'] = {
  transaction: 7,
  purpose: 'install',
  direction: 'forward',
  time: 1_700_000_000,
  releases: [],
  undoes: [],
  postSteps: [],
  reboot: [],
}

/** What is there is `on`, or what was installed. */
type Given = { readonly before: Literal; readonly after: Literal; readonly on?: Literal; readonly mounted?: string } & Partial<PlanInput>

async function treeOf(literal: Literal): Promise<NodeTree> {
  return nodeTree((await release('1', literal)).manifest, scope)
}

async function diskOf({ before, on = before, mounted }: Given): Promise<Disk> {
  return await machine(memoryDisk({ mounts: mounted === undefined ? {} : { [mounted]: {} } }), on)
}

async function planned(given: Given, from?: Disk): Promise<Plan> {
  const { before, after, on: _on, mounted: _mounted, ...more } = given
  const [disk, base, next] = [from ?? (await diskOf(given)), await treeOf(before), await treeOf(after)]
  const originOf = (path: string): Origin => ({ kind: 'content', path: next.leaders.get(relPath(path)) ?? relPath(path) })
  const rest = { scope, suffix: '.new', way: 'install', isProtected: () => false, originOf, stateFiles: () => [], header } as const
  return await makePlan({ disk, base, next, ...rest, ...more })
}

function line(action: Action): string {
  return `${action.kind} ${action.path}${'twin' in action ? ` of ${action.twin}` : ''}`
}

const actionsOf = async (given: Given): Promise<readonly string[]> => (await planned(given)).journal.actions.map(line)

/** Where the content of each slot comes from; slots by the paths that they are for. */
async function stageOf(given: Given): Promise<readonly string[]> {
  const { stage } = await planned(given)
  const pathOf = (number: number): string => (stage.find(({ slot }) => slot.number === number) as StageItem).node.path
  return stage.map(({ node, source }) => {
    const what = 'path' in source ? source.path : 'slot' in source ? pathOf(source.slot.number) : 'from' in source ? source.from : ''
    return `${node.path}: ${source.kind} ${what}`.trimEnd()
  })
}

const at = (sec: number): { readonly mtime: { readonly sec: number; readonly nsec: number } } => ({ mtime: { sec, nsec: 0 } })

test('the journal says what is done, and which areas hold it; each slot is one path’s', async () => {
  const { journal, stage, seen } = await planned({
    before: { a: 'old', gone: 'g' },
    after: { a: 'new', 'd/f': 'f' },
    on: { a: 'old', gone: 'g' },
  })
  assert.deepEqual(journal.actions.map(line), ['mkdir d', 'swap a', 'put d/f', 'drop gone', 'attr .'])
  const slots = journal.actions.flatMap((action) => ('slot' in action ? [action.slot] : []))
  assert.deepEqual(
    slots,
    [0, 1, 2].map((number) => ({ area: 0, number })),
  )
  assert.deepEqual(
    stage.map(({ slot, node }) => [slot, node.path]),
    [
      [slots[0], 'a'],
      [slots[1], 'd/f'],
    ],
  )
  const { actions: _, ...rest } = journal
  assert.deepEqual(rest, { ...header, areas: ['var/db/bindery'], kept: [] })
  assert.deepEqual([seen.has(relPath('a')), seen.has(relPath('d')), seen.has(relPath('var/db/bindery'))], [true, false, true])
})

// --- folders

test('a folder gets the time of the release where a name in it changes, when all else is done', async () => {
  const tree = (content: string, sec: number, mode: number): Literal => ({
    'a/f': content,
    b: dir({ mode, ...at(1) }),
    'b/g': 'same',
    c: dir(at(2)),
    'c/h': file('same', { mode, ...at(3) }),
    'd/f': content,
    d: dir(at(sec)),
  })
  const [before, after] = [tree('old', 10, 0o755), tree('new', 20, 0o700)]
  // Somebody has worked in both of them.
  const on = { ...before, c: dir(at(99)), d: dir(at(98)) }
  const { journal } = await planned({ before, after, on })
  assert.deepEqual(journal.actions.map(line), ['swap a/f', 'swap d/f', 'attr c/h', 'attr a', 'attr b', 'attr d'])
  const [, , , , b, d] = journal.actions as Extract<Action, { kind: 'attr' }>[]
  assert.deepEqual([b?.old.mode, b?.new.mode, b?.new.mtime.sec], [0o755, 0o700, 1])
  assert.deepEqual([d?.old.mtime.sec, d?.new.mtime.sec, d?.new.mode], [98, 20, 0o755])
})

test('a folder that is of no release keeps the time that it had', async () => {
  const { journal } = await planned({
    before: { d: dir(at(5)), 'd/f': 'f' },
    after: {},
    on: { d: dir(at(6)), 'd/f': 'f', 'd/mine': 'mine' },
  })
  assert.deepEqual(journal.actions.map(line), ['drop d/f', 'attr d'])
  const last = journal.actions.at(-1) as Extract<Action, { kind: 'attr' }>
  assert.deepEqual([last.old, last.new.mtime.sec], [last.new, 6])
})

test('a folder that goes, comes or becomes something else has no time to be set', async () => {
  const before = { 'goes/f': 'f', 'turns/f': 'f', back: 'f' }
  const after = { 'comes/f': 'f', turns: symlink('comes'), 'back/f': 'f' }
  assert.deepEqual(await actionsOf({ before, after }), [
    'drop back',
    'mkdir back',
    'mkdir comes',
    'put back/f',
    'put comes/f',
    'drop turns/f',
    'rmdir turns',
    'put turns',
    'drop goes/f',
    'rmdir goes',
    'attr .',
  ])
})

test('what cannot be set here is no part of a plan, also of folders that are not looked at for themselves', async () => {
  const xattrs = new Map([['user.a', 'x']])
  const given = { before: { d: dir({ xattrs }), 'd/f': file('old') }, after: { d: dir({ xattrs }), 'd/f': file('new') } }
  const oldOf = async (has: boolean): Promise<unknown> => {
    const { journal } = await planned({ ...given, scope: { ...scope, xattrs: has, flags: has } })
    return (journal.actions.find(({ path }) => path === 'd') as Extract<Action, { kind: 'attr' }>).old.xattrs
  }
  assert.deepEqual([await oldOf(true), await oldOf(false)], [xattrs, undefined])
})

// --- hard links

const three = { a: 'x', b: hardlink('a'), c: hardlink('a') }

for (const [what, given, expected] of [
  ['a name that stays', { after: { c: 'x' } }, ['drop b of c', 'drop a of c', 'attr .']],
  ['the first of those that stay', { after: { b: 'x', c: hardlink('b') } }, ['drop a of b', 'attr .']],
  [
    'one that gets other attributes',
    { after: { b: file('x', { mode: 0o600 }), c: hardlink('b') } },
    ['attr b', 'attr c', 'drop a of b', 'attr .'],
  ],
  ['none where all go', { after: {} }, ['drop c', 'drop b', 'drop a', 'attr .']],
  ['none that is another file here', { after: { c: 'x' }, on: { a: 'x', b: hardlink('a'), c: 'x' } }, ['drop b', 'drop a', 'attr .']],
  ['none that is not here', { after: { b: 'x', c: hardlink('b') }, on: { a: 'x', c: hardlink('a') } }, ['drop a of c', 'attr .']],
  ['a name that stays, where another one gets a content', { after: { a: 'new', b: 'x', c: hardlink('b') } }, ['swap a of b', 'attr .']],
] as const) {
  test(`of a file with several names that loses some, the journal knows ${what}`, async () => {
    assert.deepEqual(await actionsOf({ before: three, ...given }), expected)
  })
}

test('names of one new file share what is staged, and each comes once out of the release', async () => {
  const after = { a: 'new', b: hardlink('a'), c: hardlink('a') }
  assert.deepEqual(await stageOf({ before: three, after }), ['a: content a', 'b: share a', 'c: share a'])
  assert.deepEqual(await stageOf({ before: {}, after: { l: symlink('x'), k: hardlink('l') } }), ['k: make', 'l: share k'])
})

test('what comes to lie beside is no name of what comes in its place, but a copy', async () => {
  const after = { a: 'new', b: hardlink('a'), c: hardlink('a') }
  const one = { a: 'mine', b: 'x', c: hardlink('b') }
  assert.deepEqual(await stageOf({ before: three, after, on: one }), ['a.new: content a', 'b: copy a.new', 'c: share b'])
  const two = { a: 'mine', b: hardlink('a'), c: 'x' }
  assert.deepEqual(await stageOf({ before: three, after, on: two }), ['a.new: content a', 'b.new: share a.new', 'c: copy a.new'])
})

test('a name joins the file that is there, and on another file system is one of its own', async () => {
  const [before, after] = [
    { a: 'x', 'usr/b': 'y' },
    { a: 'x', 'usr/b': hardlink('a') },
  ]
  assert.deepEqual(await stageOf({ before, after }), ['usr/b: link a'])
  const given = { before, after, mounted: 'usr' }
  assert.deepEqual(await stageOf(given), ['usr/b: content a'])
  assert.deepEqual((await planned(given)).journal.areas, ['var/db/bindery', 'usr/.bindery'])
  const both = { before: { u: 'y', 'usr/b': 'y' }, after: { u: 'x', 'usr/b': hardlink('u') }, mounted: 'usr' }
  assert.deepEqual(await stageOf(both), ['u: content u', 'usr/b: copy u'])
})

test('a merged content comes from here, and no release is asked for it', async () => {
  const merging: Merging = {
    covers: () => true,
    merge: () => utf8('both'),
    time: 1,
    versions: async (paths) => new Map([...paths].map((path) => [path, { base: utf8('old'), next: utf8('new') }])),
  }
  const { stage, journal } = await planned({ before: { a: 'old' }, after: { a: 'new' }, on: { a: 'mine' }, merging })
  assert.deepEqual(journal.kept, [{ path: 'a', reason: 'merged' }])
  const source = stage[0]?.source
  assert.ok(source?.kind === 'stream')
  assert.deepEqual([await collectBytes(source.content(), 99), source.from, stage.length], [utf8('both'), undefined, 1])
})

test('a kept file is linked as it is, and gets other attributes when it is in its place', async () => {
  const kept = (await treeOf({ a: file('new', { mode: 0o600 }) })).nodes.get(relPath('a'))
  assert.ok(kept !== undefined)
  const originOf = (): Origin => ({ kind: 'link', from: relPath('var/db/bindery/store/1/0'), node: kept })
  for (const [mode, expected] of [
    [0o600, ['swap a', 'attr .']],
    [0o640, ['swap a', 'attr a', 'attr .']],
  ] as const) {
    const given = { before: { a: 'old' }, after: { a: file('new', { mode }), b: 'b' }, on: { a: 'old', b: 'b' }, originOf }
    const { journal, stage } = await planned(given)
    assert.deepEqual(journal.actions.map(line), expected)
    assert.deepEqual(stage[0]?.source, { kind: 'link', from: 'var/db/bindery/store/1/0' })
    const [, attr] = journal.actions as Extract<Action, { kind: 'attr' }>[]
    if (mode === 0o640) assert.deepEqual([attr?.old.mode, attr?.new.mode, attr?.new.path], [0o600, 0o640, 'a'])
  }
})

test('a kernel that is replaced stays under a second name before it is, and the state knows that', async () => {
  const { journal, stage, seen } = await planned({ before: { bsd: '1' }, after: { bsd: '2' }, keepOld: usualKeepOld })
  assert.deepEqual(journal.actions.map(line), ['put obsd', 'swap bsd', 'attr .', 'put var/db/bindery/old-names'])
  assert.deepEqual(stage[0]?.source, { kind: 'link', from: 'bsd' })
  assert.equal(seen.has(relPath('bsd')), true)
  assert.deepEqual(await actionsOf({ before: { bsd: '1' }, after: { bsd: '2' } }), ['swap bsd', 'attr .'])
})

// --- the state

const state = (path: string, more: Partial<StateChange> = {}): StateChange => ({
  path: relPath(`var/db/bindery/${path}`),
  content: () => oneChunk(utf8('state')),
  mode: 0o640,
  size: 5,
  ...more,
})

async function withState(...changes: readonly StateChange[]): Promise<Plan> {
  const given = { before: {}, after: {}, stateFiles: () => changes }
  const disk = await diskOf(given)
  await plant(disk, { 'var/db/bindery/told': file('told', { uid: 3, xattrs: new Map([['user.a', 'x']]), ...at(12) }) })
  await disk.setFlags(relPath('var/db/bindery/told'), ['nodump'])
  await disk.chown(relPath('var/db/bindery'), 1, 2)
  return await planned(given, disk)
}

test('files of the state come, are exchanged and go with the tree, as whose the state is', async () => {
  const { journal, stage, seen } = await withState(state('rest'), state('told'))
  const meta = { kind: 'file', mode: 0o640, uid: 1, gid: 2, mtime: { sec: header.time, nsec: 0 }, size: 5, sha256: unreadDigest }
  const [rest, told] = ['rest', 'told'].map((name) => ({ ...meta, path: `var/db/bindery/${name}` }))
  const slots = [0, 1].map((number) => ({ area: 0, number }))
  // Attributes that we do not set are no part of it, and digests are somebody else's business.
  const old = { ...told, mode: 0o644, uid: 3, gid: 0, mtime: { sec: 12, nsec: 0 }, size: 4 }
  assert.deepEqual(journal.actions, [
    { kind: 'put', path: rest?.path, slot: slots[0], new: rest },
    { kind: 'swap', path: told?.path, slot: slots[1], old, new: told },
  ])
  assert.deepEqual(
    stage.map(({ slot, node }) => [slot, node]),
    [
      [slots[0], rest],
      [slots[1], told],
    ],
  )
  assert.deepEqual([seen.has(relPath('var/db/bindery/told')), seen.has(relPath('var/db/bindery/rest'))], [true, false])
  const gone = await withState(state('told', { content: 'remove' }), state('rest', { content: 'remove' }))
  assert.deepEqual([gone.journal.actions, gone.stage], [[{ kind: 'drop', path: told?.path, slot: slots[0], old }], []])
})

test('a file of the state is streamed, or taken from the cache where it lies there', async () => {
  const cached = relPath('var/db/bindery/cache/x')
  const { stage } = await withState(state('rest'), state('told', { from: cached }))
  const [plain, taken] = stage.map(({ source }) => source)
  assert.ok(plain?.kind === 'stream' && taken?.kind === 'stream')
  assert.deepEqual([Object.keys(plain), taken.from], [['kind', 'content'], cached])
  assert.deepEqual(await collectBytes(plain.content(), 99), utf8('state'))
})

test('a folder of the state is made for what comes into it, once, and for nothing that goes', async () => {
  const files = ['channel/new-amd64/a', 'channel/new-amd64/b', 'channel/base-amd64/c'].map((path) => state(path))
  const { journal } = await withState(...files)
  assert.deepEqual(
    journal.actions.map(line),
    ['mkdir channel/new-amd64', 'put channel/new-amd64/a', 'put channel/new-amd64/b', 'put channel/base-amd64/c'].map((text) =>
      text.replace(' ', ' var/db/bindery/'),
    ),
  )
  const folder = journal.actions[0]
  assert.ok(folder?.kind === 'mkdir')
  const { kind, mode, uid, gid, mtime } = folder.new
  assert.deepEqual([kind, mode, uid, gid, mtime.sec], ['dir', 0o755, 1, 2, header.time])
  assert.deepEqual((await withState(state('channel/new-amd64/a', { content: 'remove' }))).journal.actions, [])
})

test('files of the state are told what happens to the tree', async () => {
  let told: unknown
  await planned({
    before: { a: 'old' },
    after: { a: 'new' },
    stateFiles: ({ changes, live }) => {
      told = [changes.map(({ kind, path }) => `${kind} ${path}`), live.nodes.get(relPath('a'))?.kind]
      return []
    },
  })
  assert.deepEqual(told, [['replace a'], 'file'])
})
