import assert from 'node:assert/strict'
import { test } from 'node:test'
import { collectBytes } from '../src/base/bytes.ts'
import { BinderyError } from '../src/base/error.ts'
import { findOldNames, readOldNames } from '../src/engine/client/apply/old-names.ts'
import { lookAt } from '../src/engine/client/apply/look.ts'
import { statePaths } from '../src/engine/client/state.ts'
import { decodeOldNames, encodeOldNames } from '../src/format/old-names.ts'
import { memoryDisk } from '../src/host/memory-disk.ts'
import { withFilesOfOtherDevices } from './helpers/limited-disk.ts'
import { dir, fifo, file, plant, relPath, symlink } from './helpers/plant.ts'
import { refused } from './helpers/refused.ts'
import type { Change, ChangeInput, Changes } from '../src/engine/client/apply/changes.ts'
import type { NodeTree } from '../src/engine/client/apply/nodes.ts'
import type { KeepOld } from '../src/format/keep-old.ts'
import type { Node } from '../src/format/journal-node.ts'
import type { Disk } from '../src/port/disk.ts'
import type { Literal } from './helpers/plant.ts'

/** Which paths get a second name before they are replaced, and what becomes of what is there. */

const scope = { xattrs: true, flags: true, excluded: () => false }
const rule = (path: string, old: string): KeepOld => ({ path: relPath(path), old: relPath(old) })
const one = rule('bsd', 'obsd')
const many = rule('boot/kernel', 'boot/kernel.old')

const node = (path: string, kind: 'file' | 'dir' = 'file'): Node => {
  const meta = { path: relPath(path), mode: 0o755, uid: 0, gid: 0, mtime: { sec: 1, nsec: 0 } }
  return (kind === 'dir' ? { ...meta, kind } : { ...meta, kind, size: 1, sha256: '1'.repeat(64) }) as Node
}
const treeOf = (...paths: readonly string[]): NodeTree => ({
  nodes: new Map(paths.map((path) => [relPath(path), node(path)])),
  groups: new Map(),
  leaders: new Map(),
})

function change(kind: Change['kind'], path: string, more: { readonly of?: string; readonly as?: 'file' | 'dir' } = {}): Change {
  const [old, made] = [node(path, more.as), { ...node(path, more.as), mode: 0o700 }]
  const at = { path: relPath(path), of: relPath(more.of ?? path) }
  if (kind === 'add') return { kind, ...at, new: made }
  if (kind === 'replace') return { kind, ...at, old, new: made }
  return kind === 'attr' ? { kind, path: at.path, old, new: made } : { kind, path: at.path, old }
}

type Given = {
  readonly on?: Literal
  /** What was kept last: what lies under these names, as it was then. */
  readonly earlier?: Literal
  readonly rules?: readonly KeepOld[]
  readonly own?: readonly Change[]
  readonly input?: Partial<ChangeInput>
  readonly mounts?: readonly string[]
  readonly wrap?: (disk: Disk) => Disk
}

async function recorded(literal: Literal): Promise<Uint8Array> {
  const disk = memoryDisk()
  await plant(disk, literal)
  const { nodes } = await lookAt(disk, Object.keys(literal).sort().map(relPath), { scope, guess: () => undefined })
  return encodeOldNames([...nodes.values()].sort((a, b) => (a.path < b.path ? -1 : 1)))
}

const bsd: Literal = { bsd: file('kernel 2', { mode: 0o700 }) }

/** What is done as `KIND PATH from DONOR`, what stays and why, and the paths of the note. */
async function found(
  given: Given,
): Promise<{ readonly done: string; readonly kept: string; readonly noted: string; readonly stats: string }> {
  const { on = bsd, earlier, rules = [one], own = [change('replace', 'bsd')], input = {}, mounts = [], wrap = (disk) => disk } = given
  const disk = memoryDisk({ mounts: Object.fromEntries(mounts.map((path) => [path, {}])) })
  await plant(disk, { ...on, ...(earlier !== undefined && { [statePaths.oldNames]: file(await recorded(earlier)) }) })
  const all: ChangeInput = {
    disk: wrap(disk),
    base: treeOf('bsd'),
    next: treeOf('bsd'),
    scope,
    suffix: '.new',
    isProtected: () => false,
    ...input,
  }
  const ownChanges: Changes = { changes: own, kept: [], merges: new Map(), live: { stats: new Map(), nodes: new Map() } }
  const { changes, kept, live, stateFiles, merges } = await findOldNames(all, ownChanges, rules)
  assert.equal(merges.size, 0)
  const notes: string[] = []
  for (const { path, mode, size, content } of stateFiles) {
    assert.ok(content !== 'remove')
    const bytes = (await collectBytes(content(), 1 << 20)) as Uint8Array
    assert.deepEqual([path, mode, size], [statePaths.oldNames, 0o600, bytes.length])
    notes.push(
      decodeOldNames(bytes)
        .map((noted) => noted.path)
        .join(' '),
    )
  }
  for (const { path, ...more } of changes) {
    if ('new' in more) assert.equal(more.new.path, path)
    // A link has all that its file has.
    const donor = 'donor' in more ? (await lookAt(disk, [more.donor], { scope, guess: () => undefined })).nodes : undefined
    if (donor !== undefined && 'new' in more) assert.deepEqual(more.new, { ...[...donor.values()][0], path })
  }
  return {
    done: changes.map(({ kind, path, ...more }) => `${kind} ${path}${'donor' in more ? ` from ${more.donor as string}` : ''}`).join(', '),
    kept: kept.map(({ path, reason, beside }) => `${reason} ${path}${beside === undefined ? '' : ` ${beside}`}`).join(', '),
    noted: notes.join(' | '),
    stats: [...live.stats.keys()]
      .filter((path) => path !== '.')
      .sort()
      .join(' '),
  }
}

