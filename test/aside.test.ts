import assert from 'node:assert/strict'
import { test } from 'node:test'
import { oneChunk, utf8 } from '../src/base/bytes.ts'
import { sha256 } from '../src/base/digest.ts'
import { BinderyError } from '../src/base/error.ts'
import {
  changeAttributes,
  copyNode,
  finishCopies,
  keepAside,
  lstatDeep,
  makeSpecial,
  setAttributes,
  syncFile,
  tellingOf,
  tryLink,
} from '../src/engine/client/apply/aside.ts'
import { memoryDisk } from '../src/host/memory-disk.ts'
import { text } from './helpers/client-world.ts'
import { faultyDisk } from './helpers/faulty-disk.ts'
import { withoutLinks } from './helpers/limited-disk.ts'
import { dir, fifo, file, plant, relPath, symlink } from './helpers/plant.ts'
import { refused } from './helpers/refused.ts'
import type { Timestamp, Xattrs } from '../src/base/entry.ts'
import type { ErrorCode } from '../src/base/error.ts'
import type { RelPath } from '../src/base/path.ts'
import type { Leaf } from '../src/format/journal-node.ts'
import type { Disk, Inode, Stat } from '../src/port/disk.ts'
import type { Literal } from './helpers/plant.ts'

/** Single files on their way between the tree and their slots, also while somebody else exchanges them. */

const [live, slot] = [relPath('etc/f'), relPath('slot/0')]
const mtime: Timestamp = { sec: 1_700_000_000, nsec: 5 }
const attribute = (value: string): Xattrs => new Map([['user.a', value]])

async function on(literal: Literal = {}): Promise<Disk> {
  const disk = memoryDisk()
  await plant(disk, { etc: dir(), slot: dir(), ...literal })
  return disk
}

function leaf(more: Partial<Leaf> = {}): Leaf {
  const content = { kind: 'file', size: 1, sha256: sha256(utf8('x')) }
  return { path: live, mode: 0o644, uid: 0, gid: 0, mtime, ...content, ...more } as Leaf
}

const failing =
  (code: ErrorCode) =>
  async (path: RelPath): Promise<never> => {
    throw new BinderyError(code, 'a fault of the test', { subject: path })
  }

async function callsOf(inner: Disk, work: (disk: Disk) => Promise<unknown>): Promise<readonly string[]> {
  const { disk, calls } = faultyDisk(inner, { kind: 'none' })
  await work(disk)
  return calls
}

const statOf = async (disk: Disk, path: RelPath): Promise<Stat> => (await disk.lstat(path)) as Stat

// --- a second name

test('a file is kept by a second name, and nothing is left to be finished', async () => {
  const disk = await on({ 'etc/f': 'x' })
  assert.equal(await keepAside(disk, live, slot, leaf()), undefined)
  assert.equal((await statOf(disk, slot)).inode, (await statOf(disk, live)).inode)
})

test('where there can be none it is kept by a copy, whose time is still to be set', async () => {
  const disk = withoutLinks(await on({ 'etc/f': file('x', { mode: 0o4755 }) }))
  assert.deepEqual(await keepAside(disk, live, slot, leaf({ mode: 0o4755 })), { path: slot, mtime })
  assert.equal(await text(disk, slot), 'x')
  assert.deepEqual([(await statOf(disk, slot)).mode, (await statOf(disk, slot)).nlink], [0o4755, 1])
})

test('a link fails as the disk does, but where it says that there can be none', async () => {
  const ways: readonly (readonly [ErrorCode, boolean, boolean])[] = [
    ['not-supported', true, true],
    ['permission', true, true],
    ['not-found', false, true],
    ['io', false, false],
    ['no-space', false, false],
  ]
  for (const [code, ofFile, ofLink] of ways) {
    const answer = async (given: Literal): Promise<unknown> => {
      const disk: Disk = { ...(await on(given)), link: failing(code) }
      const refusal = await refused(tryLink(disk, slot, live).then((isLinked) => assert.equal(isLinked, false)))
      return refusal.length === 1 ? true : refusal
    }
    assert.deepEqual(await answer({ 'etc/f': 'x' }), ofFile ? true : [code, slot], code)
    assert.deepEqual(await answer({ 'etc/f': symlink('nowhere') }), ofLink ? true : [code, slot], code)
  }
  assert.deepEqual(await refused(tryLink(await on(), slot, live)), ['not-found', live])
})

