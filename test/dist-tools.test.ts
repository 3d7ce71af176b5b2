import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { createReadStream, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { extract } from 'tar-stream'
import { writeDist } from '../src/engine/dist/write.ts'
import { diffManifests } from '../src/engine/tree/diff.ts'
import { scanTree } from '../src/engine/tree/scan.ts'
import { hostDisk } from '../src/host/disk.ts'
import { writeFileAtomically } from '../src/host/source.ts'
import { block, char, dir, fifo, file, hardlink, plant, symlink } from './helpers/plant.ts'
import { needs, needsRoot } from './helpers/programs.ts'
import { inTemporary } from './helpers/temporary.ts'
import type { Manifest } from '../src/base/entry.ts'
import type { Difference } from '../src/engine/tree/diff.ts'
import type { Literal } from './helpers/plant.ts'

/** Every tar reads every dist, says nothing, and makes the tree of the manifest. */

const name = { product: 'base', revision: '1.0', date: '20260101', arch: 'amd64' }
const part = (letter: string, length: number): string => letter.repeat(length)

const awkward: Literal = {
  '.': dir({ mode: 0o755 }),
  'etc/passwd': `${part('n', 32)}:*:12345:12345::/:\nroot:*:0:0::/:\n`,
  'etc/group': 'wheel:*:0:\n',
  'bin/su': file('setuid', { mode: 0o4555, mtime: { sec: 1_700_000_000, nsec: 123_456_789 } }),
  'bin/sudo': hardlink('bin/su'),
  'sbin/ping': file('ping', {
    mode: 0o555,
    xattrs: new Map([
      ['security.capability', '\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0'],
      ['user.odd name', 'a\0\n\xff'],
    ]),
  }),
  'dev/null': char(1, 3, { mode: 0o666 }),
  'dev/far': char(300, 70_000),
  'dev/disk': block(8, 1, { mode: 0o640, gid: 6 }),
  'var/run/pipe': fifo({ mode: 0o620 }),
  tmp: dir({ mode: 0o1777 }),
  locked: dir({ mode: 0o500 }),
  'locked/in': 'a file of a directory without write permission',
  owned: file('owned', { uid: 12_345, gid: 300_000 }),
  faraway: file('far', { uid: 4_000_000_000, gid: 2_097_152 }),
  old: file('before 1970', { mtime: { sec: -315_619_200, nsec: 0 } }),
  later: file('after 2242', { mtime: { sec: 8 ** 11 + 5, nsec: 1 } }),
  lib: symlink('usr/lib', { mtime: { sec: 1_700_000_000, nsec: 1 } }),
  'link to long': symlink(`/${part('t', 150)}/${part('u', 250)}`),
  'link of 100': symlink(part('v', 100)),
  lchained: hardlink('link of 100'),
  dangling: symlink('/no where\xff#='),
  empty: '',
  'exactly one block': part('b', 512),
  'more than a block': part('b', 513),
  sparse: file(new Uint8Array(1_000_000)),
  'new\nline and tab\t': 'control',
  '-rf': 'dash',
  '@argument': 'at',
  '!': 'before the root',
  'u\xc3\xa9': 'utf8',
  'latin\xe9\xff': 'latin1',
  [part('a', 100)]: '100',
  [part('a', 101)]: '101',
  [`${part('p', 155)}/${part('n', 100)}`]: 'the longest that ustar holds',
  [`${part('q', 156)}/${part('n', 99)}`]: 'too long before the slash',
  [`${part('d', 99)}/${part('e', 200)}/${part('f', 255)}`]: 'a slash at the hundredth byte',
  [Array.from({ length: 16 }, () => part('\xff', 200)).join('/')]: 'thousands of bytes, and no UTF-8',
  [Array.from({ length: 4 }, () => part('\xc3\xa9', 60)).join('/')]: 'long UTF-8',
  [`${part('h', 150)}/${part('i', 120)}`]: hardlink('sparse'),
}

const all = { ...needs('tar', 'bsdtar', 'getfattr', 'setfattr'), ...needsRoot() }

/** Plants `tree`, cuts it, and gives both to `use`. */
async function withDist(tree: Literal, use: (given: { dist: string; manifest: Manifest; folder: string }) => Promise<void>): Promise<void> {
  await inTemporary(async (folder) => {
    mkdirSync(join(folder, 'root'))
    const disk = hostDisk(join(folder, 'root'))
    await plant(disk, tree)
    const manifest = await scanTree(disk)
    const dist = join(folder, 'dist.tar')
    await writeFileAtomically(
      dist,
      writeDist(name, manifest, (entry) => disk.read(entry.path)),
    )
    await use({ dist, manifest, folder })
  })
}

function quietly(program: string, args: readonly string[], locale: string): string {
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'latin1', env: { ...process.env, LC_ALL: locale } })
  assert.deepEqual([status, stderr], [0, ''], `${program} ${args.join(' ')}`)
  return stdout
}

const unpackers = {
  // The order of a dist comes back to directories that it has left. The warning is about the clock: some times are far away.
  'GNU tar': ['tar', '--delay-directory-restore', '--warning=no-timestamp', '--xattrs', '--xattrs-include=*', '--numeric-owner', '-xpf'],
  bsdtar: ['bsdtar', '--numeric-owner', '-xpf'],
} as const

