import assert from 'node:assert/strict'
import { test } from 'node:test'
import { collectBytes, fromLatin1, latin1 } from '../src/base/bytes.ts'
import { sha256 } from '../src/base/digest.ts'
import { markVerified } from '../src/base/verified.ts'
import { withFormer } from '../src/engine/client/apply/former.ts'
import { channelFile, channelFiles, statePaths } from '../src/engine/client/state.ts'
import { encodeObsolete } from '../src/format/obsolete.ts'
import { memoryDisk } from '../src/host/memory-disk.ts'
import { release } from './helpers/client-world.ts'
import { enrolledState } from './helpers/enrolled-state.ts'
import { dir, fifo, file, plant, relPath, symlink } from './helpers/plant.ts'
import { refused } from './helpers/refused.ts'
import type { RelPath } from '../src/base/path.ts'
import type { Changes } from '../src/engine/client/apply/changes.ts'
import type { Former, FormerInput } from '../src/engine/client/apply/former.ts'
import type { NodeTree } from '../src/engine/client/apply/nodes.ts'
import type { ReleaseState } from '../src/format/release-state.ts'
import type { Kept } from '../src/format/journal.ts'
import type { Node } from '../src/format/journal-node.ts'
import type { ObsoleteContent, ObsoleteItem } from '../src/format/obsolete.ts'
import type { Disk } from '../src/port/disk.ts'
import type { Literal } from './helpers/plant.ts'

/** What former releases left on a machine, and what is still to be removed of it later. */

const mtime = { sec: 1_600_000_000, nsec: 0 }

/** `-> target`, `dir`, or the content of a file. */
function contentOf(text: string): ObsoleteContent {
  if (text === 'dir') return { kind: 'dir' }
  if (text.startsWith('-> ')) return { kind: 'symlink', target: text.slice(3) }
  return { kind: 'file', size: text.length, sha256: sha256(fromLatin1(text)) }
}

type Texts = Readonly<Record<string, string>>

const item = (path: string, text: string, last = 1): ObsoleteItem => ({ path: relPath(path), last, ...contentOf(text) })
const itemsOf = (texts: Texts): readonly ObsoleteItem[] => Object.entries(texts).map(([path, text]) => item(path, text))
const nodeOf = (path: string, text: string): Node => ({ ...contentOf(text), path: relPath(path), mode: 0o644, uid: 0, gid: 0, mtime })
const treeOf = (texts: Texts): NodeTree => ({
  nodes: new Map(Object.entries(texts).map(([path, text]) => [relPath(path), nodeOf(path, text)])),
  groups: new Map(),
  leaders: new Map(),
})

type Given = {
  /** What is there. */
  readonly on?: Literal
  readonly listed?: readonly ObsoleteItem[]
  readonly pending?: readonly ObsoleteItem[]
  /** Of the list of the repository, and of what was worked through. */
  readonly through?: readonly [listed: number, pending: number]
  readonly base?: Texts
  readonly next?: Texts
  readonly excluded?: string
  readonly together?: readonly string[]
  readonly wrap?: (disk: Disk) => Disk
  readonly look?: FormerInput['look']
}

const channel = { product: 'base', arch: 'amd64' }
const stateFile = channelFile(channel, channelFiles.obsolete)

type Found = Former & { readonly was: NodeTree }

async function former(given: Given): Promise<Found> {
  const { on = {}, listed, pending, base = {}, next = {}, excluded, together = ['base'], wrap = (disk) => disk, look = {} } = given
  const [through, before] = given.through ?? [9, 9]
  const disk = memoryDisk()
  const state = pending === undefined ? {} : { [stateFile]: file(encodeObsolete({ through: before, items: pending })) }
  await plant(disk, { ...on, ...state })
  const was = treeOf(base)
  const found = await withFormer({
    disk: wrap(disk),
    incoming: {
      channel,
      installed: { sequence: 7 } as ReleaseState,
      ...(listed !== undefined && { obsolete: markVerified({ through, items: listed }) }),
    },
    together: together.map((product) => ({ product, arch: 'amd64' })),
    base: was,
    next: treeOf(next),
    scope: { xattrs: true, flags: true, excluded: (path) => path === excluded },
    look,
  })
  assert.deepEqual([found.base.groups, found.base.leaders], [was.groups, was.leaders])
  return { ...found, was }
}