test('a symbolic link gets a second name, too; a system whose link(2) follows it leaves none of its target', async () => {
  const disk = await on({ 'etc/f': symlink('target'), 'etc/target': 'x' })
  assert.equal(await tryLink(disk, slot, live), true)
  assert.equal(await disk.readlink(slot), 'target')
  const following: Disk = { ...disk, link: async (path) => await disk.link(path, relPath('etc/target')) }
  const other = relPath('slot/1')
  assert.equal(await tryLink(following, other, live), false)
  assert.equal(await disk.lstat(other), undefined)
  await keepAside(following, live, other, leaf({ kind: 'symlink', target: 'target' }))
  assert.equal(await disk.readlink(other), 'target')
})

test('what fails at a slot is told of the path; a bug stays one', async () => {
  const path = relPath('etc/h\u00c3\u00a9')
  assert.deepEqual(await refused(tellingOf(path, async () => await failing('io')(slot))), ['io', '/etc/h\u00e9'])
  const bug = new TypeError('a bug')
  await assert.rejects(
    tellingOf(path, async () => await Promise.reject(bug)),
    bug,
  )
  assert.equal(await tellingOf(path, async () => await Promise.resolve(1)), 1)
})

// --- a copy

test('a copy is all that the node says but for its time: owner before mode, and attributes last', async () => {
  const disk = await on({ 'etc/f': 'x' })
  const node = leaf({ mode: 0o4755, uid: 7, gid: 8, xattrs: attribute('v') })
  const calls = await callsOf(disk, async (watched) => assert.deepEqual(await copyNode(watched, live, slot, node), { path: slot, mtime }))
  assert.deepEqual(
    calls,
    ['create', 'chown', 'chmod', 'setXattrs'].map((call) => `${call} ${slot}`),
  )
  const { mode, uid, gid } = await statOf(disk, slot)
  assert.deepEqual([mode, uid, gid, await text(disk, slot)], [0o4755, 7, 8, 'x'])
  assert.deepEqual((await disk.xattrsOf([slot])).get(slot), attribute('v'))
})

test('owners are set only where they are others, and modes of no link', async () => {
  const ways: readonly (readonly [Partial<Leaf>, readonly string[]])[] = [
    [{}, ['chmod']],
    [{ uid: 7 }, ['chown', 'chmod']],
    [{ gid: 7 }, ['chown', 'chmod']],
    [{ xattrs: new Map() }, ['chmod', 'setXattrs']],
    [{ kind: 'fifo' }, ['chmod']],
    [{ kind: 'symlink', target: 'x' }, []],
    [{ kind: 'symlink', target: 'x', gid: 7, xattrs: new Map() }, ['chown', 'setXattrs']],
  ]
  for (const [more, calls] of ways) {
    const disk = await on({ 'etc/f': more.kind === 'symlink' ? symlink('x') : 'x' })
    const made = await callsOf(disk, async (watched) => await setAttributes(watched, live, leaf(more)))
    assert.deepEqual(
      made,
      calls.map((call) => `${call} ${live}`),
    )
  }
  assert.deepEqual(await refused(setAttributes(await on(), live, leaf())), ['not-found', live])
})

test('links, pipes and devices are made anew; a socket is a pipe until somebody listens on it', async () => {
  const made = async (more: Partial<Leaf>): Promise<unknown> => {
    const disk = await on()
    await makeSpecial(disk, slot, leaf(more) as Exclude<Leaf, { kind: 'file' }>)
    const { kind, major, minor } = await statOf(disk, slot)
    return kind === 'symlink' ? await disk.readlink(slot) : [kind, major, minor]
  }
  assert.deepEqual(await made({ kind: 'symlink', target: '../x' }), '../x')
  assert.deepEqual(await made({ kind: 'fifo' }), ['fifo', undefined, undefined])
  assert.deepEqual(await made({ kind: 'socket' }), ['fifo', undefined, undefined])
  assert.deepEqual(await made({ kind: 'char', major: 1, minor: 3 }), ['char', 1, 3])
  assert.deepEqual(await made({ kind: 'block', major: 8, minor: 1 }), ['block', 8, 1])
})