const nothing = { done: '', kept: '', noted: '', stats: '' }
const done = async (given: Given): Promise<string> => (await found(given)).done
const linked = 'add obsd from bsd'

test('what is replaced gets a second name, which is noted', async () => {
  assert.deepEqual(await found({}), { done: linked, kept: '', noted: 'obsd', stats: 'bsd' })
  assert.deepEqual(await found({ rules: [] }), nothing)
})

test('it is replaced when something comes, goes or is exchanged in it, and not by attributes, nor by what lies beside', async () => {
  const kernel = { 'boot/kernel/a': 'a', 'boot/kernel/deep/b': 'b' }
  const links =
    'add boot/kernel.old, add boot/kernel.old/a from boot/kernel/a, add boot/kernel.old/deep, add boot/kernel.old/deep/b from boot/kernel/deep/b'
  const ways: readonly (readonly [Change, boolean])[] = [
    [change('add', 'boot/kernel/c'), true],
    [change('remove', 'boot/kernel/a'), true],
    [change('replace', 'boot/kernel/deep/b'), true],
    [change('replace', 'boot/kernel'), true],
    [change('attr', 'boot/kernel/a'), false],
    [change('add', 'boot/kernel/a.new', { of: 'boot/kernel/a' }), false],
    [change('replace', 'boot/kernel/a.new', { of: 'boot/kernel/a' }), false],
    [change('replace', 'boot/kernels'), false],
    [change('replace', 'boot/loader'), false],
  ]
  for (const [by, isKept] of ways) assert.equal(await done({ on: kernel, rules: [many], own: [by] }), isKept ? links : '', by.path)
  assert.equal(await done({ on: kernel, rules: [many], own: [change('attr', 'boot/kernel/a'), change('remove', 'boot/kernel/x')] }), links)
})

test('a second name that a release has, or that is ignored, or lies within, is none', async () => {
  const excluding = (path: string): Given => ({ input: { scope: { ...scope, excluded: (name) => name === path } } })
  const ways: readonly (readonly [string, Given])[] = [
    ['of the old release', { input: { base: treeOf('bsd', 'obsd') } }],
    ['of the new release', { input: { next: treeOf('bsd', 'obsd') } }],
    ['ignored', excluding('obsd')],
    ['of what is ignored', excluding('bsd')],
    ['in itself', { rules: [rule('bsd', 'bsd/old')] }],
    ['above itself', { on: { 'a/bsd': 'x' }, rules: [rule('a/bsd', 'a')], own: [change('replace', 'a/bsd')] }],
  ]
  for (const [what, given] of ways) assert.deepEqual(await found(given), nothing, what)
  assert.equal(await done({ input: { base: treeOf(), next: treeOf() } }), linked)
})

test('the folder of a second name must stay', async () => {
  const on = { 'boot/bsd': 'x' }
  const rules = [rule('boot/bsd', 'boot/obsd')]
  const own = change('remove', 'boot/bsd')
  const ways: readonly (readonly [Change, boolean])[] = [
    [change('remove', 'boot', { as: 'dir' }), false],
    [change('replace', 'boot', { as: 'dir' }), false],
    [change('attr', 'boot', { as: 'dir' }), true],
    [change('add', 'boot', { as: 'dir' }), true],
    [change('remove', 'boo'), true],
  ]
  for (const [by, isKept] of ways)
    assert.equal(await done({ on, rules, own: [own, by] }), isKept ? 'add boot/obsd from boot/bsd' : '', by.kind)
})