/** The paths that are taken for those of the installed release. */
const paths = async (given: Given): Promise<string> => [...(await former(given)).base.nodes.keys()].sort().join(' ')

// --- what is taken for its own

test('what is there exactly as a former release had it is taken for the installed one’s, whoever says so', async () => {
  const texts = { 'bin/f': 'x', 'bin/l': '-> to', 'etc/d': 'dir' }
  const on = { 'bin/f': file('x', { mode: 0o600 }), 'bin/l': symlink('to'), 'etc/d': dir() }
  for (const given of [{ listed: itemsOf(texts) }, { pending: itemsOf(texts) }, { listed: itemsOf(texts), pending: itemsOf(texts) }]) {
    const { base, was } = await former({ on, base: { 'bin/sh': 'sh' }, ...given })
    assert.deepEqual([...base.nodes.keys()], ['bin/sh', 'bin/f', 'bin/l', 'etc/d'])
    // With the attributes that it has here.
    assert.equal(base.nodes.get(relPath('bin/f'))?.mode, 0o600)
    assert.deepEqual([...was.nodes.keys()], ['bin/sh'])
  }
})

test('what was made or changed here is not, nor what is not there', async () => {
  const ways: readonly (readonly [string, Literal, boolean])[] = [
    ['x', { f: 'x' }, true],
    ['x', { f: 'y' }, false],
    ['x', { f: 'xx' }, false],
    ['x', { f: symlink('x') }, false],
    ['x', { f: dir() }, false],
    ['x', { f: fifo() }, false],
    ['x', {}, false],
    ['-> x', { f: symlink('x') }, true],
    ['-> x', { f: symlink('y') }, false],
    ['-> x', { f: 'x' }, false],
    ['dir', { f: dir() }, true],
    ['dir', { f: 'x' }, false],
    ['dir', { f: symlink('x') }, false],
  ]
  for (const [was, on, isFormer] of ways) assert.equal(await paths({ on, listed: itemsOf({ f: was }) }), isFormer ? 'f' : '', was)
})

test('one path may have been several things', async () => {
  const listed = [item('f', 'x'), item('f', 'yy'), item('f', '-> z'), item('f', 'dir')]
  for (const there of ['x', 'yy', symlink('z'), dir()]) assert.equal(await paths({ on: { f: there }, listed }), 'f')
  for (const there of ['xx', 'y', symlink('x'), fifo()]) assert.equal(await paths({ on: { f: there }, listed }), '')
})

test('a file that cannot be it by its size, or of which no file is known, is not read', async () => {
  const wrap = (disk: Disk): Disk => ({ ...disk, digest: async (path) => await Promise.reject(new Error(`${path} was read`)) })
  const listed = itemsOf({ a: 'xx', b: '-> x', c: 'dir' })
  assert.equal(await paths({ on: { a: 'x', b: 'x', c: 'x' }, listed, wrap }), '')
  await assert.rejects(paths({ on: { a: 'yy' }, listed, wrap }), { message: 'a was read' })
})

test('a path that the installed release and the next have is judged by them', async () => {
  const listed = itemsOf({ f: 'x' })
  const on = { f: 'x' }
  const both = await former({ on, listed, base: { f: 'y' }, next: { f: 'z' } })
  assert.equal(both.base, both.was)
  // What the installed release brings for the last time is a former one's where it is another one's content.
  const { base } = await former({ on, listed, base: { f: 'y' } })
  assert.deepEqual(base.nodes.get(relPath('f')), nodeOf('f', 'x'))
  assert.equal(await paths({ on, listed, next: { f: 'z' } }), 'f')
  assert.equal(await paths({ on, listed, next: { f: 'x' } }), '')
})

test('what bindery.conf ignores is left alone', async () => {
  const items = itemsOf({ f: 'x', g: 'x' })
  for (const said of [{ listed: items }, { pending: items }])
    assert.equal(await paths({ on: { f: 'x', g: 'x' }, ...said, excluded: 'f' }), 'g')
})

