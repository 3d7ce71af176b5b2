import assert from 'node:assert/strict'
import { test } from 'node:test'
import { lookOver } from '../src/engine/client/staged/clone.ts'
import { cloneRules, mountsIn, readReleased, refuseMounts, releasesIn } from '../src/engine/client/staged/rules.ts'
import { pathPattern } from '../src/format/conf.ts'
import { memoryDisk } from '../src/host/memory-disk.ts'
import { release } from './helpers/client-world.ts'
import { enrolledState } from './helpers/enrolled-state.ts'
import { char, dir, fifo, file, hardlink, plant, relPath, symlink } from './helpers/plant.ts'
import { refused } from './helpers/refused.ts'
import type { Disk, Stat } from '../src/port/disk.ts'
import type { RelPath } from '../src/base/path.ts'
import type { Literal } from './helpers/plant.ts'

/** What may have a name in two trees, and what is mounted in one of them. */

const mtime = { sec: 1_500_000_000, nsec: 500 }

const base: Literal = {
  'bin/sh': file('a shell', { mtime }),
  'bin/ash': hardlink('bin/sh'),
  'bin/another': file('a shell', { mtime }),
  'bin/link': symlink('sh', { mtime }),
  'etc/conf': file('a setting', { mtime }),
  'usr/local/etc/conf': file('a setting', { mtime }),
  'srv/kept': file('an edition', { mtime }),
  'lib/twin': hardlink('bin/sh'),
}
const comp: Literal = { 'bin/cc': file('a compiler', { mtime }) }

const [first, second] = await Promise.all([release('1.0', base), release('2.0', comp)])
const releases = [first, { ...second, name: { ...second.name, product: 'comp' } }]

async function machine(changes: Literal = {}): Promise<Disk> {
  const disk = memoryDisk()
  await plant(disk, { ...(await enrolledState(...releases)), ...base, ...comp, ...changes })
  return disk
}

const config = { configProtect: [pathPattern('/srv')], share: [pathPattern('/usr/share'), pathPattern('/etc/shared')] }

/** Of these paths those that are one file in all trees. */
async function shared(changes: Literal, ...paths: readonly string[]): Promise<readonly string[]> {
  const disk = await machine(changes)
  const { isShared } = cloneRules(await readReleased(disk), config)
  const stats = await Promise.all(paths.map(async (path) => (await disk.lstat(relPath(path))) as Stat))
  return paths.filter((path, i) => isShared(relPath(path), stats[i] as Stat))
}

test('a file is shared that is as its release has it, by any of its names', async () => {
  const paths = ['bin/sh', 'bin/ash', 'lib/twin', 'bin/another', 'bin/cc']
  assert.deepEqual(await shared({}, ...paths), paths)
})

test('a file that is not as its release has it is none that nobody writes into', async () => {
  const others: Literal = {
    'bin/another': file('a shell of mine', { mtime }),
    'bin/cc': file('a compiler', { mtime: { ...mtime, sec: mtime.sec + 1 } }),
    'bin/sh': file('a shell', { mtime: { ...mtime, nsec: mtime.nsec + 1 } }),
    'bin/link': file('sh', { mtime }),
    'bin/mine': file('', { mtime }),
  }
  assert.deepEqual(await shared(others, ...Object.keys(others)), [])
  assert.deepEqual(await shared(others, 'bin/ash'), [])
})

test('configuration is each tree’s own, even where it is as the release has it, unless bindery.conf has it shared', async () => {
  assert.deepEqual(await shared({}, 'etc/conf', 'usr/local/etc/conf', 'srv/kept'), [])
  const local: Literal = { 'etc/shared/zone': 'a zone', 'usr/share/dict/words': 'words', 'usr/shared': 'none' }
  assert.deepEqual(await shared(local, ...Object.keys(local)), ['etc/shared/zone', 'usr/share/dict/words'])
})

