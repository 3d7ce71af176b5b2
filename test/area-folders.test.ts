import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BinderyError } from '../src/base/error.ts'
import { makeAreas, removeBelow, sweepAreas, syncAreas } from '../src/engine/client/apply/area-folders.ts'
import { readAreas, writeAreas } from '../src/engine/client/apply/area-list.ts'
import { memoryDisk } from '../src/host/memory-disk.ts'
import { text } from './helpers/client-world.ts'
import { Crash, faultyDisk } from './helpers/faulty-disk.ts'
import { dir, file, plant, relPath, symlink } from './helpers/plant.ts'
import { refused } from './helpers/refused.ts'
import type { Timestamp } from '../src/base/entry.ts'
import type { SlotHolder } from '../src/engine/client/apply/area.ts'
import type { KnownArea } from '../src/engine/client/apply/area-list.ts'
import type { Disk } from '../src/port/disk.ts'
import type { Fault } from './helpers/faulty-disk.ts'
import type { Literal } from './helpers/plant.ts'

/** Folders of a transaction on several file systems: made, found again, and gone without a trace. */

const state = 'var/db/bindery'
const mtime: Timestamp = { sec: 1_700_000_000, nsec: 5 }

/** `usr` and `home` are file systems of their own. */
async function on(literal: Literal, areas: readonly (string | KnownArea)[] = []): Promise<Disk> {
  const disk = memoryDisk({ mounts: { usr: {}, home: {} } })
  await plant(disk, { '.': dir(), usr: dir({ mtime }), home: dir({ mtime }), [state]: dir({ mode: 0o711 }), ...literal })
  if (areas.length > 0) await writeAreas(disk, areas.map(known))
  return disk
}

const known = (area: string | KnownArea): KnownArea => (typeof area === 'string' ? { path: relPath(area) } : area)
const pending = (path: string): KnownArea => ({ path: relPath(path), above: mtime })
const holder = (transaction: number, ...areas: readonly string[]): SlotHolder => ({ transaction, areas: areas.map(relPath) })
const timeOf = async (disk: Disk, path: string): Promise<Timestamp | undefined> => (await disk.lstat(relPath(path)))?.mtime

/** All that is there below `path`, folders with a slash. */
async function below(disk: Disk, path: string): Promise<readonly string[]> {
  const found: string[] = []
  for (const name of [...(await disk.readdir(relPath(path)))].sort()) {
    const isFolder = (await disk.lstat(relPath(`${path}/${name}`)))?.kind === 'dir'
    found.push(isFolder ? `${name}/` : name)
    if (isFolder) found.push(...(await below(disk, `${path}/${name}`)).map((inner) => `${name}/${inner}`))
  }
  return found
}

// --- made

test('every area gets empty folders for the transaction, closed to others, and the folder above keeps its time', async () => {
  const left: Literal = { [`${state}/stage/3/0/d`]: dir(), [`${state}/store/3/1`]: 'old', [`${state}/store/2/0`]: 'needed' }
  const disk = await on(left)
  await makeAreas(disk, holder(3, state, 'usr/.bindery'))
  assert.deepEqual(await below(disk, state), ['areas', 'stage/', 'stage/3/', 'store/', 'store/2/', 'store/2/0', 'store/3/'])
  assert.deepEqual(await below(disk, 'usr'), ['.bindery/', '.bindery/stage/', '.bindery/stage/3/', '.bindery/store/', '.bindery/store/3/'])
  for (const folder of ['usr/.bindery', 'usr/.bindery/stage', 'usr/.bindery/store/3', `${state}/stage/3`])
    assert.equal((await disk.lstat(relPath(folder)))?.mode, 0o700, folder)
  assert.deepEqual(await timeOf(disk, 'usr'), mtime)
  assert.deepEqual(await readAreas(disk), [{ path: 'usr/.bindery' }])
})

