import assert from 'node:assert/strict'
import { test } from 'node:test'
import { oneChunk, utf8 } from '../src/base/bytes.ts'
import { sha256 } from '../src/base/digest.ts'
import { BinderyError } from '../src/base/error.ts'
import { isSame, noteChecksums, readSoundChecksums } from '../src/engine/client/checksums.ts'
import { statePaths } from '../src/engine/client/state.ts'
import { encodeJournal } from '../src/format/journal.ts'
import { maxChecksumsBytes } from '../src/format/state-checksums.ts'
import { memoryDisk } from '../src/host/memory-disk.ts'
import { plant, relPath } from './helpers/plant.ts'
import type { ByteStream } from '../src/base/bytes.ts'
import type { Action, Journal } from '../src/format/journal.ts'
import type { Leaf } from '../src/format/journal-node.ts'
import type { Disk, Stat } from '../src/port/disk.ts'

/** Which files of the state are noted, and when a note counts. */

const mtime = { sec: 1_700_000_000, nsec: 5 }
const old: Leaf = { kind: 'file', path: relPath('f'), mode: 0o644, uid: 0, gid: 0, mtime, size: 1, sha256: sha256(utf8('f')) }

function gone(path: string, area: number, number: number): Action {
  return { kind: 'drop', path: relPath(path), slot: { area, number }, old: { ...old, path: relPath(path) } }
}

const receipt: Journal = {
  transaction: 10,
  purpose: 'install',
  direction: 'forward',
  time: 1_700_000_000,
  releases: [],
  areas: [relPath('var/db/bindery'), relPath('usr/.bindery')],
  undoes: [],
  postSteps: [],
  reboot: [],
  kept: [],
  actions: [
    gone('bin/sh', 0, 0),
    gone('usr/lib/libc.so', 1, 1),
    gone('var/db/bindery/channel/base-amd64/release', 0, 2),
    gone('var/db/bindery/channel/base-amd64/terms', 0, 3),
    gone('var/db/bindery/mounted/f', 1, 4),
    { kind: 'rmdir', path: relPath('var/db/bindery/d'), old: { ...old, path: relPath('var/db/bindery/d'), kind: 'dir' } },
  ],
}

async function state(): Promise<Disk> {
  const disk = memoryDisk()
  const files = {
    'channel/base-amd64/release': 'r',
    'channel/base-amd64/base.tar.zst': 'of a digest of its own',
    'channel/base-amd64/17.delta': 'likewise',
    'channel/base-amd64/17.delta.old': 'd',
    'bundles/1': 'b',
    'bundles/journal': 'no journal of ours',
    enrolled: 'e',
    'cache/1': 'of a digest of its own',
    'checksums.new': 'of a run that was killed',
    journal: 'j',
    'log/1': 'l',
    'log/1.new': 'l',
    'receipt/10': encodeJournal(receipt),
    'receipt/9': 'damaged',
    'receipt/note': 'n',
    'steps/10': 's',
    'store/10/0': 'sh',
    'store/10/2': 'release',
    'store/10/4': '4',
    'store/9/2': '9',
    'trust/5/root.json': '{}',
    'trust/note': 'no folder',
    version: 'v',
  }
  await plant(
    disk,
    Object.fromEntries(Object.entries(files).map(([name, content]) => [`var/db/bindery/${name}`, { kind: 'file', content }] as const)),
  )
  return disk
}

const noted = async (disk: Disk): Promise<readonly string[]> => (await readSoundChecksums(disk)).map(({ path }) => path)

test('noted are the files of the state, and of what a receipt keeps those of the state', async () => {
  const disk = await state()
  assert.deepEqual(await readSoundChecksums(disk), [])
  await noteChecksums(disk)
  const names = [
    'bundles/1',
    'bundles/journal',
    'channel/base-amd64/17.delta.old',
    'channel/base-amd64/release',
    'enrolled',
    'log/1',
    'receipt/10',
    'receipt/9',
    'receipt/note',
    'steps/10',
    'store/10/2',
    'trust/5/root.json',
    'version',
  ]
  assert.deepEqual(await noted(disk), names)
  assert.equal(await disk.lstat(relPath('var/db/bindery/checksums.new')), undefined)
})

test('a receipt that is noted is not read once more, and what it keeps stays noted', async () => {
  const disk = await state()
  await noteChecksums(disk)
  const before = await noted(disk)
  const read: string[] = []
  await plant(disk, { 'var/db/bindery/told': 't' })
  await noteChecksums({ ...disk, read: (path, options) => (read.push(path), disk.read(path, options)) })
  assert.deepEqual(read, [statePaths.checksums])
  assert.deepEqual(await noted(disk), [...before, 'told'].sort())
})

test('a disk that fails ends it, and damaged notes are made anew', async () => {
  const disk = await state()
  await noteChecksums(disk)
  const before = await noted(disk)
  const failure = new BinderyError('io', 'fails')
  const failing: Disk = {
    ...disk,
    read: (path, options) => {
      if (path === statePaths.checksums) throw failure
      return disk.read(path, options)
    },
  }
  await assert.rejects(noteChecksums(failing), failure)
  await disk.unlink(statePaths.checksums)
  await disk.create(statePaths.checksums, oneChunk(utf8('bindery-checksums 1\n')))
  await assert.rejects(readSoundChecksums(disk), { code: 'bad-format' })
  await noteChecksums(disk)
  assert.deepEqual(await noted(disk), before)
})

test('notes that are larger than any that we write are made anew; a mistake of ours while a receipt is read is not hidden', async () => {
  const disk = await state()
  await noteChecksums(disk)
  const before = await noted(disk)
  const reading = (path: string, content: () => ByteStream): Disk => ({
    ...disk,
    read: (asked, options) => (asked === path ? content() : disk.read(asked, options)),
  })
  const piece = new Uint8Array(1 << 20)
  await noteChecksums(
    reading(statePaths.checksums, async function* () {
      for (let read = 0; read <= maxChecksumsBytes; read += piece.length) yield piece
    }),
  )
  assert.deepEqual(await noted(disk), before)
  await disk.unlink(statePaths.checksums)
  const failing = reading('var/db/bindery/receipt/10', () => {
    throw new TypeError('no error of ours')
  })
  await assert.rejects(noteChecksums(failing), TypeError)
})

test('a note counts for the same inode with the same size and time', () => {
  const note = { path: relPath('told'), size: 3, mtime, inode: 7n, sha256: sha256(utf8('abc')) }
  const stat: Stat = { kind: 'file', mode: 0o600, uid: 0, gid: 0, size: 3, mtime, nlink: 1, inode: 7n, device: 1n, allocated: 4096 }
  assert.equal(isSame(note, stat), true)
  for (const other of [{ size: 4 }, { inode: 8n }, { mtime: { ...mtime, nsec: 6 } }, { mtime: { ...mtime, sec: 1 } }])
    assert.equal(isSame(note, { ...stat, ...other }), false)
})