/** What else lies there when it is looked at for the `nth` time, as of an owner who exchanges it. */
function exchangedAt(inner: Disk, nth: number): Disk {
  let looks = 0
  const lstat: Disk['lstat'] = async (path) => {
    const stat = await inner.lstat(path)
    if (path !== slot || ++looks !== nth) return stat
    await inner.unlink(path)
    await inner.create(path, oneChunk(utf8('shadow')))
    return stat
  }
  return { ...inner, lstat }
}

test('rights of a copy go to the file that was made, and to no other that has its name by then', async () => {
  const ways = [leaf(), leaf({ uid: 7 }), leaf({ xattrs: attribute('v') })]
  for (const node of ways) {
    for (const nth of [1, 2]) {
      const disk = await on({ 'etc/f': 'x' })
      assert.deepEqual(await refused(copyNode(exchangedAt(disk, nth), live, slot, node)), ['hostile', slot])
      const { uid, mode } = await statOf(disk, slot)
      assert.deepEqual([uid, mode, await text(disk, slot)], [0, 0o600, 'shadow'])
    }
  }
})

test('a copy that has a second name is none that was made here', async () => {
  const inner = await on({ 'etc/f': 'x' })
  const disk: Disk = {
    ...inner,
    create: async (path, content) => {
      const size = await inner.create(path, content)
      await inner.link(relPath('slot/other'), path)
      return size
    },
  }
  assert.deepEqual(await refused(copyNode(disk, live, slot, leaf({ mode: 0o4755 }))), ['hostile', slot])
  assert.equal((await statOf(inner, slot)).mode, 0o600)
})

test('what was seen is said of files alone: nobody writes into a link or a pipe', async () => {
  const inner = await on({ 'etc/f': 'x' })
  const said: (Inode | undefined)[] = []
  const disk: Disk = {
    ...inner,
    chmod: async (_, __, seen) => void said.push(seen),
    chown: async (_, __, ___, seen) => void said.push(seen),
    setXattrs: async (_, __, how) => void said.push(how?.seen),
  }
  const copied = async (more: Partial<Leaf>): Promise<readonly (boolean | undefined)[]> => {
    said.length = 0
    if ((await inner.lstat(slot)) !== undefined) await inner.unlink(slot)
    await copyNode(disk, live, slot, leaf({ uid: 7, xattrs: attribute('v'), ...more }))
    const { inode } = await statOf(inner, slot)
    return said.map((seen) => (seen === undefined ? undefined : seen.inode === inode))
  }
  assert.deepEqual(await copied({}), [true, true, true])
  assert.deepEqual(await copied({ kind: 'fifo' }), [undefined, undefined, undefined])
  assert.deepEqual(await copied({ kind: 'symlink', target: 'x' }), [undefined, undefined])
})

test('copies get their times together, and files are made durable', async () => {
  const disk = await on({ 'etc/f': 'x', 'etc/l': symlink('x'), 'etc/p': fifo(), 'etc/g': 'y' })
  const paths = ['etc/f', 'etc/l', 'etc/p', 'etc/g'].map(relPath)
  const copies = paths.map((path) => ({ path, mtime }))
  assert.deepEqual(await callsOf(disk, async (watched) => await finishCopies(watched, copies)), ['setTimes', 'sync etc/f', 'sync etc/g'])
  for (const path of paths) assert.deepEqual((await statOf(disk, path)).mtime, mtime, path)
  assert.deepEqual(await callsOf(disk, async (watched) => await finishCopies(watched, [])), [])
})

