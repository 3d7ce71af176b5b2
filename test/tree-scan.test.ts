import assert from 'node:assert/strict'
import { test } from 'node:test'
import { latin1, utf8 } from '../src/base/bytes.ts'
import { sha256 } from '../src/base/digest.ts'
import { isBinderyError } from '../src/base/error.ts'
import { describe } from '../src/engine/tree/describe.ts'
import { parseTable } from '../src/engine/tree/owners.ts'
import { describePaths, isOwnState, scanTree } from '../src/engine/tree/scan.ts'
import { encodeManifest } from '../src/format/manifest.ts'
import { memoryDisk } from '../src/host/memory-disk.ts'
import { char, dir, fifo, file, hardlink, plant, relPath, symlink } from './helpers/plant.ts'
import type { Disk } from '../src/port/disk.ts'
import type { Literal } from './helpers/plant.ts'

async function planted(literal: Literal): Promise<Disk> {
  const disk = memoryDisk()
  await plant(disk, literal)
  return disk
}

async function pathsOf(disk: Disk, options = {}): Promise<string[]> {
  return (await scanTree(disk, options)).entries.map(({ path }) => path)
}

test('a small system, described', async () => {
  const disk = await planted({
    'etc/passwd': 'root:*:0:0:Charlie &:/root:/bin/sh\nbin:*:7:7::/:/sbin/nologin\ntoor:*:0:0::/root:\n',
    'etc/group': 'wheel:*:0:root\nbin:*:7:\n+:::\n',
    'bin/su': file('su', {
      mode: 0o4555,
      mtime: { sec: 1_700_000_000, nsec: 123 },
      xattrs: new Map([
        ['user.a', '\0'],
        ['security.selinux', 'x'],
      ]),
    }),
    'bin/sudo': hardlink('bin/su'),
    'bin/sh': file('sh', { mode: 0o555, uid: 7, gid: 7 }),
    sh: symlink('bin/sh'),
    'dev/null': char(1, 3, { mode: 0o666 }),
    'dev/fifo': fifo({ uid: 99, gid: 99 }),
    tmp: dir({ mode: 0o1777 }),
    '!first': 'sorts before the root',
  })
  const lines = latin1(encodeManifest(await scanTree(disk))).split('\n')
  assert.deepEqual(
    lines.filter((line) => !line.includes('etc')),
    [
      '#mtree',
      '#bindery manifest 1',
      '#bindery user 0 root',
      '#bindery user 7 bin',
      '#bindery group 0 wheel',
      '#bindery group 7 bin',
      '. type=dir mode=0755 uid=0 gid=0 time=1600000000.000000000',
      `./!first type=file mode=0644 uid=0 gid=0 time=1600000000.000000000 size=21 sha256=${sha256(utf8('sorts before the root'))}`,
      './bin type=dir mode=0755 uid=0 gid=0 time=1600000000.000000000',
      `./bin/sh type=file mode=0555 uid=7 gid=7 time=1600000000.000000000 size=2 sha256=${sha256(utf8('sh'))}`,
      '#bindery xattr user.a 00',
      `./bin/su type=file mode=04555 uid=0 gid=0 time=1700000000.000000123 size=2 sha256=${sha256(utf8('su'))}`,
      '#bindery hardlink ./bin/su',
      '#bindery xattr user.a 00',
      `./bin/sudo type=file mode=04555 uid=0 gid=0 time=1700000000.000000123 size=2 sha256=${sha256(utf8('su'))}`,
      './dev type=dir mode=0755 uid=0 gid=0 time=1600000000.000000000',
      './dev/fifo type=fifo mode=0644 uid=99 gid=99 time=1600000000.000000000',
      './dev/null type=char mode=0666 uid=0 gid=0 time=1600000000.000000000 device=native,1,3',
      './sh type=link uid=0 gid=0 time=1600000000.000000000 link=bin/sh',
      './tmp type=dir mode=01777 uid=0 gid=0 time=1600000000.000000000',
      '',
    ],
  )
})

