import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BinderyError } from '../src/base/error.ts'
import { parentPath } from '../src/base/path.ts'
import { closeTree, hasOldPrivileges, removeTree, sweepLeftovers, writtenLate } from '../src/engine/client/staged/sweep.ts'
import { memoryDisk } from '../src/host/memory-disk.ts'
import { faultyDisk } from './helpers/faulty-disk.ts'
import { dir, fifo, file, hardlink, plant, relPath, symlink } from './helpers/plant.ts'
import { refused } from './helpers/refused.ts'
import { placeOn } from './helpers/staged-place.ts'
import type { ErrorCode } from '../src/base/error.ts'
import type { RelPath } from '../src/base/path.ts'
import type { Standing } from '../src/engine/client/staged/place.ts'
import type { Disk } from '../src/port/disk.ts'
import type { Literal } from './helpers/plant.ts'

/** What is removed of trees, and what must not be. */

async function on(literal: Literal, mounts: readonly string[] = []): Promise<Disk> {
  const disk = memoryDisk({ mounts: Object.fromEntries(mounts.map((path) => [path, {}])) })
  await plant(disk, literal)
  return disk
}

const isThere = async (disk: Disk, path: string): Promise<boolean> => (await disk.lstat(relPath(path))) !== undefined

/** Tree 1 counts, and belongs to somebody; the folder of the trees does not. */
const trees: Literal = {
  jail: symlink('jail.trees/1'),
  'jail.trees': dir(),
  'jail.trees/1': dir({ uid: 1000 }),
  'jail.trees/closed': dir(),
}

function standing(...leftovers: readonly string[]): Standing {
  return { current: { number: 1, path: relPath('jail.trees/1') }, others: [], leftovers: leftovers.map(relPath) }
}

test('what runs left is removed, whether it belongs to whoever owns the trees or the tree that counts', async () => {
  const left: Literal = {
    'jail.next': symlink('jail.trees/2'),
    'jail.trees/2': dir({ uid: 1000 }),
    'jail.trees/3.gone/etc/conf': '',
    'jail.trees/closed/4.new/etc/conf': file('', { uid: 7 }),
  }
  const disk = await on({ ...trees, ...left })
  const paths = ['jail.next', 'jail.trees/2', 'jail.trees/3.gone', 'jail.trees/closed/4.new']
  await sweepLeftovers(placeOn(disk), standing(...paths, 'jail.trees/closed/5.new'))
  assert.deepEqual([...(await disk.readdir(relPath('.')))].sort(), ['jail', 'jail.trees'])
  assert.deepEqual([...(await disk.readdir(relPath('jail.trees')))].sort(), ['1', 'closed'])
  assert.deepEqual(await disk.readdir(relPath('jail.trees/closed')), [])
})

test('what no run can have left is refused by its name, and not removed', async () => {
  const others: Literal = {
    'jail.next': dir(),
    'jail.trees/2': file(''),
    'jail.trees/3.gone': symlink('/etc'),
    'jail.trees/4': dir({ uid: 7 }),
    'jail.trees/closed/5.new': dir({ uid: 1001 }),
  }
  for (const [path, one] of Object.entries(others)) {
    const disk = await on({ ...trees, [path]: one })
    assert.deepEqual(await refused(sweepLeftovers(placeOn(disk), standing(path))), ['hostile', path])
    assert.ok(await isThere(disk, path), path)
  }
  const disk = await on({ ...trees, 'jail.next': symlink('/etc', { uid: 7 }) })
  assert.deepEqual(await refused(sweepLeftovers(placeOn(disk), standing('jail.next'))), ['hostile', 'jail.next'])
})

async function removing(literal: Literal, path: string): Promise<readonly string[]> {
  const inner = await on(literal)
  const { disk, calls } = faultyDisk(inner, { kind: 'none' })
  await removeTree(disk, relPath(path))
  for (const name of [path, `${path.replace(/\.\w+$/, '')}.gone`]) assert.ok(!(await isThere(inner, name)), name)
  return calls.filter((call) => !call.startsWith('chmod '))
}