test('a link, a pipe and nothing are not kept, nor what another file system is mounted on', async () => {
  for (const on of [{ bsd: symlink('x') }, { bsd: fifo() }, {}] as const) assert.deepEqual(await found({ on }), nothing)
  const on = { 'boot/kernel/a': 'a' }
  const kernel = { rules: [many], own: [change('replace', 'boot/kernel/a')] }
  assert.deepEqual(await found({ ...kernel, on, mounts: ['boot/kernel'] }), nothing)
  assert.equal(await done({ ...kernel, on, mounts: ['boot'] }), 'add boot/kernel.old, add boot/kernel.old/a from boot/kernel/a')
  assert.deepEqual(await found({ ...kernel, on: { 'real/kernel/a': 'a', boot: symlink('real') } }), nothing)
})

test('on an overlay, files are of other devices than their folders, and are kept all the same', async () => {
  const overlay = { wrap: withFilesOfOtherDevices }
  assert.equal(await done(overlay), linked)
  assert.equal(await done({ ...overlay, on: { ...bsd, obsd: 'x' }, earlier: { obsd: 'x' } }), 'replace obsd from bsd')
  const kernel: Given = { on: { 'boot/kernel/a': 'a' }, rules: [many], own: [change('replace', 'boot/kernel/a')] }
  assert.equal(await done({ ...overlay, ...kernel }), 'add boot/kernel.old, add boot/kernel.old/a from boot/kernel/a')
})

test('of a folder all comes along but sockets, what is gone by then, and what is mounted in it', async () => {
  const on = {
    'boot/kernel/b': 'b',
    'boot/kernel/a': symlink('b'),
    'boot/kernel/c': fifo(),
    'boot/kernel/mnt/x': 'x',
    'boot/kernel/gone': '',
    'boot/kernel/s': '',
  }
  const wrap = (disk: Disk): Disk => ({
    ...disk,
    readdir: async (path) => [...(await disk.readdir(path))].sort().reverse(),
    lstat: async (path) => {
      const stat = await disk.lstat(path)
      if (stat === undefined || path === 'boot/kernel/gone') return undefined
      return path === 'boot/kernel/s' ? { ...stat, kind: 'socket' } : stat
    },
  })
  const given: Given = { on, wrap, rules: [many], own: [change('replace', 'boot/kernel/b')], mounts: ['boot/kernel/mnt'] }
  const names = 'a b c'.split(' ').map((name) => `add boot/kernel.old/${name} from boot/kernel/${name}`)
  assert.deepEqual(await found(given), {
    done: ['add boot/kernel.old', ...names].join(', '),
    kept: '',
    noted: 'boot/kernel.old boot/kernel.old/a boot/kernel.old/b boot/kernel.old/c',
    stats: 'boot boot/kernel boot/kernel/a boot/kernel/b boot/kernel/c',
  })
})

test('what somebody else has put there stays, and is told; other second names are not held up by it', async () => {
  const inTheWay = { ...nothing, kept: 'in-the-way obsd' }
  assert.deepEqual(await found({ on: { ...bsd, obsd: 'mine' } }), inTheWay)
  assert.deepEqual(await found({ on: { ...bsd, obsd: 'mine' }, earlier: { other: 'x' } }), inTheWay)
  const two = {
    on: { ...bsd, obsd: 'mine', netbsd: 'x' },
    rules: [one, rule('netbsd', 'onetbsd')],
    own: [change('replace', 'bsd'), change('add', 'netbsd')],
  }
  const { done: changes, kept } = await found(two)
  assert.deepEqual([changes, kept], ['add onetbsd from netbsd', 'in-the-way obsd'])
})

test('a file system that is mounted under the second name is in the way, whatever was there', async () => {
  const on = { 'boot/kernel/a': 'a', 'boot/kernel.old': dir() }
  const given: Given = { on, rules: [many], own: [change('replace', 'boot/kernel/a')], earlier: { 'boot/kernel.old': dir() } }
  assert.equal((await found({ ...given, mounts: ['boot/kernel.old'] })).kept, 'in-the-way boot/kernel.old')
  assert.equal((await found(given)).kept, '')
})

test('what was kept before makes room for what is kept now, where it is still that', async () => {
  const given = (there: Literal): Given => ({ on: { ...bsd, ...there }, earlier: { obsd: 'kernel 1' } })
  assert.deepEqual(await found(given({ obsd: 'kernel 1' })), { done: 'replace obsd from bsd', kept: '', noted: 'obsd', stats: 'bsd obsd' })
  assert.deepEqual(await found(given({ obsd: 'mine' })), {
    done: 'add obsd.new from bsd',
    kept: 'modified obsd obsd.new',
    noted: 'obsd',
    stats: 'bsd obsd',
  })
  // Who has removed it for its space wants the next one all the same.
  assert.deepEqual(await found(given({})), { done: linked, kept: '', noted: 'obsd', stats: 'bsd' })
  assert.deepEqual(await found(given({ obsd: file('kernel 2', { mode: 0o700 }) })), {
    done: '',
    kept: '',
    noted: 'obsd',
    stats: 'bsd obsd',
  })
})

