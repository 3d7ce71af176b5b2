import assert from 'node:assert/strict'
import { test } from 'node:test'
import { oneChunk, utf8 } from '../src/base/bytes.ts'
import { inodeKey } from '../src/engine/client/apply/links.ts'
import * as environment from '../src/engine/client/staged/environment.ts'
import { defaultConfig, pathPattern } from '../src/format/conf.ts'
import { memoryDisk } from '../src/host/memory-disk.ts'
import { text } from './helpers/client-world.ts'
import { diskBelow } from './helpers/disk-below.ts'
import { faultyDisk } from './helpers/faulty-disk.ts'
import { dir, plant, relPath } from './helpers/plant.ts'
import { refused } from './helpers/refused.ts'
import type { Disk } from '../src/port/disk.ts'
import type { Literal } from './helpers/plant.ts'

/** A root that others have cloned and mounted: what is known of it, what it is not to have, and what comes along into it. */

const next = relPath('var/db/bindery/next')

async function on(literal: Literal): Promise<Disk> {
  const disk = memoryDisk({ mounts: { [next]: {} } })
  await plant(disk, literal)
  return disk
}

test('which root is made or waits is noted, readable by everybody, and forgotten durably', async () => {
  const inner = await on({})
  const { disk, calls } = faultyDisk(inner, { kind: 'none' })
  assert.equal(await environment.readNextRoot(disk), undefined)
  for (const state of ['making', 'waiting'] as const) {
    const record = { name: 'bindery-20260101T000000Z', state }
    await environment.writeNextRoot(disk, record)
    assert.deepEqual(await environment.readNextRoot(disk), record)
  }
  assert.equal((await disk.lstat(relPath('var/db/bindery/next-root')))?.mode, 0o644)
  await environment.forgetNextRoot(disk)
  assert.equal(await environment.readNextRoot(disk), undefined)
  assert.deepEqual(calls.slice(-2), ['unlink var/db/bindery/next-root', 'sync var/db/bindery'])
})

test('a record that is damaged is told by its name', async () => {
  const disk = await on({ 'var/db/bindery/next-root': 'nonsense' })
  assert.deepEqual(await refused(environment.readNextRoot(disk)), ['bad-format', 'var/db/bindery/next-root'])
})

test('the clone has nothing of the run that made it, and all else', async () => {
  const disk = memoryDisk()
  const state = ['next-root', 'journal', 'commit-hooks', 'lock/10.x', 'stage/10/0', 'stage/10/d/f', 'enrolled', 'store/9/0', 'receipt/9']
  await plant(disk, Object.fromEntries(state.map((path) => [`var/db/bindery/${path}`, path])))
  await environment.cleanNextRoot(disk)
  const left: string[] = []
  for (const folder of ['', '/lock', '/stage', '/store/9', '/receipt'])
    for (const name of await disk.readdir(relPath(`var/db/bindery${folder}`))) left.push(`${folder}/${name}`)
  const files = ['/enrolled', '/store/9/0', '/receipt/9']
  const folders = ['/cache', '/channel', '/lock', '/log', '/receipt', '/stage', '/steps', '/store', '/trust']
  assert.deepEqual(left.sort(), [...files, ...folders].sort())
})

test('folders that a clone has not are made in it', async () => {
  const disk = memoryDisk()
  await environment.cleanNextRoot(disk)
  for (const folder of ['lock', 'stage', 'channel'])
    assert.equal((await disk.lstat(relPath(`var/db/bindery/${folder}`)))?.kind, 'dir', folder)
  assert.deepEqual(await disk.readdir(relPath('var/db/bindery/lock')), [])
})

/** Two roots, as after a command has cloned one of them, with what the clone was made too late for, and too early. */
async function cloned(): Promise<{ readonly disk: Disk; readonly seen: environment.Seen }> {
  const common = { 'etc/conf': 'a setting', 'srv/data': 'data', 'srv/d': dir() }
  const disk = await on({ ...common, 'srv/before': 'gone when it is cloned' })
  const seen = await environment.lookBefore(disk)
  await plant(diskBelow(disk, next), { ...common, 'srv/later': 'came before it is cloned' })
  return { disk, seen }
}

test('what was seen before is paired with what the clone has in its place', async () => {
  const { disk, seen } = await cloned()
  const clone = await environment.pairUp(disk, seen)
  assert.deepEqual([...clone.keys()].toSorted(), ['.', 'etc', 'etc/conf', 'srv', 'srv/d', 'srv/data'])
  for (const [path, { source, made }] of clone) {
    assert.equal(source, seen.get(path))
    const live = await diskBelow(disk, next).lstat(path)
    assert.equal(made, live === undefined ? undefined : inodeKey(live), path)
  }
})

test('what was written since the look comes along, and what went goes', async () => {
  const disk = await on({ 'etc/conf': 'a setting', 'srv/data': 'data', 'srv/d': dir() })
  const seen = await environment.lookBefore(disk)
  await plant(diskBelow(disk, next), { 'etc/conf': 'a setting', 'srv/data': 'data', 'srv/d': dir(), 'var/db/bindery': dir() })
  const clone = await environment.pairUp(disk, seen)
  assert.equal(await environment.catchUpNext(disk, clone, defaultConfig), 0)
  await disk.append(relPath('srv/data'), oneChunk(utf8(' and more')))
  await disk.unlink(relPath('etc/conf'))
  await disk.create(relPath('srv/d/fresh'), oneChunk(utf8('fresh')))
  assert.equal(await environment.catchUpNext(disk, clone, defaultConfig), 3)
  const root = diskBelow(disk, next)
  assert.deepEqual([await text(root, 'srv/data'), await text(root, 'srv/d/fresh')], ['data and more', 'fresh'])
  assert.equal(await root.lstat(relPath('etc/conf')), undefined)
})

test('files that bindery.conf shares are copied all the same: the roots are two file systems', async () => {
  const disk = await on({ 'etc/conf': 'a setting' })
  const seen = await environment.lookBefore(disk)
  await plant(diskBelow(disk, next), { 'etc/conf': 'a setting', 'var/db/bindery': dir() })
  const clone = await environment.pairUp(disk, seen)
  await disk.create(relPath('etc/fresh'), oneChunk(utf8('fresh')))
  assert.equal(await environment.catchUpNext(disk, clone, { ...defaultConfig, share: [pathPattern('/etc')] }), 1)
  assert.equal(await text(diskBelow(disk, next), 'etc/fresh'), 'fresh')
})