test('a folder is a former release’s where all that is in it goes', async () => {
  const listed = itemsOf({ 'd/f': 'x', d: 'dir', 'd/e': 'dir', 'd/e/g': 'x', 'd/e/h': 'x' })
  const all = { 'd/f': 'x', 'd/e/g': 'x', 'd/e/h': 'x' }
  assert.equal(await paths({ on: all, listed }), 'd d/e d/e/g d/e/h d/f')
  assert.equal(await paths({ on: { ...all, 'd/e/mine': '' }, listed }), 'd/e/g d/e/h d/f')
  assert.equal(await paths({ on: { ...all, 'd/mine': '' }, listed }), 'd/e d/e/g d/e/h d/f')
  assert.equal(await paths({ on: { ...all, 'd/e/h': 'mine' }, listed }), 'd/e/g d/f')
  // Of the installed release it goes as well.
  const on = { ...all, 'd/e/i': 'x' }
  assert.equal(await paths({ on, listed, base: { 'd/e/i': 'x' } }), 'd d/e d/e/g d/e/h d/e/i d/f')
  assert.equal(await paths({ on, listed, base: { 'd/e/i': 'x' }, next: { 'd/e/i': 'y' } }), 'd/e/g d/e/h d/e/i d/f')
  assert.equal(await paths({ on, listed, next: { 'd/e/i': 'y' } }), 'd/e/g d/e/h d/f')
})

test('folders are asked for from the leaves up, whichever list names them first', async () => {
  const on = { 'd/e/f': 'x' }
  assert.equal(await paths({ on, pending: itemsOf({ 'd/e': 'dir', 'd/e/f': 'x' }), listed: itemsOf({ d: 'dir' }) }), 'd d/e d/e/f')
  assert.equal(await paths({ on, pending: itemsOf({ d: 'dir' }), listed: itemsOf({ 'd/e': 'dir', 'd/e/f': 'x' }) }), 'd d/e d/e/f')
})

test('a folder that the next release has stays', async () => {
  assert.equal(await paths({ on: { d: dir() }, listed: itemsOf({ d: 'dir' }), next: { d: 'dir' } }), '')
  assert.equal(await paths({ on: { d: dir() }, listed: itemsOf({ d: 'dir' }), next: { d: 'x' } }), 'd')
})

test('without a list and a note of what is to be removed the installed release is as it was, and nothing is written', async () => {
  const { base, was, stateFiles } = await former({ on: { f: 'x' }, base: { f: 'x' } })
  assert.equal(base, was)
  assert.deepEqual(stateFiles(changes()), [])
})

test('whoever asked may end it, and a note that is damaged is told with its name', async () => {
  await assert.rejects(former({ listed: itemsOf({ f: 'x' }), look: { signal: AbortSignal.abort() } }), { name: 'AbortError' })
  let count = 0
  const meter = { advance: (bytes: number) => void (count += bytes) } as unknown as NonNullable<FormerInput['look']['meter']>
  await former({ on: { f: 'x' }, listed: itemsOf({ f: 'y' }), look: { meter } })
  assert.equal(count, 1)
  assert.deepEqual((await refused(former({ on: { [stateFile]: 'damaged' } })))[1], stateFile)
})

// --- what another channel has

const comp = await enrolledState(
  await release('1.0', { 'bin/cc': 'cc', 'bin/ld': 'ld' }).then((one) => ({ ...one, name: { ...one.name, product: 'comp' } })),
)

test('what another channel has is that one’s, and goes with it alone', async () => {
  const there = { 'bin/cc': 'cc', 'bin/f': 'x' }
  const given: Given = { on: { ...comp, ...there }, base: { 'bin/ld': 'ld', 'bin/sh': 'sh' }, listed: itemsOf(there) }
  assert.equal(await paths(given), 'bin/f bin/sh')
  assert.equal(await paths({ ...given, next: { 'bin/ld': 'ld 2' } }), 'bin/f bin/ld bin/sh')
  assert.equal(await paths({ ...given, together: ['base', 'comp'] }), 'bin/cc bin/f bin/ld bin/sh')
})

test('where the other channels have none of it, or nothing goes, the installed release is as it was', async () => {
  const given: Given = { on: comp, base: { 'bin/sh': 'sh' } }
  const { base, was } = await former(given)
  assert.equal(base, was)
  const unread: RelPath[] = []
  const wrap = (disk: Disk): Disk => ({ ...disk, read: (path, options) => (unread.push(path), disk.read(path, options)) })
  const staying = await former({ ...given, next: { 'bin/sh': 'sh 2' }, wrap })
  assert.equal(staying.base, staying.was)
  assert.deepEqual(unread, [])
  await former({ ...given, wrap })
  assert.equal(unread[0], statePaths.enrolled)
})

