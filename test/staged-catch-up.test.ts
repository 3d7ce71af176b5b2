import assert from 'node:assert/strict'
import { test } from 'node:test'
import { oneChunk, utf8 } from '../src/base/bytes.ts'
import { catchUp, syncFolders } from '../src/engine/client/staged/catch-up.ts'
import { cloneTree, inTree, lookOver } from '../src/engine/client/staged/clone.ts'
import { memoryDisk } from '../src/host/memory-disk.ts'
import { text } from './helpers/client-world.ts'
import { faultyDisk } from './helpers/faulty-disk.ts'
import { dir, file, plant, relPath, symlink } from './helpers/plant.ts'
import { refused } from './helpers/refused.ts'
import type { Clone, CloneRules, Cloned } from '../src/engine/client/staged/clone.ts'
import type { Disk, Stat } from '../src/port/disk.ts'
import type { Literal } from './helpers/plant.ts'

/** What is written into the old tree while the new one is made: all of it comes along, or the attempt ends. */

const [from, to] = [relPath('old'), relPath('new')]

const tree: Literal = {
  'etc/conf': file('a setting', { mode: 0o640 }),
  'srv/d/deep/file': 'deep',
  'srv/d/file': 'in a folder',
  'srv/empty': dir(),
  'usr/link': symlink('lib.so'),
  'usr/lib.so': 'library',
  'var/db/bindery/log/1': 'a line',
  'var/log/messages': 'a line',
}

const rules: CloneRules = { isShared: (path) => path === 'usr/lib.so' || path.startsWith('var/db/bindery/') }

type World = { readonly disk: Disk; readonly clone: Clone }

async function world(): Promise<World> {
  const disk = memoryDisk()
  await plant(disk, Object.fromEntries(Object.entries(tree).map(([path, one]) => [`old/${path}`, one])))
  return { disk, clone: await cloneTree({ disk, from, to }, rules, { signal: new AbortController().signal }) }
}

async function caught({ disk, clone }: World): Promise<{ readonly clone: Clone; readonly count: number }> {
  return await catchUp({ disk, from, to }, rules, clone)
}

async function write(disk: Disk, path: string, content: string): Promise<void> {
  if ((await disk.lstat(relPath(path))) !== undefined) await disk.unlink(relPath(path))
  await disk.create(relPath(path), oneChunk(utf8(content)))
}

const stat = async (disk: Disk, path: string): Promise<Stat | undefined> => await disk.lstat(relPath(path))

/** The planted time. */
const planted = { sec: 1_600_000_000, nsec: 0 }
/** Others. */
const [later, latest] = [1_650_000_000, 1_660_000_000].map((sec) => ({ sec, nsec: 7 })) as [Stat['mtime'], Stat['mtime']]

test('where nothing was written the clone is what it was, and nothing is done', async () => {
  const { disk, clone } = await world()
  const faulty = faultyDisk(disk, { kind: 'none' })
  const found = await caught({ disk: faulty.disk, clone })
  assert.deepEqual([found.count, faulty.calls], [0, []])
  assert.equal(found.clone, clone)
})

/** Whether the path comes when `was` is what was seen of it first. */
async function comes(path: string, was: Partial<Stat>): Promise<boolean> {
  const { disk, clone } = await world()
  const seen = clone.get(relPath(path)) as Cloned
  const changed = new Map([...clone, [relPath(path), { ...seen, source: { ...seen.source, ...was } }]])
  const { count } = await caught({ disk, clone: changed })
  assert.ok(count <= 1)
  return count === 1
}

const changes = {
  mode: { mode: 0o666 },
  owner: { uid: 7 },
  group: { gid: 7 },
  size: { size: 1 },
  seconds: { mtime: { ...planted, sec: planted.sec - 1 } },
  nanoseconds: { mtime: { ...planted, nsec: 1 } },
  inode: { inode: 7n },
  // An inode that went may come back as another thing.
  kind: { kind: 'fifo' },
} as const satisfies Readonly<Record<string, Partial<Stat>>>