test('only that a file may not be read by its own owner excuses that it is not synced', async () => {
  const ways: readonly (readonly [ErrorCode, number, boolean])[] = [
    ['permission', 0o244, true],
    ['permission', 0o400, false],
    ['io', 0o200, false],
    ['io', 0o600, false],
  ]
  for (const [code, mode, isExcused] of ways) {
    const disk: Disk = { ...(await on({ 'etc/f': file('x', { mode }) })), sync: failing(code) }
    assert.deepEqual(await refused(syncFile(disk, live)), isExcused ? ['not refused'] : [code, live], `${code} ${mode.toString(8)}`)
  }
  assert.deepEqual(await refused(syncFile(await on(), live)), ['not-found', live])
})

test('below what is no folder there is nothing; a disk that fails is told', async () => {
  const disk = await on({ 'etc/f': 'x', 'etc/l': symlink('../slot') })
  for (const path of ['etc/gone', 'gone/f', 'etc/f/g', 'etc/l/0']) assert.equal(await lstatDeep(disk, relPath(path)), undefined, path)
  assert.equal((await lstatDeep(disk, live))?.kind, 'file')
  assert.deepEqual(await refused(lstatDeep({ ...disk, lstat: failing('io') }, live)), ['io', live])
})

// --- attributes of what lies in the tree

const [withA, withB] = [attribute('a'), attribute('b')]

test('of its attributes those are set that are others, and those that a new owner takes along', async () => {
  const ways: readonly (readonly [string, Partial<Leaf>, Partial<Leaf>, readonly string[]])[] = [
    ['the same', {}, {}, []],
    ['another time', {}, { mtime: { sec: 1, nsec: 0 } }, []],
    ['another mode', {}, { mode: 0o600 }, ['chmod']],
    ['another user', {}, { uid: 7 }, ['chown', 'chmod']],
    ['another group', {}, { gid: 7 }, ['chown', 'chmod']],
    ['another group and mode', {}, { gid: 7, mode: 0o2755 }, ['chown', 'chmod']],
    ['the same attribute', { xattrs: withA }, { xattrs: withA }, []],
    ['another attribute', { xattrs: withA }, { xattrs: withB }, ['setXattrs']],
    ['a new attribute', {}, { xattrs: withB }, ['setXattrs']],
    ['no attribute any more', { xattrs: withA }, {}, ['setXattrs']],
    ['another mode and attribute', {}, { mode: 0o600, xattrs: withB }, ['chmod', 'setXattrs']],
    ['another mode, the same attribute', { xattrs: withA }, { mode: 0o600, xattrs: withA }, ['chmod']],
    ['another user, the same attribute', { xattrs: withA }, { uid: 7, xattrs: withA }, ['chown', 'chmod', 'setXattrs']],
    ['another user, no attribute any more', { xattrs: withA }, { uid: 7 }, ['chown', 'chmod', 'setXattrs']],
  ]
  for (const [what, before, after, calls] of ways) {
    const disk = await on({ 'etc/f': file('x', { mtime, ...(before.xattrs && { xattrs: before.xattrs }) }) })
    const change = { live: await statOf(disk, live), old: leaf(before), next: leaf(after) }
    const made = await callsOf(disk, async (watched) => await changeAttributes(watched, live, change))
    assert.deepEqual(
      made,
      calls.map((call) => `${call} ${live}`),
      what,
    )
    const { mode, uid, gid } = await statOf(disk, live)
    assert.deepEqual([mode, uid, gid], [change.next.mode, change.next.uid, change.next.gid], what)
    assert.deepEqual((await disk.xattrsOf([live])).get(live) ?? new Map(), change.next.xattrs ?? new Map(), what)
  }
})

test('a link has no mode, and nothing is said of which one was seen', async () => {
  const inner = await on({ 'etc/f': symlink('x') })
  const said: unknown[] = []
  const disk: Disk = {
    ...inner,
    chmod: async () => assert.fail('sets the mode of a link'),
    chown: async (path, uid, gid, seen) => (said.push(seen), await inner.chown(path, uid, gid)),
    setXattrs: async (path, xattrs, how) => (said.push(how?.seen), await inner.setXattrs(path, xattrs)),
  }
  const [old, next] = [leaf({ kind: 'symlink', target: 'x' }), leaf({ kind: 'symlink', target: 'x', uid: 7, mode: 0o755, xattrs: withA })]
  await changeAttributes(disk, live, { live: await statOf(inner, live), old, next })
  assert.deepEqual(said, [undefined, undefined])
  assert.equal((await statOf(inner, live)).uid, 7)
})

