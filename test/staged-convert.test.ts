import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeLive, makeStaged, mendLink } from '../src/engine/client/staged/convert.ts'
import { readTreeState } from '../src/engine/client/staged/place.ts'
import { encodeJournal } from '../src/format/journal.ts'
import { memoryDisk } from '../src/host/memory-disk.ts'
import { release, text } from './helpers/client-world.ts'
import { enrolledState } from './helpers/enrolled-state.ts'
import { faultyDisk } from './helpers/faulty-disk.ts'
import { plainJournal } from './helpers/plain-journal.ts'
import { dir, file, plant, relPath, symlink } from './helpers/plant.ts'
import { refused } from './helpers/refused.ts'
import { belowOn, link, placeOn } from './helpers/staged-place.ts'
import type { Disk } from '../src/port/disk.ts'
import type { Literal } from './helpers/plant.ts'

/** A folder becomes a link with a tree beside it, and becomes a folder again. */

const root: Literal = { 'etc/conf': 'a setting', 'var/db/bindery': dir({ mode: 0o711 }) }

function at(top: string, literal: Literal): Literal {
  return Object.fromEntries(Object.entries(literal).map(([path, one]) => [`${top}/${path}`, one]))
}

async function on(literal: Literal, mounts: readonly string[] = []): Promise<Disk> {
  const disk = memoryDisk({ mounts: Object.fromEntries(mounts.map((path) => [path, {}])) })
  await plant(disk, literal)
  return disk
}

const convert = async (disk: Disk): Promise<void> => await makeStaged(placeOn(disk), belowOn(disk), 1000)
const revert = async (disk: Disk): Promise<void> => await makeLive(placeOn(disk), belowOn(disk))

const mode = async (disk: Disk, path: string): Promise<number | undefined> => (await disk.lstat(relPath(path)))?.mode

test('the folder becomes tree 1, with a link in its place, and nobody else comes into what is closed', async () => {
  const disk = await on(at('jail', root))
  await convert(disk)
  assert.equal(await disk.readlink(link), 'jail.trees/1')
  assert.equal(await text(disk, 'jail.trees/1/etc/conf'), 'a setting')
  assert.deepEqual(await readTreeState(belowOn(disk)(relPath('jail.trees/1'))), { number: 1, from: undefined, made: 1000 })
  assert.deepEqual([...(await disk.readdir(relPath('jail.trees')))].sort(), ['1', 'closed', 'lock'])
  const folders = ['jail.trees', 'jail.trees/closed', 'jail.trees/lock'].map(async (path) => await mode(disk, path))
  assert.deepEqual(await Promise.all(folders), [0o755, 0o700, 0o700])
})

test('the folders for it are durable before the root is gone from its place', async () => {
  const { disk, calls } = faultyDisk(await on(at('jail', root)), { kind: 'none' })
  await convert(disk)
  const folders = ['mkdir jail.trees', 'mkdir jail.trees/closed', 'mkdir jail.trees/lock', 'sync jail.trees', 'sync .']
  assert.deepEqual(calls.slice(0, calls.indexOf('rename jail')), folders)
})

const journal = file(encodeJournal(plainJournal({ transaction: 3 })))

test('a root in which something is half done stays what it is', async () => {
  for (const half of [{ 'var/db/bindery/journal': journal }, { 'var/db/bindery/steps/3': '' }]) {
    const live = await on(at('jail', { ...root, ...half }))
    assert.deepEqual(await refused(convert(live)), ['interrupted', undefined])
    assert.deepEqual(await live.readdir(relPath('.')), ['jail'])
    const staged = await on(at('jail', root))
    await convert(staged)
    await plant(staged, at('jail.trees/1', half))
    assert.deepEqual(await refused(revert(staged)), ['interrupted', undefined])
    assert.equal(await staged.readlink(link), 'jail.trees/1')
  }
})

