import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { oneChunk, utf8 } from '../src/base/bytes.ts'
import { isBinderyError } from '../src/base/error.ts'
import { markVerified } from '../src/base/verified.ts'
import { rollback } from '../src/engine/client/apply/rollback.ts'
import { encodeEnrolled } from '../src/format/enrolled.ts'
import { defaultConfig } from '../src/format/conf.ts'
import { memoryDisk } from '../src/host/memory-disk.ts'
import { arbitraryTree } from './helpers/arbitrary-tree.ts'
import { incoming, install, leftovers, machine, picture, release, text } from './helpers/client-world.ts'
import { dir, hardlink, plant, relPath, symlink } from './helpers/plant.ts'
import { compress } from '../src/engine/dist/wire.ts'
import { collectBytes } from '../src/base/bytes.ts'
import { sha256 } from '../src/base/digest.ts'
import { encodeManifest } from '../src/format/manifest.ts'
import { encodeReleaseState } from '../src/format/release-state.ts'
import { cases } from './helpers/whole-suite.ts'
import { recovery } from './helpers/recovery.ts'
import type { RelPath } from '../src/base/path.ts'
import type { Entry } from '../src/base/entry.ts'
import type { ObsoleteItem, ObsoleteList } from '../src/format/obsolete.ts'
import type { Disk } from '../src/port/disk.ts'
import type { Done } from '../src/engine/client/apply/transaction.ts'
import type { Release } from './helpers/client-world.ts'
import type { Literal } from './helpers/plant.ts'

const stateFile = 'var/db/bindery/channel/base-amd64/obsolete'
const clock = { now: () => 1_700_000_100_000 }

/** All that these releases had: more than a repository lists with the next one, since that is among it. */
function listFor(...former: readonly Release[]): ObsoleteList {
  const items = former.flatMap(({ manifest }, i) => {
    const at = new Map(manifest.entries.map((entry) => [entry.path, entry]))
    return manifest.entries.flatMap((entry): readonly ObsoleteItem[] => {
      const content = entry.kind === 'hardlink' ? (at.get(entry.leader) as Entry) : entry
      if (content.kind !== 'file' && content.kind !== 'symlink' && content.kind !== 'dir') return []
      return [{ ...content, path: entry.path, last: i + 1 }]
    })
  })
  return { through: former.length + 1, items }
}

async function update(disk: Disk, old: Release, next: Release, list?: ObsoleteList): Promise<Done> {
  const obsolete = list === undefined ? {} : { obsolete: markVerified(list) }
  return await install(disk, old, next, { incoming: incoming(old, next, obsolete) })
}

async function back(disk: Disk): Promise<void> {
  await rollback({ disk, goal: { kind: 'steps', count: 1 }, config: defaultConfig, recovery, clock })
}

async function paths(disk: Disk): Promise<readonly string[]> {
  return (await picture(disk)).split('\n').flatMap((line) => /^(\S+) has [0-9]+ links$/.exec(line)?.[1] ?? [])
}

test('a machine that was not there when files were removed loses them all the same', async () => {
  const first: Literal = {
    'bin/sh': 'sh 1',
    'bin/uucp': 'uucp',
    'bin/cu': symlink('uucp'),
    'share/uucp/doc': 'doc',
    'share/uucp/mine': 'theirs',
  }
  const [a, b, c] = [await release('1.0', first), await release('1.1', { 'bin/sh': 'sh 2' }), await release('1.2', { 'bin/sh': 'sh 3' })]
  const disk = await machine(memoryDisk(), { ...first, 'bin/sh': 'sh 2' })
  const before = await picture(disk)
  const done = await update(disk, b, c, listFor(a, b))
  assert.deepEqual([done.kept, await picture(disk)], [[], await picture(c.disk)])
  assert.equal(await text(disk, stateFile), 'bindery-obsolete 1\nthrough 3\n')
  await back(disk)
  assert.equal(await picture(disk), before)
  assert.equal(await disk.lstat(relPath(stateFile)), undefined)
  assert.deepEqual(await leftovers(disk), [])
})