test('an area is in the list before it is there, with the time of the folder above, and that is durable before the list forgets it', async () => {
  const { disk, calls } = faultyDisk(await on({}), { kind: 'none' })
  await makeAreas(disk, holder(1, state, 'usr/.bindery'))
  const list = ['create', 'sync', 'rename'].map((call) => `${call} ${state}/areas.new`).concat(`sync ${state}`)
  assert.deepEqual(calls.slice(0, 11), [...list, 'mkdir usr/.bindery', 'setTimes', 'sync usr', ...list])
  const inner = await on({})
  const crashed = faultyDisk(inner, { kind: 'crash', at: 5, when: 'before' })
  await assert.rejects(makeAreas(crashed.disk, holder(1, state, 'usr/.bindery')), Crash)
  assert.deepEqual(await readAreas(inner), [pending('usr/.bindery')])
})

test('areas that are there already are not listed again', async () => {
  const { disk, calls } = faultyDisk(await on({ 'usr/.bindery': dir() }, ['home/.bindery']), { kind: 'none' })
  await makeAreas(disk, holder(1, state, 'usr/.bindery'))
  assert.deepEqual(
    calls.filter((call) => call.includes('areas')),
    [],
  )
  assert.deepEqual(await readAreas(disk), [{ path: 'home/.bindery' }])
})

test('an area that was listed and is gone is listed once when it is made again; the others stay as they are', async () => {
  const disk = await on({}, ['usr/.bindery', pending('gone/.bindery'), 'opt/.bindery'])
  await makeAreas(disk, holder(1, state, 'usr/.bindery', 'home/.bindery'))
  assert.deepEqual(await readAreas(disk), [
    pending('gone/.bindery'),
    { path: 'opt/.bindery' },
    { path: 'usr/.bindery' },
    { path: 'home/.bindery' },
  ])
  assert.deepEqual([await timeOf(disk, 'usr'), await timeOf(disk, 'home')], [mtime, mtime])
})

test('where the folder above an area has gone meanwhile, nothing is made', async () => {
  const disk = await on({})
  assert.deepEqual(await refused(makeAreas(disk, holder(1, state, 'gone/.bindery'))), ['not-found', 'gone'])
})

test('what is no folder, belongs to somebody else, or can be written by others is not used', async () => {
  const area = 'usr/h\u00c3\u00a9/.bindery'
  const told = '/usr/h\u00e9/.bindery'
  const ofSomebody = (paths: readonly string[]): Literal => Object.fromEntries(paths.map((path) => [path, dir({ uid: 7 })]))
  const ways: readonly (readonly [string, Literal, readonly string[]])[] = [
    ['a file', { [area]: '' }, ['conflict', told]],
    ['a link', { [`${area}/store`]: symlink('/tmp') }, ['conflict', `${told}/store`]],
    ['of somebody else', { [area]: dir({ uid: 7 }) }, ['hostile', told]],
    ['written by a group', { [`${area}/stage`]: dir({ mode: 0o720 }) }, ['hostile', `${told}/stage`]],
    ['written by everybody', { [`${area}/store`]: dir({ mode: 0o702 }) }, ['hostile', `${told}/store`]],
    ['read by everybody', { [area]: dir({ mode: 0o755 }) }, ['not refused']],
    ['of whoever the state belongs to', ofSomebody([state, area, `${area}/stage`, `${area}/store`]), ['not refused']],
  ]
  for (const [what, literal, refusal] of ways) {
    assert.deepEqual(await refused(makeAreas(await on(literal), holder(1, area))), refusal, what)
  }
})

test('names in the folders of a transaction are made durable, and what leads to them', async () => {
  const { disk, calls } = faultyDisk(await on({ [`${state}/stage/3`]: dir(), [`${state}/store/3`]: dir() }), { kind: 'none' })
  await makeAreas(disk, holder(3, state, 'usr/.bindery'))
  const before = calls.length
  await syncAreas(disk, holder(3, state, 'usr/.bindery'))
  const folders = (area: string, above: string): readonly string[] =>
    [`${area}/stage/3`, `${area}/store/3`, `${area}/stage`, `${area}/store`, area, above].map((path) => `sync ${path}`)
  assert.deepEqual(calls.slice(before), [...folders(state, 'var/db'), ...folders('usr/.bindery', 'usr')])
})