for (const [tool, [program, ...args]] of Object.entries(unpackers)) {
  test(`${tool} unpacks a dist into the tree of its manifest, in any locale`, all, async () => {
    await withDist(awkward, async ({ dist, manifest, folder }) => {
      for (const locale of ['C', 'C.UTF-8']) {
        const target = join(folder, `out-${locale}`)
        mkdirSync(target)
        quietly(program, [...args, dist, '-C', target], locale)
        const found = await scanTree(hostDisk(target))
        assert.deepEqual(
          diffManifests(manifest, found).filter((difference) => !isRootTime(tool, difference)),
          [],
        )
      }
    })
  })

  test(`${tool} lists the members of a dist`, all, async () => {
    await withDist({ 'b/a': 'x', c: symlink('b'), d: hardlink('b/a') }, async ({ dist }) => {
      assert.equal(quietly(program, ['-tf', dist], 'C'), './\nb/\nb/a\nc\nd\n')
    })
  })

  test(`${tool} takes a tree with nothing in it`, all, async () => {
    await withDist({ '.': dir() }, async ({ dist }) => assert.equal(quietly(program, ['-tf', dist], 'C'), './\n'))
  })
}

/** bsdtar sets the time of `.` before it fills it, with its own archives too. */
function isRootTime(tool: string, { path, aspects }: Difference): boolean {
  return tool === 'bsdtar' && path === '.' && aspects.every((aspect) => aspect === 'mtime')
}

type Seen = {
  readonly name: string
  readonly type: string
  readonly uid: number
  readonly mode: number
  readonly size: number
  readonly link: string
}

async function readByTarStream(file: string): Promise<readonly Seen[]> {
  const seen: Seen[] = []
  // Its types leave this option out.
  const reader = extract({ filenameEncoding: 'latin1' } as object)
  createReadStream(file).pipe(reader)
  for await (const entry of reader) {
    const { name, type, uid, mode, size, linkname } = entry.header
    seen.push({ name, type: type ?? '', uid: uid ?? 0, mode: mode ?? 0, size: size ?? 0, link: linkname ?? '' })
    entry.resume()
  }
  return seen
}

const tarStreamTypes: Readonly<Record<string, string>> = {
  dir: 'directory',
  hardlink: 'link',
  char: 'character-device',
  block: 'block-device',
}

test('tar-stream sees what the manifest says', all, async () => {
  await withDist(awkward, async ({ dist, manifest }) => {
    const seen = await readByTarStream(dist)
    const expected = manifest.entries.map((entry) => ({
      name: entry.kind === 'dir' ? `${entry.path}/` : entry.path,
      type: tarStreamTypes[entry.kind] ?? entry.kind,
      uid: entry.uid,
      mode: entry.mode,
      size: entry.kind === 'file' ? entry.size : 0,
      link: entry.kind === 'symlink' ? entry.target : entry.kind === 'hardlink' ? entry.leader : '',
    }))
    const byName = (a: Seen, b: Seen): number => (a.name < b.name ? -1 : 1)
    assert.deepEqual(seen.toSorted(byName), expected.sort(byName))
  })
})

test('busybox tar unpacks the contents', { ...needs('busybox'), ...needsRoot() }, async () => {
  await withDist(
    { 'usr/bin/x': 'x', [`${part('p', 155)}/${part('n', 200)}`]: 'long', l: symlink('usr') },
    async ({ dist, manifest, folder }) => {
      mkdirSync(join(folder, 'out'))
      quietly('busybox', ['tar', '-xpf', dist, '-C', join(folder, 'out')], 'C')
      const found = await scanTree(hostDisk(join(folder, 'out')))
      assert.deepEqual(
        diffManifests(manifest, found).filter(({ aspects }) => aspects.some((aspect) => aspect !== 'mtime')),
        [],
      )
    },
  )
})

/** As POSIX writes it, -1.75 is a quarter after -2; libarchive takes the fraction for one after -1. */
test('GNU tar restores times before 1970 with a fraction', all, async () => {
  await withDist({ '.': dir(), old: file('x', { mtime: { sec: -2, nsec: 250_000_000 } }) }, async ({ dist, manifest, folder }) => {
    mkdirSync(join(folder, 'out'))
    quietly('tar', ['--warning=no-timestamp', '-xpf', dist, '-C', join(folder, 'out')], 'C')
    assert.deepEqual(diffManifests(manifest, await scanTree(hostDisk(join(folder, 'out')))), [])
    quietly('bsdtar', ['-tvf', dist], 'C')
  })
})

test('BSD flags are restored by bsdtar; GNU tar says that it does not know them', all, async () => {
  await withDist({ f: 'x' }, async ({ dist, manifest, folder }) => {
    const flagged = manifest.entries.map((entry) => (entry.path === 'f' ? { ...entry, flags: ['schg', 'uchg'] } : entry))
    await writeFileAtomically(
      dist,
      writeDist(name, { entries: flagged }, () => hostDisk(join(folder, 'root')).read('f' as never)),
    )
    quietly('bsdtar', ['-tvf', dist], 'C')
    const { status, stderr } = spawnSync('tar', ['-tf', dist], { encoding: 'latin1' })
    assert.deepEqual([status, stderr], [0, "tar: Ignoring unknown extended header keyword 'SCHILY.fflags'\n"])
  })
})