test('a root that is mounted, or in which something of a release is, cannot become a tree', async () => {
  const state = await enrolledState(await release('1.0', { 'usr/lib.so': 'library', proc: dir() }))
  const refusedWith = async (...mounts: readonly string[]): Promise<readonly unknown[]> => {
    const disk = await on(at('jail', { ...root, ...state, 'usr/lib.so': 'library', 'proc/1': '' }), mounts)
    const refusal = await refused(convert(disk))
    assert.equal((await disk.lstat(link))?.kind, refusal.length === 1 ? 'symlink' : 'dir')
    assert.equal((await disk.lstat(relPath('jail.trees'))) === undefined, refusal.length > 1)
    return refusal
  }
  assert.deepEqual(await refusedWith('jail'), ['conflict', 'jail'])
  assert.deepEqual(await refusedWith('jail/usr'), ['conflict', '/usr'])
  assert.deepEqual(await refusedWith('jail/proc', 'elsewhere'), ['not refused'])
})

test('what is in the place of the trees is refused, unless a run has left it so', async () => {
  const ways: readonly (readonly [Literal, boolean])[] = [
    [{ 'jail.trees': dir() }, true],
    [{ 'jail.trees/closed': dir() }, true],
    [{ 'jail.trees/lock': dir() }, true],
    [{ 'jail.trees/lock/10.x': '' }, true],
    [{ 'jail.trees/closed': dir(), 'jail.trees/lock': dir() }, true],
    [{ 'jail.trees/closed/1': dir() }, false],
    [{ 'jail.trees/1': dir() }, false],
    [{ 'jail.trees/closed': dir(), 'jail.trees/lock': dir(), 'jail.trees/mine': '' }, false],
    [{ 'jail.trees': file('mine') }, false],
    [{ 'jail.trees': symlink('/srv') }, false],
  ]
  for (const [literal, isUnused] of ways) {
    const disk = await on({ ...at('jail', root), ...literal })
    const names = Object.keys(literal).join(' ')
    assert.deepEqual(await refused(convert(disk)), isUnused ? ['not refused'] : ['exists', 'jail.trees'], names)
    assert.equal((await disk.lstat(link))?.kind, isUnused ? 'symlink' : 'dir', names)
  }
})

test('the tree that counts becomes the folder, says no longer that it is a tree, and nothing is left beside it', async () => {
  for (const isNoted of [true, false]) {
    const inner = await on(at('jail', root))
    await convert(inner)
    await plant(inner, { 'jail.trees/lock/10.x': '', 'jail.trees/closed/3.new': dir(), 'jail.trees/closed/0': '' })
    if (!isNoted) await inner.unlink(relPath('jail.trees/1/var/db/bindery/tree'))
    const { disk, calls } = faultyDisk(inner, { kind: 'none' })
    await revert(disk)
    assert.deepEqual(await inner.readdir(relPath('.')), ['jail'])
    assert.equal(await text(inner, 'jail/etc/conf'), 'a setting')
    assert.equal(await readTreeState(belowOn(inner)(link)), undefined)
    assert.equal(calls.at(-1), 'sync .')
  }
})

test('where neither root nor link is, the newest tree becomes it', async () => {
  const trees = (...names: readonly string[]): Literal => Object.fromEntries(names.map((name) => [`jail.trees/${name}`, dir()]))
  const ways: readonly (readonly [Literal, string | undefined])[] = [
    [trees('1'), 'jail.trees/1'],
    [trees('2', '10', '9', '99x', 'x99', '0100', 'closed/11', '20.new'), 'jail.trees/10'],
    [trees('closed', 'lock', '0'), undefined],
    [{ 'jail.trees': dir() }, undefined],
    [{ 'jail.trees': file('') }, undefined],
    [{}, undefined],
    [{ ...trees('1', '2'), jail: symlink('jail.trees/1') }, 'jail.trees/1'],
    [{ ...trees('1', '2'), jail: dir() }, undefined],
  ]
  for (const [literal, target] of ways) {
    const disk = await on(literal)
    const isMended = await mendLink(placeOn(disk))
    assert.equal(isMended, target !== undefined && literal['jail'] === undefined)
    const kind = (await disk.lstat(link))?.kind
    assert.equal(kind === 'symlink' ? await disk.readlink(link) : undefined, target, Object.keys(literal).join(' '))
  }
})