// --- swept

async function swept(disk: Disk, ...needed: readonly number[]): Promise<readonly string[]> {
  const watched = faultyDisk(disk, { kind: 'none' })
  await sweepAreas(watched.disk, new Set(needed))
  return watched.calls
}

test('stores that are needed stay, by their number; other names in their folder and all that is staged go', async () => {
  const names = ['1', '12', '2', '+1', '1.0', 'note', 'x1']
  const inStore = Object.fromEntries(names.map((name) => [`${state}/store/${name}/0`, 'old']))
  const disk = await on({ ...inStore, [`${state}/stage/1/0`]: 'new', [`${state}/stage/note`]: '' })
  await swept(disk, 1, 12)
  assert.deepEqual(await below(disk, state), ['stage/', 'store/', 'store/1/', 'store/1/0', 'store/12/', 'store/12/0'])
})

test('stores have gone for good, everywhere, before the first stage goes', async () => {
  const areas: Literal = Object.fromEntries(
    ['usr/.bindery', state].flatMap((area) => [
      [`${area}/stage/2`, dir()],
      [`${area}/store/2`, dir()],
      [`${area}/store/1`, dir()],
    ]),
  )
  const disk = await on(areas, ['usr/.bindery'])
  const stores = ['usr/.bindery', state].flatMap((area) => [`rmdir ${area}/store/2`, `sync ${area}/store`])
  assert.deepEqual(await swept(disk, 1), [...stores, 'rmdir usr/.bindery/stage/2', `rmdir ${state}/stage/2`])
  assert.deepEqual(await readAreas(disk), [{ path: 'usr/.bindery' }])
})

test('where there is nothing to sweep nothing is written', async () => {
  const disk = await on({ [`${state}/stage`]: dir(), [`${state}/store/1`]: dir(), 'usr/.bindery/store/1': dir() }, ['usr/.bindery'])
  assert.deepEqual(await swept(disk, 1), [])
  assert.deepEqual(await swept(memoryDisk(), 1), [])
})

test('an area that is needed no more goes, whatever of it is there, and the folder above keeps its time', async () => {
  const ways: readonly Literal[] = [
    { 'usr/.bindery/stage/1/0': '', 'usr/.bindery/store/1/0': '' },
    { 'usr/.bindery/store/1/0': '' },
    { 'usr/.bindery/stage': dir() },
    { 'usr/.bindery': dir() },
  ]
  for (const literal of ways) {
    const disk = await on({ ...literal, 'home/.bindery/store/2/0': '' }, ['usr/.bindery', 'home/.bindery'])
    await swept(disk, 2)
    assert.deepEqual([await below(disk, 'usr'), await timeOf(disk, 'usr')], [[], mtime])
    assert.deepEqual(await below(disk, 'home'), ['.bindery/', '.bindery/store/', '.bindery/store/2/', '.bindery/store/2/0'])
    assert.deepEqual(await readAreas(disk), [{ path: 'home/.bindery' }])
  }
})

test('the state folder stays when it is empty', async () => {
  const disk = await on({ [`${state}/stage/1`]: dir(), [`${state}/store/1`]: dir() })
  await swept(disk)
  assert.deepEqual(await below(disk, state), ['stage/', 'store/'])
  assert.equal(await disk.lstat(relPath(`${state}/areas`)), undefined)
})

test('what is not mounted, or no folder any more, stays in the list, and is not looked into', async () => {
  const literal: Literal = { 'var/lib': symlink('/elsewhere'), 'home/.bindery': 'a file', 'usr/.bindery': dir() }
  const disk = await on(literal, ['gone/.bindery', 'var/lib/.bindery', 'home/.bindery', 'usr/.bindery'])
  await swept(disk)
  assert.deepEqual(await readAreas(disk), [{ path: 'gone/.bindery' }, { path: 'var/lib/.bindery' }, { path: 'home/.bindery' }])
  assert.equal(await text(disk, 'home/.bindery'), 'a file')
})

