import assert from 'node:assert/strict'
import { test } from 'node:test'
import { findChanges } from '../src/engine/client/apply/changes.ts'
import { lookAt } from '../src/engine/client/apply/look.ts'
import { maxMergeBytes } from '../src/engine/client/apply/merges.ts'
import { nodeTree } from '../src/engine/client/apply/nodes.ts'
import { memoryDisk } from '../src/host/memory-disk.ts'
import { release } from './helpers/client-world.ts'
import { block, char, dir, file, hardlink, plant, relPath, symlink } from './helpers/plant.ts'
import type { RelPath } from '../src/base/path.ts'
import type { Change, ChangeInput, Changes } from '../src/engine/client/apply/changes.ts'
import type { Merging } from '../src/engine/client/apply/merges.ts'
import type { NodeTree } from '../src/engine/client/apply/nodes.ts'
import type { Disk } from '../src/port/disk.ts'
import type { Literal } from './helpers/plant.ts'

/** From what bindery installed, what shall be there and what is there, to what is to be done. */

const scope = { xattrs: true, flags: true, excluded: () => false }

/** What is there is `on`, or what was installed. */
type Given = { readonly before: Literal; readonly after: Literal; readonly on?: Literal; readonly mounted?: string } & Partial<ChangeInput>

async function treeOf(literal: Literal): Promise<NodeTree> {
  return nodeTree((await release('1', literal)).manifest, scope)
}

async function diskOf({ before, on = before, mounted }: Given): Promise<Disk> {
  const disk = memoryDisk({ mounts: mounted === undefined ? {} : { [mounted]: {} } })
  await plant(disk, { 'var/db': dir(), ...on })
  return disk
}

async function found({ before, after, on: _on, mounted: _mounted, ...more }: Given, disk: Disk): Promise<Changes> {
  const [base, next] = [await treeOf(before), await treeOf(after)]
  return await findChanges({ disk, base, next, scope, suffix: '.new', isProtected: () => false, ...more })
}

const changesOf = async (given: Given): Promise<Changes> => await found(given, await diskOf(given))

function line(change: Change): string {
  const of = 'of' in change && change.of !== change.path ? ` of ${change.of}` : ''
  return `${change.kind} ${change.path}${of}`
}

/** What happens, and what is told. */
async function outcome(given: Given): Promise<readonly (readonly string[])[]> {
  const { changes, kept } = await changesOf(given)
  return [
    changes.map(line),
    kept.map(({ path, reason, beside, by }) => [path, reason, ...[beside, by].filter((one) => one !== undefined)].join(' ')),
  ]
}

test('what happens is told by path, whatever comes to lie beside', async () => {
  const [before, after] = [
    { a: 'old', b: 'old', c: 'old' },
    { a: 'new', b: 'new', d: 'new' },
  ]
  assert.deepEqual(await outcome({ before, after }), [['replace a', 'replace b', 'remove c', 'add d'], []])
  assert.deepEqual(await outcome({ before, after, on: { ...before, a: 'mine' } }), [
    ['add a.new of a', 'replace b', 'remove c', 'add d'],
    ['a modified a.new'],
  ])
})

test('a change knows where its content comes from: a release, or a file that is here and becomes one with it', async () => {
  const { changes } = await changesOf({
    before: { a: 'a', b: 'b', c: 'c' },
    after: { a: 'a', b: hardlink('a'), c: 'new', d: hardlink('a') },
  })
  const origins = changes.map((change) =>
    'of' in change ? [change.path, change.of, 'donor' in change ? change.donor : 'the release'] : [],
  )
  assert.deepEqual(origins, [
    ['b', 'b', 'a'],
    ['c', 'c', 'the release'],
    ['d', 'd', 'a'],
  ])
})

test('attributes that stay as they are here are told, and nothing happens', async () => {
  const of = (mode: number): Literal => ({ a: file('a', { mode }) })
  assert.deepEqual(await outcome({ before: of(0o755), after: of(0o555) }), [['attr a'], []])
  assert.deepEqual(await outcome({ before: of(0o755), after: of(0o555), on: of(0o700) }), [[], ['a attributes']])
})

