import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BinderyError } from '../src/base/error.ts'
import { inodeKey } from '../src/engine/client/apply/links.ts'
import { cloneTree, inTree, lookOver } from '../src/engine/client/staged/clone.ts'
import { memoryDisk } from '../src/host/memory-disk.ts'
import { text } from './helpers/client-world.ts'
import { faultyDisk } from './helpers/faulty-disk.ts'
import { block, char, dir, fifo, file, hardlink, plant, relPath, symlink } from './helpers/plant.ts'
import type { RelPath } from '../src/base/path.ts'
import type { CloneRules, Trees } from '../src/engine/client/staged/clone.ts'
import type { Disk } from '../src/port/disk.ts'
import type { Literal } from './helpers/plant.ts'

/** A second tree that has all that the first one has. */

const [from, to] = [relPath('old'), relPath('new')]

const owned = { uid: 5, gid: 6 }
const mtime = { sec: 1_500_000_000, nsec: 5 }

const tree: Literal = {
  old: dir({ mode: 0o711, gid: 6, mtime }),
  'old/dev/disk': block(8, 1, { mode: 0o640, gid: 6, mtime }),
  'old/dev/null': char(1, 3, { mode: 0o666 }),
  'old/etc/conf': file('a setting', { mode: 0o600, uid: 5, mtime }),
  'old/etc/name': hardlink('old/etc/conf'),
  'old/etc/other': file('a setting', { mode: 0o600 }),
  'old/run/fifo': fifo({ mode: 0o620, ...owned, mtime }),
  'old/run/same': hardlink('old/run/fifo'),
  'old/srv/data': file('data', { xattrs: new Map([['user.note', 'of a file']]) }),
  'old/srv/sticky': dir({ mode: 0o1777, ...owned, xattrs: new Map([['user.note', 'of a folder']]) }),
  'old/usr/link': symlink('lib', { ...owned, mtime }),
  'old/usr/su': file('su', { mode: 0o4755 }),
}

async function planted(literal: Literal = tree): Promise<Disk> {
  const disk = memoryDisk()
  await plant(disk, literal)
  return disk
}

const none: CloneRules = { isShared: () => false }
const all: CloneRules = { isShared: () => true }
const quiet = { signal: new AbortController().signal }

/** Files of one tree get no names in another one. */
function apart(disk: Disk): Disk {
  const link: Disk['link'] = async (path, existing) => {
    if (existing.startsWith('old/')) throw new BinderyError('permission', 'permission denied', { subject: existing })
    await disk.link(path, existing)
  }
  return { ...disk, link }
}

/** By path all that there is to know of it; names of one thing by the first of them. */
async function facts(disk: Disk, top: RelPath): Promise<Readonly<Record<string, unknown>>> {
  const stats = [...(await lookOver(disk, top))].sort(([a], [b]) => (a < b ? -1 : 1))
  const firsts = new Map(stats.toReversed().map(([path, stat]) => [inodeKey(stat), path]))
  const found = stats.map(async ([path, stat]) => {
    const { kind, mode, uid, gid, mtime: time, major, minor } = stat
    const at = inTree(top, path)
    const content = kind === 'file' ? await text(disk, at) : kind === 'symlink' ? await disk.readlink(at) : undefined
    const more = [(await disk.xattrsOf([at])).get(at), (await disk.flagsOf([at])).get(at)]
    return [path, { kind, mode, uid, gid, time, major, minor, content, more, first: firsts.get(inodeKey(stat)) }] as const
  })
  return Object.fromEntries(await Promise.all(found))
}

test('a tree of which nothing can be shared is copied with all that it has', async () => {
  for (const rules of [none, all]) {
    const disk = apart(await planted())
    await disk.setFlags(relPath('old/usr/su'), ['schg'])
    await disk.setFlags(relPath('old/srv'), ['nodump', 'uchg'])
    const clone = await cloneTree({ disk, from, to }, rules, quiet)
    assert.deepEqual(await facts(disk, to), await facts(disk, from))
    assert.deepEqual([...clone.keys()], [...(await lookOver(disk, from)).keys()])
    const inodes = new Set([...(await lookOver(disk, from)).values()].map(inodeKey))
    for (const [path, { source, made }] of clone) {
      assert.deepEqual(source, await disk.lstat(inTree(from, path)), path)
      const live = await disk.lstat(inTree(to, path))
      assert.equal(made, live === undefined ? undefined : inodeKey(live), path)
      assert.ok(!inodes.has(made), path)
    }
  }
})