test('what was made or changed here is never taken for an old release’s, and nothing is said of it', async () => {
  const [a, b, c] = [
    await release('1.0', { 'bin/uucp': 'uucp', 'etc/uucp': 'conf', 'share/uucp/doc': 'doc', 'share/news': symlink('x'), 'lib/odd': dir() }),
    await release('1.1', { 'bin/sh': '2' }),
    await release('1.2', { 'bin/sh': '3' }),
  ]
  const local: Literal = {
    'bin/uucp': 'puuc',
    'etc/uucp': symlink('conf'),
    'share/uucp/doc': 'doc',
    'share/uucp/mine': 'mine',
    'share/news': symlink('y'),
    'lib/odd': 'file',
  }
  const disk = await machine(memoryDisk(), { 'bin/sh': '2', ...local })
  const done = await update(disk, b, c, listFor(a, b))
  assert.deepEqual(done.kept, [])
  assert.deepEqual(await paths(disk), ['bin/sh', 'bin/uucp', 'etc/uucp', 'lib/odd', 'share/news', 'share/uucp/mine'])
})

test('a release that was skipped is no reason to keep what it removed', async () => {
  const steps: readonly Literal[] = [
    { 'bin/a': '1', 'bin/b': '1', 'x/y/z': '1' },
    { 'bin/b': '1', 'x/y/z': '1' },
    { 'bin/b': '2' },
    { 'bin/c': '1' },
  ]
  const releases = await Promise.all(steps.map(async (tree, i) => await release(`1.${i}`, tree)))
  const [first, last] = [releases[0] as Release, releases[3] as Release]
  const disk = await machine(memoryDisk(), steps[0] as Literal)
  assert.deepEqual((await update(disk, first, last)).kept, [])
  assert.equal(await picture(disk), await picture(last.disk))
  await back(disk)
  assert.equal(await picture(disk), await picture(first.disk))
})

test('what comes again is judged by what is there: left over, made here, or the new one already', async () => {
  const [a, b, c] = [
    await release('1.0', { 'bin/again': '1', 'bin/sh': '1', 'lib/x': symlink('y') }),
    await release('1.1', { 'bin/sh': '2' }),
    await release('1.2', { 'bin/again': '3', 'bin/sh': '3', 'lib/x': dir(), 'lib/x/f': 'in' }),
  ]
  for (const [there, wanted, kept] of [
    ['1', '3', []],
    ['3', '3', []],
    ['mine', 'mine', [{ path: 'bin/again', reason: 'in-the-way', beside: 'bin/again.new' }]],
  ] as const) {
    const disk = await machine(memoryDisk(), { 'bin/sh': '2', 'bin/again': there, 'lib/x': symlink('y') })
    const before = await picture(disk)
    const done = await update(disk, b, c, listFor(a, b))
    assert.deepEqual([done.kept, await text(disk, 'bin/again'), await text(disk, 'lib/x/f')], [kept, wanted, 'in'])
    await back(disk)
    assert.equal(await picture(disk), before)
  }
  const skipping = await machine(memoryDisk(), { 'bin/again': '1', 'bin/sh': '1', 'lib/x': symlink('y') })
  assert.deepEqual([(await update(skipping, a, c)).kept, await picture(skipping)], [[], await picture(c.disk)])
})

test('an old file goes by its own name alone, whatever other names it has here', async () => {
  const [a, b, c] = [
    await release('1.0', { 'bin/uucp': 'uucp' }),
    await release('1.1', { 'bin/sh': '2' }),
    await release('1.2', { 'bin/sh': '3' }),
  ]
  const disk = await machine(memoryDisk(), { 'bin/sh': '2', 'bin/mine': 'uucp', 'bin/uucp': hardlink('bin/mine') })
  const before = await picture(disk)
  await update(disk, b, c, listFor(a, b))
  assert.deepEqual([await paths(disk), await text(disk, 'bin/mine')], [['bin/mine', 'bin/sh'], 'uucp'])
  await back(disk)
  assert.equal(await picture(disk), before)
})