test('all names of a file are looked at where one of them changes', async () => {
  const [before, after] = [await treeOf({ a: 'a', b: 'b', c: 'c', d: 'd' }), await treeOf({ a: 'new', b: 'b', c: 'c', d: 'd' })]
  const groups = (...names: readonly string[]): Pick<NodeTree, 'groups'> => ({
    groups: new Map(['a', ...names].map((name) => [relPath(name), ['a', ...names] as RelPath[]])),
  })
  const looked = async (base: object, next: object): Promise<readonly string[]> => {
    const trees = { base: { ...before, ...base }, next: { ...after, ...next } }
    const { live } = await changesOf({ before: { a: 'a', b: 'b', c: 'c', d: 'd' }, after: {}, ...trees })
    return [...live.nodes.keys()].sort()
  }
  assert.deepEqual(await looked({}, {}), ['a'])
  assert.deepEqual(await looked(groups('b'), groups('b')), ['a', 'b'])
  assert.deepEqual(await looked(groups('b', 'c'), groups('b')), ['a', 'b', 'c'])
  assert.deepEqual(await looked({ ...before, ...groups('b') }, groups('b', 'd')), ['a', 'b', 'd'])
})

// --- what is looked at

test('each path is looked at once, and each folder that it lies in; what is in the way of others hides them', async () => {
  const disk = memoryDisk()
  await plant(disk, { 'usr/bin/a': 'a', 'usr/bin/b': 'b', link: symlink('usr/bin') })
  const looked: RelPath[] = []
  const watched: Disk = { ...disk, lstat: async (path) => (looked.push(path), await disk.lstat(path)) }
  const paths = ['usr/bin/b', 'usr/bin/a', 'usr/bin', 'gone/c', 'link/a'].map(relPath)
  const { nodes } = await lookAt(watched, paths, { scope, guess: () => undefined })
  assert.deepEqual(looked.sort(), ['.', 'gone', 'link', 'usr', 'usr/bin', 'usr/bin/a', 'usr/bin/b'])
  assert.deepEqual([...nodes.keys()].sort(), ['usr/bin', 'usr/bin/a', 'usr/bin/b'])
})

test('of a device its numbers are seen', async () => {
  const disk = memoryDisk()
  await plant(disk, { 'dev/null': char(1, 3), 'dev/sda': block(8, 0) })
  const { nodes } = await lookAt(disk, ['dev/null', 'dev/sda'].map(relPath), { scope, guess: () => undefined })
  const numbers = [...nodes.values()].map((node) => [node.kind, 'major' in node && [node.major, node.minor]])
  assert.deepEqual(numbers, [
    ['char', [1, 3]],
    ['block', [8, 0]],
  ])
})

// --- which files are read

const mtime = { sec: 1_600_000_000, nsec: 0 }
const merging: Merging = { covers: (path) => path === 'a', merge: () => undefined, time: 0, versions: async () => new Map() }

/** What of the disk is read to know its digest. */
async function read(given: Given): Promise<readonly string[]> {
  const paths: string[] = []
  const disk = await diskOf(given)
  await found(given, { ...disk, digest: async (path) => (paths.push(path), await disk.digest(path)) })
  return paths.sort()
}

test('where only attributes change, a file is read that has not the size and time that it was installed with', async () => {
  const [before, after] = [{ a: file('a', { mtime }) }, { a: file('a', { mtime, mode: 0o600 }) }]
  const on = (content: string, sec: number, nsec: number): Given => ({ before, after, on: { a: file(content, { mtime: { sec, nsec } }) } })
  assert.deepEqual(await read(on('a', mtime.sec, 0)), [])
  for (const other of [on('a', mtime.sec + 1, 0), on('a', mtime.sec, 1), on('aa', mtime.sec, 0)]) assert.deepEqual(await read(other), ['a'])
})

