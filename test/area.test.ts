import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AreaFinder, stageSlot, storeSlot } from '../src/engine/client/apply/area.ts'
import { memoryDisk } from '../src/host/memory-disk.ts'
import { dir, plant, relPath, symlink } from './helpers/plant.ts'
import type { RelPath } from '../src/base/path.ts'
import type { Stat } from '../src/port/disk.ts'
import type { Literal } from './helpers/plant.ts'

/** Where the file system of a path keeps what comes to it and what goes. */

const state = 'var/db/bindery'

/** Knows all of this tree, with these file systems in it. */
async function finder(literal: Literal, mounts: readonly string[]): Promise<AreaFinder> {
  const disk = memoryDisk({ mounts: Object.fromEntries(mounts.map((path) => [path, {}])) })
  await plant(disk, { [state]: dir(), ...literal })
  const stats = new Map<RelPath, Stat>()
  const look = async (path: RelPath): Promise<void> => {
    const stat = (await disk.lstat(path)) as Stat
    stats.set(path, stat)
    if (stat.kind !== 'dir') return
    for (const name of await disk.readdir(path)) await look(path === '.' ? relPath(name) : relPath(`${path}/${name}`))
  }
  await look(relPath('.'))
  return new AreaFinder(stats)
}

test('each file system has one area, at its top; that of the state is the state folder, and comes first', async () => {
  const found = await finder({ 'usr/local/lib/perl': dir(), 'usr/lib': dir(), 'home/me': dir(), etc: dir() }, ['usr', 'usr/local', 'home'])
  const asked = ['home/me', 'etc', 'usr/lib', 'home', 'usr/local/lib/perl', 'usr', 'usr/local', 'var/db', '.']
  assert.deepEqual(
    asked.map((path) => found.areaOf(relPath(path))),
    [1, 0, 2, 1, 3, 2, 3, 0, 0],
  )
  assert.deepEqual(found.areas, [state, 'home/.bindery', 'usr/.bindery', 'usr/local/.bindery'])
})

test('where the state is elsewhere, the root has an area of its own', async () => {
  const found = await finder({ 'etc/rc.d': dir(), 'var/log': dir() }, ['var'])
  assert.deepEqual(
    ['etc/rc.d', 'var/log', '.', 'etc'].map((path) => found.areaOf(relPath(path))),
    [1, 0, 1, 1],
  )
  assert.deepEqual(found.areas, [state, '.bindery'])
})

test('what is not there yet, or no folder yet, will be on the file system of what is around it', async () => {
  const found = await finder({ 'usr/lib': symlink('/elsewhere'), 'usr/bin': '' }, ['usr'])
  assert.deepEqual(
    ['usr/share/man/man1', 'usr/lib/perl', 'usr/bin', 'new/folder'].map((path) => found.areaOf(relPath(path))),
    [1, 1, 1, 0],
  )
  assert.deepEqual(found.areas, [state, 'usr/.bindery'])
  assert.equal(found.deviceOf(relPath('usr/share')), found.deviceOf(relPath('usr')))
  assert.notEqual(found.deviceOf(relPath('usr/share')), found.deviceOf(relPath('new')))
})

test('a slot is a number in its transaction, in its area', () => {
  const holder = { transaction: 12, areas: [relPath(state), relPath('usr/.bindery')] }
  assert.equal(stageSlot(holder, { area: 0, number: 3 }), 'var/db/bindery/stage/12/3')
  assert.equal(storeSlot(holder, { area: 1, number: 0 }), 'usr/.bindery/store/12/0')
})
