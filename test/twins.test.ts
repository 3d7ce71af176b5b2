import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fromLatin1 } from '../src/base/bytes.ts'
import { sha256 } from '../src/base/digest.ts'
import { BinderyError } from '../src/base/error.ts'
import { inodeKey } from '../src/engine/client/apply/links.ts'
import { joinTwins, separateTwins } from '../src/engine/client/apply/twins.ts'
import { memoryDisk } from '../src/host/memory-disk.ts'
import { text } from './helpers/client-world.ts'
import { faultyDisk } from './helpers/faulty-disk.ts'
import { withoutLinks } from './helpers/limited-disk.ts'
import { dir, file, hardlink, plant, relPath, symlink } from './helpers/plant.ts'
import { refused } from './helpers/refused.ts'
import type { Action, Journal } from '../src/format/journal.ts'
import type { Leaf } from '../src/format/journal-node.ts'
import type { Disk, Stat } from '../src/port/disk.ts'
import type { Literal } from './helpers/plant.ts'

/** What is kept in the store while another name of the same file stays in the tree, when all is done and on the way back. */

const mtime = { sec: 1_650_000_000, nsec: 5 }
const [store, other] = ['area/store/1', 'mnt/.bindery/store/1']

async function on(literal: Literal): Promise<Disk> {
  const disk = memoryDisk()
  await plant(disk, { etc: dir(), [store]: dir(), ...literal })
  return disk
}

function leaf(content: string, more: Partial<Leaf> = {}): Leaf {
  const own = { kind: 'file', size: content.length, sha256: sha256(fromLatin1(content)) }
  return { path: relPath('etc/f'), mode: 0o640, uid: 0, gid: 0, mtime, ...own, ...more } as Leaf
}

/** Of `etc/fN`, kept in slot N. */
const drop = (number: number, twin: string | undefined, old = leaf('x'), area = 0): Action => ({
  kind: 'drop',
  path: relPath(`etc/f${number}`),
  slot: { area, number },
  old,
  ...(twin !== undefined && { twin: relPath(twin) }),
})

function journalOf(actions: readonly Action[]): Journal {
  const none = { releases: [], undoes: [], postSteps: [], reboot: [], kept: [] }
  const areas = ['area', 'mnt/.bindery'].map(relPath)
  return { ...none, transaction: 1, purpose: 'install', direction: 'forward', time: 0, areas, actions }
}

type Work = typeof separateTwins

/** The calls by which it was done. */
async function done(work: Work, disk: Disk, ...actions: readonly Action[]): Promise<readonly string[]> {
  const watched = faultyDisk(disk, { kind: 'none' })
  await work(watched.disk, journalOf(actions))
  return watched.calls
}

const statOf = async (disk: Disk, path: string): Promise<Stat> => (await disk.lstat(relPath(path))) as Stat

/** Which of the paths are one file: `a b, c`. */
async function sharing(disk: Disk, ...paths: readonly string[]): Promise<string> {
  const inodes = new Map<string, string[]>()
  for (const path of paths) {
    const key = inodeKey(await statOf(disk, path))
    inodes.set(key, [...(inodes.get(key) ?? []), path])
  }
  return [...inodes.values()].map((names) => names.join(' ')).join(', ')
}

const synced = [`sync ${store}`]
const [slot, half] = [`${store}/0`, `${store}/0.half`]

// --- when all is done

test('the store gets a file of its own, with what it was, and its twin no longer counts it', async () => {
  const disk = await on({ 'etc/twin': 'x', [slot]: hardlink('etc/twin') })
  assert.deepEqual(await done(separateTwins, disk, drop(0, 'etc/twin')), [
    `create ${half}`,
    `chmod ${half}`,
    'setTimes',
    `sync ${half}`,
    `rename ${half}`,
    ...synced,
  ])
  assert.equal(await sharing(disk, 'etc/twin', slot), `etc/twin, ${slot}`)
  const stat = await statOf(disk, slot)
  assert.deepEqual([await text(disk, slot), stat.mode, stat.mtime, stat.nlink], ['x', 0o640, mtime, 1])
  assert.equal((await statOf(disk, 'etc/twin')).nlink, 1)
  assert.deepEqual(await done(separateTwins, disk, drop(0, 'etc/twin')), synced)
})

test('what is exchanged is kept as what goes is; what comes and what changes is not kept', async () => {
  const disk = await on({ 'etc/twin': 'x', [slot]: hardlink('etc/twin'), [`${store}/1`]: hardlink('etc/twin') })
  const at = { path: relPath('etc/f'), slot: { area: 0, number: 1 }, old: leaf('x'), new: leaf('y'), twin: relPath('etc/twin') }
  const others = (['put', 'attr', 'mkdir', 'rmdir'] as const).map((kind) => ({ ...at, kind }) as unknown as Action)
  assert.deepEqual(await done(separateTwins, disk, ...others), [])
  await done(separateTwins, disk, { ...at, kind: 'swap', slot: { area: 0, number: 0 } }, ...others)
  assert.equal(await sharing(disk, slot, 'etc/twin', `${store}/1`), `${slot}, etc/twin ${store}/1`)
})

test('several names of one twin are one file in the store, too, and those of another are another', async () => {
  const all = {
    'etc/a': 'x',
    'etc/b': 'x',
    [slot]: hardlink('etc/a'),
    [`${store}/1`]: hardlink('etc/b'),
    [`${store}/2`]: hardlink('etc/a'),
  }
  const actions = [drop(0, 'etc/a'), drop(1, 'etc/b'), drop(2, 'etc/a')]
  const disk = await on(all)
  await done(separateTwins, disk, ...actions)
  const paths = ['etc/a', 'etc/b', slot, `${store}/1`, `${store}/2`]
  assert.equal(await sharing(disk, ...paths), `etc/a, etc/b, ${slot} ${store}/2, ${store}/1`)
  const plain = await on(all)
  await done(separateTwins, withoutLinks(plain), ...actions)
  assert.equal(await sharing(plain, ...paths), `etc/a, etc/b, ${slot}, ${store}/1, ${store}/2`)
  assert.deepEqual([await text(plain, `${store}/2`), (await statOf(plain, `${store}/2`)).mtime], ['x', mtime])
})