test('a file is read whose content says which names are one file', async () => {
  const [one, two] = [{ a: file('a', { mode: 0o600 }) }, { a: 'a', b: hardlink('a') }]
  assert.deepEqual(await read({ before: { a: 'a' }, after: one, relinked: new Set([relPath('a')]) }), ['a'])
  assert.deepEqual(await read({ before: { a: 'a' }, after: one, relinked: new Set([relPath('b')]) }), [])
  assert.deepEqual(await read({ before: two, after: { ...one, b: hardlink('a') } }), ['a', 'b'])
  assert.deepEqual(await read({ before: two, after: { a: 'a', b: 'a' } }), ['a', 'b'])
  assert.deepEqual(await read({ before: { a: 'a', b: 'a' }, after: two }), ['a', 'b'])
})

test('a file that is of neither size is another one, without being read', async () => {
  const [before, after] = [{ a: 'old' }, { a: 'newer' }]
  for (const [content, paths] of [
    ['mine', []],
    ['own', ['a']],
    ['again', ['a']],
    ['', []],
  ] as const)
    assert.deepEqual(await read({ before, after, on: { a: content } }), paths)
  assert.deepEqual(await read({ before, after: {}, on: { a: 'mine' } }), [])
  assert.deepEqual(await read({ before: {}, after, on: { a: 'mine' } }), [])
})

test('whatever its size, a file is read that the system made anew, or that may be merged', async () => {
  const given = { before: { a: 'old' }, after: { a: 'newer' }, on: { a: 'mine' } }
  assert.deepEqual(await read({ ...given, isGenerated: (path) => path === 'a' }), ['a'])
  assert.deepEqual(await read({ ...given, isGenerated: (path) => path === 'b' }), [])
  assert.deepEqual(await read({ ...given, merging }), ['a'])
  assert.deepEqual(await read({ ...given, merging: { ...merging, covers: () => false } }), [])
  for (const other of [{ before: {} }, { after: {} }, { before: { a: symlink('b') } }, { after: { a: symlink('b') } }])
    assert.deepEqual(await read({ ...given, merging, ...other }), [])
  for (const [size, paths] of [
    [maxMergeBytes, ['a']],
    [maxMergeBytes + 1, []],
  ] as const)
    assert.deepEqual(await read({ ...given, merging, on: { a: 'x'.repeat(size) } }), paths)
})

// --- what a path lies in

for (const [what, given, subject] of [
  ['a file where a folder is', { before: { d: dir() }, after: { d: dir({ mode: 0o700 }) }, on: { d: 'mine' } }, '/d'],
  ['a file where a new file needs a folder', { before: {}, after: { 'd/e/f': 'new' }, on: { d: 'mine' } }, '/d'],
  ['a file where a new content needs one', { before: { 'd/f': 'old' }, after: { 'd/f': 'new' }, on: { d: symlink('e'), e: dir() } }, '/d'],
  [
    'the first of several',
    { before: { a: dir(), b: dir() }, after: { a: dir(), 'a/f': 'new', b: dir({ mode: 0o700 }) }, on: { a: 'mine', b: 'mine' } },
    '/a',
  ],
] as const) {
  test(`${what} ends the attempt`, async () => {
    await assert.rejects(changesOf(given), {
      name: 'BinderyError',
      code: 'conflict',
      message: 'is no directory here, as it is in the release',
      subject,
      hint: 'put the directory back, or name the path under ignore in bindery.conf; nothing was changed',
    })
  })
}

test('a folder that is something else here is nobody’s matter where nothing comes into it', async () => {
  const [before, after] = [
    { 'd/f': 'f', 'd/g': 'g', a: 'old' },
    { 'd/f': 'f', 'd/g': file('g', { mode: 0o600 }), a: 'new' },
  ]
  assert.deepEqual(await outcome({ before, after, on: { d: 'mine', a: 'old' } }), [['replace a'], ['d/g removed']])
})