for (const [path, what, coming] of [
  ['etc/conf', 'a file of its own', 'mode owner group size seconds nanoseconds inode kind'],
  ['usr/link', 'a link of its own', 'mode owner group size seconds nanoseconds inode kind'],
  ['srv/empty', 'a folder', 'mode owner group inode kind'],
  ['srv/d', 'a folder with something in it', 'mode owner group'],
  ['usr/lib.so', 'a file that is shared', 'inode kind'],
] as const)
  test(`${what} comes along when another one is seen by ${coming.replaceAll(' ', ', ')}`, async () => {
    const names = (Object.keys(changes) as (keyof typeof changes)[]).filter((name) => path !== 'srv/d' || !/inode|kind/.test(name))
    const found: string[] = []
    for (const name of names) if (await comes(path, changes[name])) found.push(name)
    assert.equal(found.join(' '), coming)
  })

test('what came, changed and went is counted, and is no news to the next look', async () => {
  const { disk, clone } = await world()
  await write(disk, 'old/etc/fresh', 'fresh')
  await write(disk, 'old/var/log/messages', 'another line')
  await disk.unlink(relPath('old/etc/conf'))
  const first = await caught({ disk, clone })
  assert.equal(first.count, 3)
  assert.deepEqual([...(await disk.readdir(relPath('new/etc')))], ['fresh'])
  assert.equal(await text(disk, 'new/var/log/messages'), 'another line')
  assert.deepEqual(new Set(first.clone.keys()), new Set((await lookOver(disk, from)).keys()))
  const second = await caught({ disk, clone: first.clone })
  assert.deepEqual([second.count, second.clone === first.clone], [0, true])
})

test('one path that came and one that went are two', async () => {
  const { disk, clone } = await world()
  await write(disk, 'old/etc/fresh', 'fresh')
  await disk.unlink(relPath('old/etc/conf'))
  assert.equal((await caught({ disk, clone })).count, 2)
  assert.deepEqual(await disk.readdir(relPath('new/etc')), ['fresh'])
})

test('the state of bindery, which its runs write, is not looked at', async () => {
  const { disk, clone } = await world()
  await write(disk, 'old/var/db/bindery/log/2', 'a line')
  await disk.unlink(relPath('old/var/db/bindery/log/1'))
  assert.equal((await caught({ disk, clone })).count, 0)
  assert.deepEqual(await disk.readdir(relPath('new/var/db/bindery/log')), ['1'])
})

test('a folder takes its new mode and owner, and keeps what is in it', async () => {
  const { disk, clone } = await world()
  await disk.chown(relPath('old/srv/d'), 8, 9)
  await disk.chmod(relPath('old/srv/d'), 0o2770)
  const first = await caught({ disk, clone })
  const made = await stat(disk, 'new/srv/d')
  assert.deepEqual([first.count, made?.mode, made?.uid, made?.gid], [1, 0o2770, 8, 9])
  assert.equal(await text(disk, 'new/srv/d/deep/file'), 'deep')
  assert.equal((await caught({ disk, clone: first.clone })).count, 0)
})

test('a file becomes a folder, a folder a file, and a folder that went is gone with all in it', async () => {
  const { disk, clone } = await world()
  await disk.unlink(relPath('old/etc/conf'))
  await plant(disk, { 'old/etc/conf/d': 'a part' })
  await disk.rmdir(relPath('old/srv/empty'))
  await write(disk, 'old/srv/empty', 'a file')
  for (const path of ['old/srv/d/deep/file', 'old/srv/d/file']) await disk.unlink(relPath(path))
  for (const path of ['old/srv/d/deep', 'old/srv/d']) await disk.rmdir(relPath(path))
  const { count } = await caught({ disk, clone })
  assert.equal(count, 7)
  assert.deepEqual([await text(disk, 'new/etc/conf/d'), await text(disk, 'new/srv/empty')], ['a part', 'a file'])
  assert.deepEqual(await disk.readdir(relPath('new/srv')), ['empty'])
})

test('what the update has put into a folder that is gone stays, and the folder with it', async () => {
  const { disk, clone } = await world()
  await write(disk, 'new/srv/empty/fresh', 'of the update')
  await disk.rmdir(relPath('old/srv/empty'))
  assert.equal((await caught({ disk, clone })).count, 1)
  assert.equal(await text(disk, 'new/srv/empty/fresh'), 'of the update')
})