test("bindery's own state is no part of a tree", async () => {
  const disk = await planted({
    'var/db/bindery/journal': 'x',
    'var/db/bindery2': 'kept',
    'usr/.bindery/stage/1/0': 'x',
    '.bindery/store/1': 'x',
    'etc/.bindery-7-12': 'x',
    'etc/.bindery-7': 'kept',
    'etc/.bindery.conf': 'kept',
  })
  assert.deepEqual(await pathsOf(disk), ['.', 'etc', 'etc/.bindery-7', 'etc/.bindery.conf', 'usr', 'var', 'var/db', 'var/db/bindery2'])
  assert.deepEqual(
    ['var/db/bindery', 'var/db/bindery/x', '.bindery', 'a/.bindery/b'].map((path) => isOwnState(relPath(path))),
    [true, true, true, true],
  )
  assert.deepEqual(
    ['.', 'var/db', 'var/db/binderyx', 'x.bindery', '.binderyx', 'x/var/db/bindery'].map((path) => isOwnState(relPath(path))),
    [false, false, false, false, false, false],
  )
})

test('what is excluded or mounted is left out', async () => {
  const disk = memoryDisk({ mounts: { proc: {}, 'usr/local': {} } })
  await plant(disk, { 'home/x/y': 'x', 'proc/1/stat': 'x', 'usr/local/bin/z': 'z', 'usr/bin/a': 'a' })
  const exclude = (path: string): boolean => path === 'home'
  assert.deepEqual(await pathsOf(disk, { exclude, oneFileSystem: true }), ['.', 'proc', 'usr', 'usr/bin', 'usr/bin/a', 'usr/local'])
  assert.ok((await pathsOf(disk)).includes('usr/local/bin/z'))
})

test('the order of readdir does not show', async () => {
  const disk = await planted({ 'a/1': '1', 'a/2': '2', 'a-b': 'x', b: hardlink('a/2'), 'a!': 'y' })
  const reversed: Disk = { ...disk, readdir: async (path) => (await disk.readdir(path)).toReversed() }
  assert.deepEqual(encodeManifest(await scanTree(reversed)), encodeManifest(await scanTree(disk)))
})

test('what vanishes during the scan is left out, and its links stay together', async () => {
  const disk = await planted({ 'a/f': 'one', 'b/f': hardlink('a/f'), 'c/f': hardlink('a/f'), gone: 'x', 'dir/x': 'x' })
  const vanishing: Disk = {
    ...disk,
    digest: async (path) => {
      if (path === 'a/f' || path === 'gone') await disk.unlink(path)
      return await disk.digest(path)
    },
    readdir: async (path) => {
      if (path === 'dir') await disk.rename(path, relPath('.bindery'))
      return await disk.readdir(path)
    },
  }
  const { entries } = await scanTree(vanishing)
  assert.deepEqual(
    entries.filter(({ kind }) => kind !== 'dir').map((entry) => [entry.path, entry.kind]),
    [
      ['b/f', 'file'],
      ['c/f', 'hardlink'],
    ],
  )
})

test('a stopped scan stops', async () => {
  const disk = await planted({ a: 'a' })
  await assert.rejects(scanTree(disk, { signal: AbortSignal.abort(new Error('stopped')) }), /stopped/)
})

test('a root that is not there, or passwd that is no file', async () => {
  assert.deepEqual(
    (await scanTree(await planted({ etc: symlink('/etc') }))).entries.map(({ uname }) => uname),
    [undefined, undefined],
  )
  assert.deepEqual((await scanTree(await planted({ 'etc/passwd': fifo() }))).entries.length, 3)
})

test('one path, and some paths', async () => {
  const disk = await planted({ 'a/f': 'one', 'b/f': hardlink('a/f'), l: symlink('a') })
  assert.equal((await describe(disk, relPath('b/f')))?.kind, 'file')
  assert.equal(await describe(disk, relPath('missing')), undefined)
  await assert.rejects(describe(disk, relPath('l/f')), (error) => isBinderyError(error, 'hostile'))
  const found = await describePaths(disk, ['l/f', 'b/f', 'a/f', 'missing/x', 'l', 'b/f'].map(relPath))
  assert.deepEqual(
    [...found.values()].map(({ path, kind }) => [path, kind]),
    [
      ['a/f', 'file'],
      ['b/f', 'hardlink'],
      ['l', 'symlink'],
    ],
  )
})

test('names of owners: the first of a number, and only sane ones', () => {
  const table = parseTable('root:*:0:0\ntoor:*:0:0\n_x-y.z$:*:7:\nbad name:*:8:\n+nis::9:\n-::10:\nshort\nneg:*:-1:\n\xff:*:11:\n::12:\n')
  assert.deepEqual(
    [...table],
    [
      [0, 'root'],
      [7, '_x-y.z$'],
    ],
  )
})