test('so it is of several second names, each for itself', async () => {
  const earlier = { obsd: 'kernel 1', onetbsd: 'kernel 1' }
  const on = { ...bsd, ...earlier, netbsd: 'kernel 2' }
  const rules = [one, rule('netbsd', 'onetbsd')]
  const { done: changes, noted } = await found({ on, earlier, rules, own: [change('replace', 'bsd'), change('replace', 'netbsd')] })
  assert.deepEqual([changes, noted], ['replace obsd from bsd, replace onetbsd from netbsd', 'obsd onetbsd'])
})

test('of a folder that was kept before, names go and come, and folders get their modes', async () => {
  const earlier = {
    'boot/kernel.old': dir({ mode: 0o700 }),
    'boot/kernel.old/gone': 'x',
    'boot/kernel.old/same': file('same', { mode: 0o600 }),
  }
  const on = { ...earlier, 'boot/kernel': dir(), 'boot/kernel/new': 'y', 'boot/kernel/same': 'same' }
  const given: Given = { on, earlier, rules: [many], own: [change('add', 'boot/kernel/new')] }
  assert.deepEqual(await found(given), {
    done: 'attr boot/kernel.old, remove boot/kernel.old/gone, add boot/kernel.old/new from boot/kernel/new',
    kept: '',
    noted: 'boot/kernel.old boot/kernel.old/new boot/kernel.old/same',
    stats: 'boot boot/kernel boot/kernel.old boot/kernel.old/gone boot/kernel.old/same boot/kernel/new boot/kernel/same',
  })
})

test('the note names what was kept for other paths as before, in byte order, without what is ignored', async () => {
  const earlier = { aold: 'a', obsd: 'kernel 1', 'obsd.d': 'd', zold: 'z' }
  assert.equal((await found({ on: { ...bsd, ...earlier }, earlier })).noted, 'aold obsd obsd.d zold')
  const input = { scope: { ...scope, excluded: (path: string) => path === 'zold' } }
  assert.equal((await found({ on: { ...bsd, ...earlier }, earlier, input })).noted, 'aold obsd obsd.d')
})

test('what the releases are to each other is no matter of second names: nothing is merged, and nothing linked anew', async () => {
  const merging = { covers: () => assert.fail('was asked') } as unknown as NonNullable<ChangeInput['merging']>
  const on = { ...bsd, obsd: 'kernel 1', other: 'x' }
  const input = { relinked: new Set(['other', 'obsd'].map(relPath)), merging }
  assert.equal(await done({ on, earlier: { obsd: 'kernel 1' }, input }), 'replace obsd from bsd')
  assert.equal((await found({ on, earlier: { obsd: 'kernel 1' }, input })).stats, 'bsd obsd')
})

test('whoever asked may end it', async () => {
  await assert.rejects(found({ input: { signal: AbortSignal.abort() } }), { name: 'AbortError' })
})

// --- what was kept last

test('the note is read as it was written, and where there is none nothing was kept', async () => {
  const disk = memoryDisk()
  assert.deepEqual(await readOldNames(disk), [])
  await plant(disk, { [statePaths.oldNames]: file(await recorded({ a: 'x', b: symlink('a') })) })
  assert.deepEqual(
    (await readOldNames(disk)).map(({ path, kind }) => `${kind} ${path}`),
    ['file a', 'symlink b'],
  )
})

test('a damaged note is in the way of nothing but of second names', async () => {
  const on = { ...bsd, [statePaths.oldNames]: 'damaged' }
  assert.deepEqual(await found({ on, own: [change('replace', 'etc/motd')] }), nothing)
  assert.deepEqual(await refused(found({ on })), ['bad-format', `/${statePaths.oldNames}`])
})

test('a damaged note is told with its name and what can be done', async () => {
  const disk = memoryDisk()
  await plant(disk, { [statePaths.oldNames]: 'damaged' })
  assert.deepEqual(await refused(readOldNames(disk)), ['bad-format', `/${statePaths.oldNames}`])
  await assert.rejects(readOldNames(disk), (error: unknown) => {
    assert.ok(error instanceof BinderyError)
    assert.ok(error.cause instanceof BinderyError)
    assert.equal(error.message, error.cause.message)
    assert.match(error.hint ?? '', /put it back from a backup, or remove it/)
    return true
  })
})