test('nothing is put into a folder that was removed here, and the topmost is told, once', async () => {
  const before = { 'games/deep': dir() }
  const after = { 'games/deep/a': 'new', 'games/deep/more/b': 'new', 'games/c': 'new' }
  assert.deepEqual(await outcome({ before, after, on: {} }), [[], ['games removed']])
  assert.deepEqual(await outcome({ before, after, on: { games: dir() } }), [['add games/c'], ['games/deep removed']])
  // Also where it is looked at earlier than its folder, as another name of a file.
  const one = { before: { a: 'old', games: dir() }, after: { a: 'new', 'games/deep/a': hardlink('a') } }
  assert.deepEqual(await outcome({ ...one, on: { a: 'old' } }), [['replace a'], ['games removed']])
})

test('an index of a kernel that is not here any more does not come, and nothing is said of it', async () => {
  const [before, after] = [{ 'boot/kernel': dir() }, { 'boot/kernel/linker.hints': 'of kldxref' }]
  assert.deepEqual(await outcome({ before, after, on: { boot: dir() } }), [[], []])
  assert.deepEqual(await outcome({ before, after }), [['add boot/kernel/linker.hints'], []])
})

test('nothing is put below what goes or becomes something else', async () => {
  const before = { d: dir() }
  const next = async (nodes: NodeTree['nodes']): Promise<Pick<Given, 'next'>> => ({
    next: { ...(await treeOf({})), nodes: new Map([...(await treeOf({})).nodes, ...nodes]) },
  })
  const nodes = (await treeOf({ 'd/f': 'f' })).nodes
  const f = new Map([...nodes].filter(([path]) => path === 'd/f'))
  assert.deepEqual(await outcome({ before, after: {}, ...(await next(f)) }), [['remove d'], ['d/f removed']])
  const link = new Map([...f, ...[...(await treeOf({ d: symlink('e') })).nodes].filter(([path]) => path === 'd')])
  await assert.rejects(outcome({ before, after: {}, ...(await next(link)) }), { code: 'conflict', subject: '/d' })
})

// --- folders that go

const kernel = 'boot/kernel'

for (const [what, given, changes, kept] of [
  ['with all that is in it', {}, ['remove d', 'remove d/e', 'remove d/e/f', 'remove d/g'], []],
  [
    'not while something foreign is in it, nor what that lies in',
    { 'd/e/mine': 'mine' },
    ['remove d/e/f', 'remove d/g'],
    ['d/e not-empty'],
  ],
  ['not while something changed is in it, and that is told alone', { 'd/g': 'mine' }, ['remove d/e', 'remove d/e/f'], ['d/g modified']],
  [
    'not while something changed and something foreign is in it, and both are told',
    { 'd/g': 'mine', 'd/h': 'mine' },
    ['remove d/e', 'remove d/e/f'],
    ['d/g modified', 'd not-empty'],
  ],
] as const) {
  test(`a folder goes ${what}`, async () => {
    const before = { 'd/e/f': 'f', 'd/g': 'g' }
    assert.deepEqual(await outcome({ before, after: {}, on: { ...before, ...given } }), [changes, kept])
  })
}

test('a folder that becomes something else stays while something is in it, and the new one comes beside', async () => {
  const [before, after] = [{ 'd/f': 'f' }, { d: symlink('e') }]
  assert.deepEqual(await outcome({ before, after }), [['replace d', 'remove d/f'], []])
  assert.deepEqual(await outcome({ before, after, on: { ...before, 'd/mine': 'mine' } }), [
    ['add d.new of d', 'remove d/f'],
    ['d not-empty d.new'],
  ])
})

test('a folder that a file system is mounted on stays, whether something is in it or not', async () => {
  for (const content of [{ m: dir() }, { 'm/f': 'f' }]) {
    const removal = 'm/f' in content ? ['remove m/f'] : []
    assert.deepEqual(await outcome({ before: content, after: {}, mounted: 'm' }), [removal, ['m not-empty']])
  }
  const given = { before: { [kernel]: dir() }, after: {}, mounted: kernel, on: { [`${kernel}/linker.hints`]: 'index' } }
  assert.deepEqual(await outcome({ ...given, after: { boot: dir() } }), [[], [`${kernel} not-empty`]])
})