test('a tree loses its name before anything that is in it, and is gone for good', async () => {
  const tree = (path: string): Literal => ({ [`${path}/d/f`]: '' })
  const gone = (path: string): readonly string[] => [`unlink ${path}.gone/d/f`, `rmdir ${path}.gone/d`, `rmdir ${path}.gone`]
  assert.deepEqual(await removing(tree('t/2'), 't/2'), ['rename t/2', ...gone('t/2'), 'sync t'])
  assert.deepEqual(await removing(tree('t/2.new'), 't/2.new'), ['rename t/2.new', ...gone('t/2'), 'sync t'])
  assert.deepEqual(await removing(tree('t/2.gone'), 't/2.gone'), [...gone('t/2'), 'sync t'])
})

test('what is left of an earlier one that had the name goes first', async () => {
  const both: Literal = { 't/2/d/f': '', 't/2.gone/old': '' }
  const first = ['unlink t/2.gone/old', 'rmdir t/2.gone', 'rename t/2']
  assert.deepEqual((await removing(both, 't/2')).slice(0, 3), first)
})

test('of what is no tree the name alone goes; what is not there is no failure', async () => {
  assert.deepEqual(await removing({ 't/2': symlink('/etc') }, 't/2'), ['unlink t/2'])
  assert.deepEqual(await removing({ t: dir() }, 't/2'), [])
})

test('nothing is removed that is mounted in a tree', async () => {
  const disk = await on({ 't/2.gone/srv/data': '' }, ['t/2.gone/srv'])
  assert.deepEqual(await refused(removeTree(disk, relPath('t/2.gone'))), ['conflict', 't/2.gone/srv'])
  assert.ok(await isThere(disk, 't/2.gone/srv/data'))
})

test('a folder of another file system is not gone into, even where the system knows of no mount, as of a subvolume', async () => {
  const disk = await on({ 't/2.gone/srv/data': '' }, ['t/2.gone/srv'])
  const subvolume: Disk = { ...disk, mountPointsAmong: async () => new Set() }
  assert.deepEqual(await refused(removeTree(subvolume, relPath('t/2.gone'))), ['conflict', 't/2.gone/srv'])
  assert.ok(await isThere(disk, 't/2.gone/srv/data'))
})

test('a file with another device than its folder is removed, as on an overlay, unless something is mounted on it', async () => {
  for (const isMounted of [true, false]) {
    const inner = await on({ 't/2/dev/null': '', 't/2/dev/fd': fifo() })
    const asked: RelPath[] = []
    const disk: Disk = {
      ...inner,
      lstat: async (path) => {
        const stat = await inner.lstat(path)
        return stat?.kind === 'file' ? { ...stat, device: 100n } : stat
      },
      mountPointsAmong: async (paths) => (asked.push(...paths), new Set(isMounted ? paths : [])),
    }
    const refusal = isMounted ? ['conflict', 't/2.gone/dev/null'] : ['not refused']
    assert.deepEqual(await refused(removeTree(disk, relPath('t/2'))), refusal)
    assert.deepEqual(asked, ['t/2.gone/dev/null'])
    assert.equal(await isThere(inner, 't/2.gone/dev/null'), isMounted)
  }
})

function denied(path: RelPath, code: ErrorCode = 'permission'): BinderyError {
  return new BinderyError(code, 'is denied', { subject: path })
}

test('folders that their owner may not write in are removed, too', async () => {
  const inner = await on({ 't/2/d/e/f': '', 't/2/d/e': dir({ mode: 0o500 }), 't/2/d': dir({ mode: 0o5 }) })
  const mustBeOpen = async (path: RelPath): Promise<void> => {
    if ((((await inner.lstat(path))?.mode ?? 0) & 0o700) !== 0o700) throw denied(path)
  }
  const disk: Disk = {
    ...inner,
    readdir: async (path) => (await mustBeOpen(path), await inner.readdir(path)),
    unlink: async (path) => (await mustBeOpen(parentPath(path)), await inner.unlink(path)),
  }
  await removeTree(disk, relPath('t/2'))
  assert.deepEqual(await inner.readdir(relPath('t')), [])
})