test('what is another file before anything is changed stays as it is', async () => {
  for (const after of [{ uid: 7 }, { mode: 0o4755 }, { xattrs: withA }]) {
    const disk = await on({ 'etc/f': 'x', 'etc/g': 'y' })
    const seen = await statOf(disk, live)
    await disk.rename(relPath('etc/g'), live)
    assert.deepEqual(await refused(changeAttributes(disk, live, { live: seen, old: leaf(), next: leaf(after) })), ['hostile', live])
    const { mode, uid } = await statOf(disk, live)
    assert.deepEqual([mode, uid, await disk.xattrsOf([live])], [0o644, 0, new Map()])
  }
})

/** Answers of what is seen from the first change on; notes what mode and attributes are set on. */
function seeing(inner: Disk, after: Partial<Stat> | undefined, given: (Inode | undefined)[]): Disk {
  let isChanged = false
  return {
    ...inner,
    chown: async () => void (isChanged = true),
    lstat: async (path) => {
      const stat = await inner.lstat(path)
      return !isChanged || stat === undefined ? stat : after && { ...stat, ...after }
    },
    chmod: async (_, __, seen) => ((isChanged = true), void given.push(seen)),
    setXattrs: async (_, __, how) => void given.push(how?.seen),
  }
}

test('behind a new owner it is the same file, or one that an overlay has made of it; anything else gets no rights', async () => {
  const owned: Partial<Stat> = { uid: 7, gid: 8 }
  const another: Partial<Stat> = { ...owned, inode: 99n }
  const ways: readonly (readonly [string, Partial<Stat> | undefined, boolean])[] = [
    ['the same', owned, true],
    ['the same, written to', { ...owned, size: 5, mtime: { sec: 5, nsec: 5 } }, true],
    ['another inode that is alike', another, true],
    ['another file system, and alike', { ...owned, device: 99n }, true],
    ['another inode that is larger', { ...another, size: 5 }, false],
    ['another inode, written to seconds later', { ...another, mtime: { ...mtime, sec: 5 } }, false],
    ['another inode, written to a little later', { ...another, mtime: { ...mtime, nsec: 6 } }, false],
    ['another file system that is larger', { ...owned, device: 99n, size: 5 }, false],
    ['of another user', { ...owned, uid: 9 }, false],
    ['of another group', { ...owned, gid: 9 }, false],
    ['alike, and of another group', { ...another, gid: 9 }, false],
    ['gone', undefined, false],
  ]
  for (const [what, after, isTaken] of ways) {
    const inner = await on({ 'etc/f': file('x', { mtime }) })
    const given: (Inode | undefined)[] = []
    const seen = await statOf(inner, live)
    const change = { live: seen, old: leaf(), next: leaf({ uid: 7, gid: 8, xattrs: withA }) }
    const answer = await refused(changeAttributes(seeing(inner, after, given), live, change))
    assert.deepEqual(answer, isTaken ? ['not refused'] : ['hostile', live], what)
    const now = { ...seen, ...after }
    assert.deepEqual(given, isTaken ? [now, now] : [], what)
  }
})

test('attributes go to what a new mode has left of the file, and without looking again where nothing was changed before', async () => {
  const inner = await on({ 'etc/f': file('x', { mtime }) })
  const seen = await statOf(inner, live)
  const changed = async (after: Partial<Stat>, next: Partial<Leaf>): Promise<readonly (Inode | undefined)[]> => {
    const given: (Inode | undefined)[] = []
    await changeAttributes(seeing(inner, after, given), live, { live: seen, old: leaf(), next: leaf(next) })
    return given
  }
  assert.deepEqual(await changed({ inode: 99n }, { mode: 0o600, xattrs: withA }), [seen, { ...seen, inode: 99n }])
  const unlooked: Disk = { ...inner, lstat: async () => assert.fail('looks again') }
  await changeAttributes(unlooked, live, { live: seen, old: leaf(), next: leaf({ xattrs: withA }) })
  assert.deepEqual((await inner.xattrsOf([live])).get(live), withA)
})