test('what another channel has is not removed by the one that had it before', async () => {
  const [a, b, c] = [
    await release('1.0', { 'bin/cc': 'cc', 'bin/ld': 'ld' }),
    await release('1.1', { 'bin/ld': 'ld' }),
    await release('1.2', { 'bin/sh': '' }),
  ]
  const comp = await release('1.0', { 'bin/cc': 'cc', 'bin/ld': 'ld' })
  const disk = await machine(memoryDisk(), { 'bin/cc': 'cc', 'bin/ld': 'ld' })
  await enrollBeside(disk, comp)
  await update(disk, b, c, listFor(a, b))
  assert.deepEqual(await paths(disk), ['bin/cc', 'bin/ld', 'bin/sh'])
})

async function enrollBeside(disk: Disk, { manifest }: Release): Promise<void> {
  const folder = 'var/db/bindery/channel/comp-amd64'
  const packed = (await collectBytes(compress(oneChunk(encodeManifest(manifest)), 'zstd'), Infinity)) as Uint8Array
  const enrolled = (product: string): Parameters<typeof encodeEnrolled>[0][number] => ({
    channel: { product, arch: 'amd64' },
    repository: '0'.repeat(16),
    basis: 'installed',
    urls: ['http://updates.test/'],
  })
  const nothing = { sha256: sha256(utf8('')), size: 0 }
  const state = {
    name: { product: 'comp', revision: '1.0', date: '20260101', arch: 'amd64' },
    sequence: 1,
    tar: nothing,
    manifest: { sha256: sha256(packed), size: packed.length },
  }
  await disk.mkdir(relPath(folder), 0o755)
  await disk.create(relPath(`${folder}/manifest.mtree.zst`), oneChunk(packed))
  await disk.create(relPath(`${folder}/release`), oneChunk(encodeReleaseState(state)))
  await disk.create(relPath('var/db/bindery/enrolled'), oneChunk(encodeEnrolled([enrolled('base'), enrolled('comp')])))
}

test('whatever the releases were, nothing of theirs is left but what is in the newest, and a rollback is exact', async () => {
  const tree = arbitraryTree({ hardlinks: false })
  await fc.assert(
    fc.asyncProperty(fc.array(tree, { minLength: 2, maxLength: 4 }), tree, fc.nat(3), async (trees, local, at) => {
      const releases = await Promise.all(trees.map(async (literal, i) => await release(`1.${i}`, literal)))
      const [old, next] = [releases[Math.min(at, releases.length - 2)] as Release, releases.at(-1) as Release]
      const disk = await machine(memoryDisk(), { ...trees[releases.indexOf(old)] })
      await plantBeside(disk, [...trees.slice(0, -1), local])
      const before = await picture(disk)
      const list = listFor(...releases.slice(0, -1))
      const done = await update(disk, old, next, list).catch((error: unknown) => error)
      if (isBinderyError(done, 'conflict')) return assert.equal(await picture(disk), before)
      assert.ok(!(done instanceof Error), String(done))
      const isOwn = (path: RelPath): boolean => next.manifest.entries.some((entry) => entry.path === path)
      for (const { path, ...was } of list.items) {
        const stat = await disk.lstat(path).catch(() => undefined)
        if (stat?.kind !== was.kind || isOwn(path) || (done as Done).kept.some((one) => one.path === path)) continue
        if (was.kind === 'file') assert.notEqual((await disk.digest(path)).sha256, was.sha256, path)
        if (was.kind === 'symlink') assert.notEqual(await disk.readlink(path), was.target, path)
        if (was.kind === 'dir') assert.notDeepEqual(await disk.readdir(path), [], path)
      }
      await back(disk)
      assert.equal(await picture(disk), before)
      assert.deepEqual(await leftovers(disk), [])
    }),
    { numRuns: cases(150) },
  )
})

/** What fits beside what is there, of each tree. */
async function plantBeside(disk: Disk, trees: readonly Literal[]): Promise<void> {
  for (const tree of trees) {
    for (const [path, one] of Object.entries(tree).sort(([a], [b]) => (a < b ? -1 : 1))) {
      const there = await disk.lstat(relPath(path)).catch(() => 'blocked')
      const parent = path.includes('/') ? await disk.lstat(relPath(path.replace(/\/[^/]*$/, ''))).catch(() => undefined) : { kind: 'dir' }
      if (there === undefined && parent?.kind === 'dir') await plant(disk, { [path]: one })
    }
  }
}