// --- what is still to be removed

/** A plan that leaves these, of what is there. */
function changes(kept: readonly Kept[] = [], live: Texts = {}): Changes {
  return { changes: [], kept, merges: new Map(), live: { stats: new Map(), nodes: treeOf(live).nodes } }
}

const needed = (path: string): Kept => ({ path: relPath(path), reason: 'needed' })

async function noted({ stateFiles }: Former, found: Changes): Promise<string> {
  const [change, ...others] = stateFiles(found)
  assert.deepEqual(others, [])
  if (change === undefined) return 'as before'
  const { path, mode, size, content } = change
  assert.ok(content !== 'remove')
  const bytes = (await collectBytes(content(), 1 << 20)) as Uint8Array
  assert.deepEqual([path, mode, size], [stateFile, 0o644, bytes.length])
  return latin1(bytes)
    .replaceAll(/[0-9a-f]{64}/g, (digest) => (digest === sha256(fromLatin1('x')) ? 'X' : 'Y'))
    .replace('bindery-obsolete 1\n', '')
}

test('what something here still needs is noted, as it is here, with the release that had it last', async () => {
  const found = await former({ base: { 'lib/a': 'x' } })
  assert.equal(await noted(found, changes([needed('lib/a')], { 'lib/a': 'x' })), 'through 0\n7 file 1 X lib/a\n')
  assert.equal(await noted(found, changes([needed('lib/a')], { 'lib/a': '-> b' })), 'through 0\n7 symlink b lib/a\n')
})

test('what was noted before stays as it was noted, while it is needed and the same', async () => {
  const found = await former({ pending: [item('lib/a', 'x', 3)], listed: [item('lib/a', 'y', 2), item('lib/b', 'x', 4)] })
  const ways: readonly (readonly [readonly Kept[], Texts, string])[] = [
    [[needed('lib/a')], { 'lib/a': 'x' }, 'as before'],
    [[needed('lib/a')], { 'lib/a': 'y' }, 'through 9\n2 file 1 Y lib/a\n'],
    [[needed('lib/a')], { 'lib/a': 'z' }, 'through 9\n7 file 1 Y lib/a\n'],
    [[needed('lib/b'), needed('lib/a')], { 'lib/a': 'x', 'lib/b': 'x' }, 'through 9\n3 file 1 X lib/a\n4 file 1 X lib/b\n'],
    [[], { 'lib/a': 'x' }, 'through 9\n'],
  ]
  for (const [kept, live, expected] of ways) assert.equal(await noted(found, changes(kept, live)), expected)
})

test('what stays for any other reason is no matter of later, nor what a list cannot hold', async () => {
  const found = await former({ pending: [item('lib/a', 'x')] })
  const live = { 'lib/a': 'x' }
  for (const reason of ['modified', 'protected', 'not-empty'] as const)
    assert.equal(await noted(found, changes([{ path: relPath('lib/a'), reason }], live)), 'through 9\n', reason)
  assert.equal(await noted(found, changes([needed('lib/a')])), 'through 9\n')
  const pipe: Node = { ...nodeOf('lib/a', 'dir'), kind: 'fifo' }
  const withPipe = { ...changes([needed('lib/a')]), live: { stats: new Map(), nodes: new Map([[relPath('lib/a'), pipe]]) } }
  assert.equal(await noted(found, withPipe), 'through 9\n')
})

test('how far lists were worked through is noted, and never goes back', async () => {
  const nothing = { listed: [], pending: [] }
  const ways: readonly (readonly [Given, string])[] = [
    [{ ...nothing, through: [9, 3] }, 'through 9\n'],
    [{ ...nothing, through: [3, 9] }, 'as before'],
    [{ ...nothing, through: [9, 9] }, 'as before'],
    [{ listed: [], through: [5, 0] }, 'through 5\n'],
    [{ pending: [], through: [0, 5] }, 'as before'],
  ]
  for (const [given, expected] of ways) assert.equal(await noted(await former(given), changes()), expected)
})