test('a link that has another name is kept as a link of its own', async () => {
  const disk = await on({ 'etc/twin': symlink('to'), [slot]: hardlink('etc/twin') })
  await done(separateTwins, disk, drop(0, 'etc/twin', leaf('', { kind: 'symlink', target: 'to', mode: 0o777 })))
  assert.equal(await sharing(disk, 'etc/twin', slot), `etc/twin, ${slot}`)
  assert.equal(await disk.readlink(relPath(slot)), 'to')
})

test('what a run before has left half done, a file or anything else, goes first', async () => {
  for (const left of [{ [half]: 'lef' }, { [`${half}/x/y`]: 'left' }]) {
    const disk = await on({ 'etc/twin': 'x', [slot]: hardlink('etc/twin'), ...left })
    await done(separateTwins, disk, drop(0, 'etc/twin'))
    assert.equal(await text(disk, slot), 'x')
    assert.deepEqual(await disk.readdir(relPath(store)), ['0'])
  }
})

test('where nothing is kept, or no twin is there, or it is something else by now, nothing is done, either way', async () => {
  const ways: readonly (readonly [string, Literal])[] = [
    ['nothing kept', { 'etc/twin': 'x' }],
    ['no twin', { [slot]: 'x' }],
    ['another thing', { 'etc/twin': symlink('x'), [slot]: 'x' }],
    ['a folder', { 'etc/twin/x': 'x', [slot]: 'x' }],
    ['a twin whose folder is a link', { 'etc/real/twin': 'x', 'etc/link': symlink('real'), [slot]: 'x' }],
  ]
  for (const [what, given] of ways) {
    const disk = await on(given)
    const twin = what.endsWith('link') ? 'etc/link/twin' : 'etc/twin'
    for (const work of [separateTwins, joinTwins]) assert.deepEqual(await done(work, disk, drop(0, twin)), synced, what)
  }
})

test('a file of which no other name is known is left alone, and no store is synced for it', async () => {
  const disk = await on({ 'etc/f': 'x', [slot]: hardlink('etc/f') })
  for (const work of [separateTwins, joinTwins]) assert.deepEqual(await done(work, disk, drop(0, undefined)), [])
})

test('every store that is there is synced at the end', async () => {
  const disk = await on({ 'etc/twin': 'x', 'mnt/twin': 'y', [slot]: 'x', [`${other}/1`]: hardlink('mnt/twin') })
  const actions = [drop(0, undefined), drop(1, 'mnt/twin', leaf('y'), 1)]
  const calls = await done(separateTwins, disk, ...actions)
  assert.deepEqual(calls.slice(-3), [`rename ${other}/1.half`, ...synced, `sync ${other}`])
  assert.deepEqual(await done(joinTwins, disk, ...actions), [`link ${other}/1.half`, `rename ${other}/1.half`, ...synced, `sync ${other}`])
})

// --- on the way back

test('the store holds the file of the twin again, which is what it was', async () => {
  const disk = await on({ 'etc/twin': 'x', [slot]: 'x' })
  assert.deepEqual(await done(joinTwins, disk, drop(0, 'etc/twin')), [`link ${half}`, `rename ${half}`, ...synced])
  assert.equal(await sharing(disk, 'etc/twin', slot), `etc/twin ${slot}`)
  assert.deepEqual(await done(joinTwins, disk, drop(0, 'etc/twin')), synced)
})

test('a twin that holds something else by now is none', async () => {
  const disk = await on({ 'etc/twin': 'y', [slot]: 'x' })
  assert.deepEqual(await done(joinTwins, disk, drop(0, 'etc/twin')), synced)
  assert.equal(await text(disk, slot), 'x')
})

test('of a link there is no content to be compared', async () => {
  const disk = await on({ 'etc/twin': symlink('to'), [slot]: symlink('to') })
  await done(joinTwins, disk, drop(0, 'etc/twin', leaf('', { kind: 'symlink', target: 'to' })))
  assert.equal(await sharing(disk, 'etc/twin', slot), `etc/twin ${slot}`)
})

test('where there are no links the store keeps its own file', async () => {
  const disk = await on({ 'etc/twin': 'x', [slot]: file('x', { mode: 0o600 }), [half]: 'left' })
  assert.deepEqual(await done(joinTwins, withoutLinks(disk), drop(0, 'etc/twin')), [`unlink ${half}`, `link ${half}`, ...synced])
  assert.equal((await statOf(disk, slot)).mode, 0o600)
})

test('what fails at a slot is told of the path', async () => {
  const failing = (disk: Disk): Disk => ({
    ...disk,
    rename: async (from) => await Promise.reject(new BinderyError('io', 'a fault of the test', { subject: from })),
  })
  const one = await on({ 'etc/twin': 'x', [slot]: hardlink('etc/twin') })
  assert.deepEqual(await refused(done(separateTwins, failing(one), drop(0, 'etc/twin'))), ['io', '/etc/f0'])
  const two = await on({ 'etc/twin': 'x', [slot]: 'x' })
  assert.deepEqual(await refused(done(joinTwins, failing(two), drop(0, 'etc/twin'))), ['io', '/etc/f0'])
})