test('indexes go with the kernel that they are of, and nothing else does', async () => {
  const before = { [`${kernel}/k.ko`]: 'k' }
  const after = { boot: dir() }
  const on = { ...before, [`${kernel}/linker.hints`]: 'index' }
  const { changes, kept, live } = await changesOf({ before, after, on })
  assert.deepEqual([changes.map(line), kept], [[`remove ${kernel}`, `remove ${kernel}/k.ko`, `remove ${kernel}/linker.hints`], []])
  assert.equal(live.stats.get(relPath(`${kernel}/linker.hints`))?.size, 5)
  assert.deepEqual(await outcome({ before, after, on: { ...on, [`${kernel}/mine.ko`]: 'mine' } }), [
    [`remove ${kernel}/k.ko`],
    [`${kernel} not-empty`],
  ])
  // Not where it becomes something else, nor where the index is the release's own.
  assert.deepEqual(await outcome({ before, after: { [kernel]: symlink('other') }, on }), [
    [`add ${kernel}.new of ${kernel}`, `remove ${kernel}/k.ko`],
    [`${kernel} not-empty ${kernel}.new`],
  ])
  assert.deepEqual(await outcome({ before: { ...before, [`${kernel}/linker.hints`]: 'other' }, after, on }), [
    [`remove ${kernel}/k.ko`],
    [`${kernel}/linker.hints modified`],
  ])
})

test('what something here still needs stays, with what needs it, and its folder with it', async () => {
  const before = { 'lib/a': 'a', 'lib/b': 'b', 'lib/c': 'c' }
  let asked: readonly string[] = []
  const neededOf: ChangeInput['neededOf'] = async (changes) => {
    asked = [...changes.values()].map(line)
    return [
      { path: relPath('lib/a'), by: undefined, users: [] },
      { path: relPath('lib/b'), by: relPath('bin/p'), users: [] },
    ]
  }
  const { changes, kept } = await changesOf({ before, after: {}, neededOf })
  assert.deepEqual(asked, ['remove lib', 'remove lib/a', 'remove lib/b', 'remove lib/c'])
  assert.deepEqual(changes.map(line), ['remove lib/c'])
  assert.deepEqual(kept, [
    { path: 'lib/a', reason: 'needed' },
    { path: 'lib/b', reason: 'needed', by: 'bin/p' },
  ])
})

// --- what comes to lie beside

test('a version that may not replace what is there lies beside it once, and takes the place of an older one', async () => {
  const [before, after] = [{ a: 'old' }, { a: 'new' }]
  const told = [{ path: 'a', reason: 'modified', beside: 'a.new' }]
  for (const [beside, changes] of [
    [undefined, ['add a.new of a']],
    ['new', []],
    ['old', ['replace a.new of a']],
  ] as const) {
    const on = { a: 'mine', ...(beside === undefined ? {} : { 'a.new': beside }) }
    const { changes: got, kept, live } = await changesOf({ before, after, on })
    assert.deepEqual([got.map(line), kept], [changes, told])
    // Of what is replaced it has to be known whether it is still the same by then.
    assert.equal(live.stats.has(relPath('a.new')), beside === 'old')
  }
  assert.deepEqual(await outcome({ before, after, on: { a: 'mine' }, suffix: '.old' }), [['add a.old of a'], ['a modified a.old']])
})

test('where all names beside are taken, a version does not come, and what stays is told', async () => {
  const names = Array.from({ length: 100 }, (_, i) => (i === 0 ? 'a.new' : `a.new.${i}`))
  const on = { a: 'mine', b: 'mine', ...Object.fromEntries(names.map((name) => [name, 'theirs'])) }
  const { changes, kept } = await changesOf({ before: { a: 'old', b: 'old' }, after: { a: 'new', b: 'new' }, on })
  assert.deepEqual(changes.map(line), ['add b.new of b'])
  assert.deepEqual(kept, [
    { path: 'a', reason: 'modified' },
    { path: 'b', reason: 'modified', beside: 'b.new' },
  ])
})