test('what is shared is the same thing in both trees, and all else is not', async () => {
  const disk = await planted()
  const clone = await cloneTree({ disk, from, to }, { isShared: (path) => path.startsWith('usr/') || path === 'dev/null' }, quiet)
  const same = [...clone].flatMap(([path, { source, made }]) => (made === inodeKey(source) ? [path] : []))
  assert.deepEqual(same.sort(), ['dev/null', 'usr/link', 'usr/su'])
  for (const path of same) assert.equal((await disk.lstat(inTree(to, path)))?.inode, (await disk.lstat(inTree(from, path)))?.inode, path)
})

/** The changing calls, in their order. */
async function calls(rules: CloneRules, flagged: readonly string[] = []): Promise<readonly string[]> {
  const inner = await planted()
  for (const path of flagged) await inner.setFlags(relPath(path), ['uchg'])
  const faulty = faultyDisk(apart(inner), { kind: 'none' })
  await cloneTree({ disk: faulty.disk, from, to }, rules, quiet)
  return faulty.calls
}

test('copies of files are durable when it returns: the folders are synced when all is in them, and the rest cannot be opened', async () => {
  const syncs = (await calls(none)).filter((call) => call.startsWith('sync '))
  assert.deepEqual(
    syncs.toSorted(),
    ['etc/conf', 'etc/other', 'srv/data', 'usr/su'].map((path) => `sync new/${path}`),
  )
})

test('owners are set where they are others than those of whoever makes it', async () => {
  const chowns = (await calls(none)).filter((call) => call.startsWith('chown '))
  const paths = ['new', 'new/dev/disk', 'new/etc/conf', 'new/run/fifo', 'new/srv/sticky', 'new/usr/link']
  assert.deepEqual(
    chowns.toSorted(),
    paths.map((path) => `chown ${path}`),
  )
})

test('flags come last, what is in a folder before the folder: they may forbid all else', async () => {
  const flags = ['old', 'old/srv/data', 'old/srv']
  const made = await calls(none, flags)
  assert.deepEqual(made.slice(-3), ['setFlags new/srv/data', 'setFlags new/srv', 'setFlags new'])
  assert.equal(made.filter((call) => call.startsWith('setFlags ')).length, 3)
})

test('nobody asks for attributes of what can have none', async () => {
  const inner = await planted()
  const asked: RelPath[] = []
  const disk = apart({ ...inner, xattrsOf: async (paths) => (asked.push(...paths), await inner.xattrsOf(paths)) })
  await cloneTree({ disk, from, to }, none, quiet)
  const copied = ['.', 'dev', 'etc', 'etc/conf', 'etc/other', 'run', 'srv', 'srv/data', 'srv/sticky', 'usr', 'usr/su']
  assert.deepEqual(
    asked.toSorted(),
    copied.map((path) => inTree(from, relPath(path))),
  )
})

test('of what is mounted in the tree the clone has the folder alone', async () => {
  const disk = memoryDisk({ mounts: { 'old/proc': {} } })
  await plant(disk, { 'old/proc/1/stat': '', 'old/usr/lib': '' })
  const clone = await cloneTree({ disk, from, to }, all, quiet)
  assert.deepEqual([...clone.keys()].sort(), ['.', 'proc', 'usr', 'usr/lib'])
  assert.deepEqual(await disk.readdir(relPath('new/proc')), [])
})

test('a clone tells of each path, and stops where it is told to', async () => {
  const stopped = new Error('stopped')
  const cloned = async (stopAt: number): Promise<readonly [number, unknown]> => {
    const [disk, stop] = [await planted(), new AbortController()]
    const trees: Trees = { disk, from, to }
    let count = 0
    const advance = (by: number): void => {
      count += by
      if (count === stopAt) stop.abort(stopped)
    }
    if (stopAt === 0) stop.abort(stopped)
    const failure = await cloneTree(trees, none, { signal: stop.signal, meter: { advance, end: () => undefined } }).then(
      () => undefined,
      (error: unknown) => error,
    )
    return [count, failure]
  }
  assert.deepEqual(await cloned(3), [3, stopped])
  assert.deepEqual(await cloned(0), [0, stopped])
  assert.deepEqual(await cloned(-1), [(await lookOver(await planted(), from)).size, undefined])
})

test('a look at a tree stops where it is told to', async () => {
  const [disk, stop] = [await planted(), new AbortController()]
  const stopped = new Error('stopped')
  const stopping: Disk = {
    ...disk,
    readdir: async (path) => {
      if (path === 'old/srv/sticky') assert.fail('goes on')
      if (path === 'old/srv') stop.abort(stopped)
      return await disk.readdir(path)
    },
  }
  await assert.rejects(lookOver(stopping, from, stop.signal), stopped)
  assert.ok((await lookOver(disk, from)).size > 10)
})