test('links, devices and bindery’s own state are shared, whoever has made them', async () => {
  const local: Literal = {
    'etc/link': symlink('conf'),
    'dev/null': char(1, 3),
    'run/fifo': fifo(),
    'var/db/bindery/log/1': 'a line',
    'var/db/bindery-notes': 'mine',
  }
  assert.deepEqual(await shared(local, ...Object.keys(local)), ['etc/link', 'dev/null', 'run/fifo', 'var/db/bindery/log/1'])
})

test('releases of a root are those of all its channels, and what they have is known by its path', async () => {
  const disk = await machine()
  const names = { 'base/amd64': 'base-1.0-20260101-amd64', 'comp/amd64': 'comp-2.0-20260101-amd64' }
  assert.deepEqual(Object.fromEntries(await releasesIn(disk)), names)
  const released = await readReleased(disk)
  const kinds = ['bin/sh', 'bin/ash', 'bin/link', 'bin/cc', 'bin', 'bin/mine'].map((path) => released.get(relPath(path))?.kind)
  // In a manifest the first of several names is the file.
  assert.deepEqual(kinds, ['hardlink', 'file', 'symlink', 'file', 'dir', undefined])
  assert.deepEqual([(await readReleased(memoryDisk())).size, (await releasesIn(memoryDisk())).size], [0, 0])
})

async function mounts(disk: Disk): Promise<readonly string[]> {
  const tree = relPath('jail')
  return await mountsIn(disk, tree, await lookOver(disk, tree))
}

test('a folder of another file system is a mount, and a file is one where the system says so', async () => {
  const inner = memoryDisk({ mounts: { 'jail/proc': {}, 'jail/usr/ports': {}, elsewhere: {} } })
  await plant(inner, { 'jail/dev/null': '', 'jail/etc/conf': '', 'jail/etc/hosts': '', 'jail/proc/1': '', 'jail/usr/lib.so': '' })
  const asked: RelPath[] = []
  const disk: Disk = {
    ...inner,
    // As on an overlay, whose files have other devices than its folders.
    lstat: async (path) => {
      const stat = await inner.lstat(path)
      return stat?.kind === 'file' && path !== 'jail/usr/lib.so' ? { ...stat, device: 100n } : stat
    },
    mountPointsAmong: async (paths) => (asked.push(...paths), new Set(paths.filter((path) => path === 'jail/dev/null'))),
  }
  assert.deepEqual([...(await mounts(disk))].sort(), ['dev/null', 'proc', 'usr/ports'])
  assert.deepEqual(asked.sort(), ['jail/dev/null', 'jail/etc/conf', 'jail/etc/hosts'])
})

test('of a tree that is one file system nobody is asked', async () => {
  const disk = memoryDisk()
  await plant(disk, { 'jail/etc/conf': '', 'jail/proc': dir() })
  assert.deepEqual(await mounts({ ...disk, mountPointsAmong: async () => assert.fail('was asked') }), [])
})

test('a mount is refused that a release has files below, and no other', async () => {
  const refusalOf = async (at: readonly string[], ...paths: readonly string[]): Promise<readonly unknown[]> => {
    const { manifest } = await release('1.0', Object.fromEntries(paths.map((path) => [path, dir()])))
    const released = new Map(manifest.entries.map((entry) => [entry.path, entry]))
    return await refused((async () => refuseMounts(at.map(relPath), released))())
  }
  assert.deepEqual(await refusalOf([], 'usr/lib'), ['not refused'])
  assert.deepEqual(await refusalOf(['usr'], 'usr', 'usrs', 'bin/sh'), ['not refused'])
  assert.deepEqual(await refusalOf(['usr'], 'usr/lib'), ['conflict', '/usr'])
  assert.deepEqual(await refusalOf(['proc', 'usr/lib', 'bin'], 'usr/lib/libc', 'proc'), ['conflict', '/usr/lib'])
})