/** Flags of a file or of its folder are in the way, as on BSD. */
async function flagged(flags: readonly string[], more: Partial<Disk> = {}): Promise<Disk> {
  const inner = await on({ 't/2/d/f': '', 't/2/d/g': '' })
  for (const path of flags) await inner.setFlags(relPath(path), ['schg'])
  const heeding =
    <A extends readonly unknown[]>(work: (path: RelPath, ...rest: A) => Promise<void>) =>
    async (path: RelPath, ...rest: A): Promise<void> => {
      if ((await inner.flagsOf([path, parentPath(path)])).size > 0) throw denied(path)
      await work(path, ...rest)
    }
  return { ...inner, unlink: heeding(inner.unlink), rmdir: heeding(inner.rmdir), chmod: heeding(inner.chmod), ...more }
}

test('flags that forbid it are taken away, of a file and of its folder', async () => {
  for (const flags of [['t/2/d/f'], ['t/2/d'], ['t/2/d/f', 't/2/d/g', 't/2/d', 't/2']]) {
    const disk = await flagged(flags)
    await removeTree(disk, relPath('t/2'))
    assert.deepEqual(await disk.readdir(relPath('t')), [])
  }
})

test('nobody touches flags where there are none, or where something else is the matter', async () => {
  const untouched: Partial<Disk> = { setFlags: async () => assert.fail('sets flags') }
  const none = { xattrs: true, flags: false, privileged: true }
  const disk = await flagged(['t/2/d/f'], { ...untouched, capabilities: async () => none })
  assert.deepEqual(await refused(removeTree(disk, relPath('t/2'))), ['permission', 't/2.gone/d/f'])
  const failing = async (path: RelPath): Promise<void> => {
    throw denied(path, 'io')
  }
  assert.deepEqual(await refused(removeTree(await flagged([], { ...untouched, unlink: failing }), relPath('t/2'))), ['io', 't/2.gone/d/f'])
})

test('a file that no flag keeps from being removed is a failure', async () => {
  const disk = await flagged([], { unlink: async (path) => await Promise.reject(denied(path)) })
  assert.deepEqual(await refused(removeTree(disk, relPath('t/2'))), ['permission', 't/2.gone/d/f'])
})

const [old, next] = [relPath('old'), relPath('new')]

test('programs that ran as somebody else are those of the new tree where they are the same file, and no others', async () => {
  const su = file('su', { mode: 0o4755 })
  const ways: Readonly<Record<string, readonly [Literal, boolean]>> = {
    'the same file': [{ 'old/su': su, 'new/su': hardlink('old/su') }, false],
    'the same file, of a group': [{ 'old/su': file('su', { mode: 0o2755 }), 'new/su': hardlink('old/su') }, false],
    'another file': [{ 'old/su': su, 'new/su': su }, true],
    'another file, of a group': [{ 'old/su': file('su', { mode: 0o2755 }), 'new/su': su }, true],
    'no file': [{ 'old/su': su, new: dir() }, true],
    'no folder': [{ 'old/d/su': su, new: dir() }, true],
    'a file where its folder was': [{ 'old/d/su': su, 'new/d': '' }, true],
    'a link where its folder was': [{ 'old/d/su': su, 'new/d': symlink('/bin') }, true],
    'one of two': [{ 'old/a': su, 'new/a': hardlink('old/a'), 'old/b': su, 'new/b': su }, true],
    'a program of everybody': [{ 'old/sh': file('sh', { mode: 0o1777 }), 'new/sh': file('sh', { mode: 0o4755 }) }, false],
    'a folder of a group': [{ 'old/d': dir({ mode: 0o2775 }), new: dir() }, false],
    'what bindery keeps': [{ 'old/var/db/bindery/store/1/0': su, new: dir() }, false],
  }
  for (const [what, [literal, isOld]] of Object.entries(ways))
    assert.equal(await hasOldPrivileges(await on(literal), { old, next }), isOld, what)
})