test('folders around what came and went have the times that the update gave them, durably', async () => {
  const { disk, clone } = await world()
  const folders = ['new', 'new/etc', 'new/srv', 'new/var/log']
  await disk.setTimes(folders.map((path) => ({ path: relPath(path), mtime: later })))
  await write(disk, 'old/fresh', 'fresh')
  await write(disk, 'old/etc/fresh', 'fresh')
  await plant(disk, { 'old/srv/folder/fresh': 'fresh' })
  await disk.unlink(relPath('old/var/log/messages'))
  const faulty = faultyDisk(disk, { kind: 'none' })
  await caught({ disk: faulty.disk, clone })
  for (const path of folders) assert.deepEqual((await stat(disk, path))?.mtime, later, path)
  assert.deepEqual((await stat(disk, 'new/srv/folder'))?.mtime, planted)
  const syncs = faulty.calls.filter((call) => folders.includes(call.slice('sync '.length)))
  assert.deepEqual(
    syncs.toSorted(),
    folders.map((path) => `sync ${path}`),
  )
})

test('the top of the tree has its own time where it was changed itself', async () => {
  const { disk, clone } = await world()
  await disk.setTimes([{ path: to, mtime: later }])
  await disk.chmod(from, 0o700)
  await disk.setTimes([{ path: from, mtime: latest }])
  assert.equal((await caught({ disk, clone })).count, 1)
  const made = await disk.lstat(to)
  assert.deepEqual([made?.mode, made?.mtime], [0o700, latest])
})

test('a path that the update changes, too, is refused by its name, and nothing has come', async () => {
  const ways: Readonly<Record<string, readonly [(disk: Disk) => Promise<void>, (disk: Disk) => Promise<void>]>> = {
    'etc/conf': [
      async (disk) => await write(disk, 'old/etc/conf', 'mine'),
      async (disk) => await write(disk, 'new/etc/conf', 'of the update'),
    ],
    'srv/d/file': [
      async (disk) => await disk.unlink(relPath('old/srv/d/file')),
      async (disk) => await write(disk, 'new/srv/d/file', 'of the update'),
    ],
    'var/log/messages': [
      async (disk) => await write(disk, 'old/var/log/messages', 'another line'),
      async (disk) => await disk.unlink(relPath('new/var/log/messages')),
    ],
    'srv/fresh': [
      async (disk) => await write(disk, 'old/srv/fresh', 'mine'),
      async (disk) => await write(disk, 'new/srv/fresh', 'of the update'),
    ],
    // What comes into a folder needs that folder.
    'srv/empty/fresh': [
      async (disk) => await write(disk, 'old/srv/empty/fresh', 'mine'),
      async (disk) => await disk.rmdir(relPath('new/srv/empty')),
    ],
    'srv/empty/d': [
      async (disk) => await plant(disk, { 'old/srv/empty/d/fresh': 'mine' }),
      async (disk) => {
        await disk.rmdir(relPath('new/srv/empty'))
        await disk.symlink(relPath('new/srv/empty'), 'd')
      },
    ],
  }
  for (const [path, [here, there]] of Object.entries(ways)) {
    const { disk, clone } = await world()
    await here(disk)
    await write(disk, 'old/etc/another', 'mine')
    await there(disk)
    assert.deepEqual(await refused(caught({ disk, clone })), ['conflict', `/${path}`], path)
    assert.equal(await stat(disk, 'new/etc/another'), undefined, path)
  }
})

test('the folders of a tree are made durable, what is in them first', async () => {
  const { disk } = await world()
  const faulty = faultyDisk(disk, { kind: 'none' })
  await syncFolders(faulty.disk, to)
  const folders = [...(await lookOver(disk, to))].flatMap(([path, { kind }]) => (kind === 'dir' ? [`sync ${inTree(to, path)}`] : []))
  assert.deepEqual(faulty.calls, folders.toReversed())
  assert.equal(faulty.calls.at(-1), 'sync new')
})