test('a disk that fails is no file system that is not mounted', async () => {
  const inner = await on({ 'usr/.bindery': dir() }, ['usr/.bindery'])
  const lstat: Disk['lstat'] = async (path) => {
    if (path === 'usr/.bindery') throw new BinderyError('io', 'is damaged', { subject: path })
    return await inner.lstat(path)
  }
  assert.deepEqual(await refused(sweepAreas({ ...inner, lstat }, new Set())), ['io', 'usr/.bindery'])
})

// --- killed

test('the time of a folder above is put back by the sweep that comes after a killed run', async () => {
  const disk = await on({ usr: dir(), 'home/.bindery/store/1': dir() }, [pending('usr/.bindery'), 'home/.bindery'])
  assert.deepEqual((await swept(disk, 1)).slice(0, 2), ['setTimes', 'sync usr'])
  assert.deepEqual([await timeOf(disk, 'usr'), await timeOf(disk, 'home')], [mtime, mtime])
  assert.deepEqual(await readAreas(disk), [{ path: 'usr/.bindery' }, { path: 'home/.bindery' }])
})

test('where that folder is not there the time is kept until it is', async () => {
  const disk = await on({ usr: dir(), 'home/.bindery': dir() }, [pending('usr/.bindery'), pending('usr/local/.bindery'), 'home/.bindery'])
  await swept(disk)
  assert.deepEqual(await timeOf(disk, 'usr'), mtime)
  assert.deepEqual(await readAreas(disk), [{ path: 'usr/.bindery' }, pending('usr/local/.bindery')])
  await swept(disk)
  assert.deepEqual(await readAreas(disk), [{ path: 'usr/.bindery' }, pending('usr/local/.bindery')])
  await plant(disk, { 'usr/local': dir() })
  await swept(disk)
  assert.deepEqual(await timeOf(disk, 'usr/local'), mtime)
  assert.deepEqual(await readAreas(disk), [{ path: 'usr/.bindery' }, { path: 'usr/local/.bindery' }])
})

test('killed at any call, areas are swept without a trace', async () => {
  const areas = holder(1, state, 'usr/.bindery', 'home/.bindery')
  const run = async (disk: Disk): Promise<void> => {
    await makeAreas(disk, areas)
    await sweepAreas(disk, new Set())
  }
  const whole = faultyDisk(await on({}), { kind: 'none' })
  await run(whole.disk)
  for (let at = 1; at <= whole.calls.length; at++) {
    const fault: Fault = { kind: 'crash', at, when: at % 2 === 0 ? 'before' : 'after' }
    const disk = await on({})
    await assert.rejects(run(faultyDisk(disk, fault).disk), Crash)
    await swept(disk)
    assert.deepEqual([await below(disk, 'usr'), await below(disk, 'home')], [[], []])
    assert.deepEqual([await timeOf(disk, 'usr'), await timeOf(disk, 'home')], [mtime, mtime], `killed at ${at}`)
    for (const { above } of await readAreas(disk)) assert.equal(above, undefined)
  }
})

// --- removed

test('a path goes with everything below it; links are not followed, and what is not there is no failure', async () => {
  const disk = await on({ 'd/e/f': '', 'd/e/g/h': '', 'd/l': symlink('../kept'), 'kept/f': '', l: symlink('kept'), f: file('') })
  for (const path of ['d', 'l', 'f', 'gone', 'gone/f']) await removeBelow(disk, relPath(path))
  assert.deepEqual([...(await disk.readdir(relPath('.')))].sort(), ['home', 'kept', 'usr', 'var'])
  assert.deepEqual(await below(disk, 'kept'), ['f'])
})