test('a disk that fails is no file that is gone', async () => {
  const inner = await on({ 'old/su': file('su', { mode: 0o4755 }), 'new/su': 'su' })
  const lstat: Disk['lstat'] = async (path) => {
    if (path === 'new/su') throw denied(path, 'io')
    return await inner.lstat(path)
  }
  assert.deepEqual(await refused(hasOldPrivileges({ ...inner, lstat }, { old, next })), ['io', 'new/su'])
})

test('a tree is closed by one rename, durable in both folders; one that is closed stays where it is', async () => {
  const { disk, calls } = faultyDisk(await on({ ...trees, 'jail.trees/2': dir() }), { kind: 'none' })
  const closed = await closeTree(placeOn(disk), { number: 2, path: relPath('jail.trees/2') })
  assert.deepEqual(closed, { number: 2, path: 'jail.trees/closed/2' })
  assert.deepEqual(calls, ['rename jail.trees/2', 'sync jail.trees', 'sync jail.trees/closed'])
  assert.deepEqual(await closeTree(placeOn(disk), closed), closed)
  assert.equal(calls.length, 3)
  assert.ok(await isThere(disk, 'jail.trees/closed/2'))
})

test('written late are files that are newer than the switch, and are not the same in the tree that counts', async () => {
  const left = { sec: 1_700_000_000, nsec: 500 }
  const at = (sec: number, nsec: number): { readonly mtime: { readonly sec: number; readonly nsec: number } } => ({ mtime: { sec, nsec } })
  const since = at(left.sec, left.nsec + 1)
  const ways: readonly (readonly [string, Literal, boolean])[] = [
    ['at the switch', { 'old/f': file('', { mtime: left }) }, false],
    ['in the same second before it', { 'old/f': file('', at(left.sec, 499)) }, false],
    ['seconds before it', { 'old/f': file('', at(left.sec - 1, 900)) }, false],
    ['in the same second behind it', { 'old/f': file('', since) }, true],
    ['seconds behind it', { 'old/f': file('', at(left.sec + 1, 0)) }, true],
    ['and it came along', { 'old/f': file('', since), 'new/f': file('', since) }, false],
    ['and it came along shorter', { 'old/f': file('ab', since), 'new/f': file('a', since) }, true],
    ['and it came along seconds before', { 'old/f': file('', since), 'new/f': file('', at(left.sec - 1, 501)) }, true],
    ['and it came along a little before', { 'old/f': file('', since), 'new/f': file('', { mtime: left }) }, true],
    ['and its folder is gone', { 'old/d/f': file('', since), 'old/d': dir(), 'new/d': '' }, true],
    ['into a file that is the same in both', { 'old/f': file('', since), 'new/g': hardlink('old/f') }, false],
    ['into a folder', { 'old/d': dir(since) }, false],
    ['as a link', { 'old/l': symlink('x', since) }, false],
    ['by bindery', { 'old/var/db/bindery/log/1': file('', since) }, false],
  ]
  for (const [what, literal, isLate] of ways) {
    const disk = await on({ new: dir(), ...literal })
    const path = (Object.keys(literal)[0] as string).slice('old/'.length)
    assert.deepEqual(await writtenLate(disk, old, next, left), isLate ? [path] : [], what)
  }
})

test('a file of which all names are in the tree goes with it, however many it has', async () => {
  const left = { sec: 1_700_000_000, nsec: 500 }
  const names: Literal = { 'old/f': file('', { mtime: { sec: left.sec + 1, nsec: 0 } }), 'old/g': hardlink('old/f'), new: dir() }
  const late = async (more: Literal): Promise<readonly string[]> => await writtenLate(await on({ ...names, ...more }), old, next, left)
  assert.deepEqual((await late({})).toSorted(), ['f', 'g'])
  assert.deepEqual((await late({ 'old/var/db/bindery/store/1/0': hardlink('old/f') })).toSorted(), ['f', 'g'])
  for (const elsewhere of ['new/f', 'new/g', 'new/h', 'other/f'])
    assert.deepEqual(await late({ [elsewhere]: hardlink('old/f') }), [], elsewhere)
})
