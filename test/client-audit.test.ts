import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { oneChunk, utf8 } from '../src/base/bytes.ts'
import { isBinderyError } from '../src/base/error.ts'
import { audit, findExtras } from '../src/engine/client/apply/audit.ts'
import { neededFiles, planRepair, runRepair } from '../src/engine/client/apply/repair.ts'
import { rollback } from '../src/engine/client/apply/rollback.ts'
import { defaultConfig, pathPattern } from '../src/format/conf.ts'
import { memoryDisk } from '../src/host/memory-disk.ts'
import { applyEdit, arbitraryEdits, arbitraryTree } from './helpers/arbitrary-tree.ts'
import { install, machine, picture, release } from './helpers/client-world.ts'
import { dir, file, hardlink, symlink } from './helpers/plant.ts'
import { newTree, oldTree } from './helpers/two-releases.ts'
import { cases } from './helpers/whole-suite.ts'
import { recovery } from './helpers/recovery.ts'
import type { RelPath } from '../src/base/path.ts'
import type { Disk } from '../src/port/disk.ts'
import type { Release } from './helpers/client-world.ts'

const clock = { now: () => 1_700_000_100_000 }

async function repair(disk: Disk, next: Release): Promise<number> {
  const found = await audit({ disk, manifest: next.manifest, config: defaultConfig })
  const input = { disk, role: 'base-amd64', release: '1.1', config: defaultConfig, recovery, clock }
  const plan = await planRepair(input, found, found.findings)
  const files = neededFiles(plan, next.manifest)
  await runRepair(input, plan, files, ({ path }) => next.disk.read(path))
  return files.length
}

const tree = {
  'bin/sh': file('shell', { mode: 0o755 }),
  'bin/[': hardlink('bin/sh'),
  'etc/motd': 'welcome',
  'etc/localtime': symlink('UTC'),
  'usr/share': dir(),
}

test('a repair leaves a protected name of the file that it mends as it is', async () => {
  const planted = { 'bin/a': file('a'), 'bin/b': hardlink('bin/a') }
  const next = await release('1.0', planted)
  const disk = await machine(memoryDisk(), planted)
  const [a, b] = ['bin/a', 'bin/b'] as [RelPath, RelPath]
  await disk.chmod(a, 0o600)
  await disk.unlink(b)
  await disk.create(b, oneChunk(utf8('mine')))
  const config = { ...defaultConfig, protect: [pathPattern('/bin/b')] }
  const input = { disk, role: 'base-amd64', release: '1.0', config, recovery, clock }
  const found = await audit({ disk, manifest: next.manifest, config })
  const mendable = found.findings.filter(({ path }) => path !== b)
  const plan = await planRepair(input, found, mendable)
  await runRepair(input, plan, neededFiles(plan, next.manifest), ({ path }) => next.disk.read(path))
  assert.equal((await disk.lstat(a))?.mode, 0o644)
  assert.equal((await disk.lstat(b))?.size, 4)
})

test('an untouched tree has no findings', async () => {
  const next = await release('1.0', tree)
  const disk = await machine(memoryDisk(), tree)
  assert.deepEqual((await audit({ disk, manifest: next.manifest, config: defaultConfig })).findings, [])
})

test('every difference is named, in byte order', async () => {
  const next = await release('1.0', tree)
  const { 'etc/motd': _motd, ...rest } = tree
  const disk = await machine(memoryDisk(), {
    ...rest,
    'bin/[': file('shell', { mode: 0o755 }),
    'bin/sh': file('sh3ll', { mode: 0o4755, uid: 5 }),
    'etc/localtime': symlink('CET'),
    'usr/share': 'no folder',
    'usr/own': 'mine',
  })
  const { findings } = await audit({ disk, manifest: next.manifest, config: defaultConfig })
  assert.deepEqual(
    findings.map(({ path, kind, aspects }) => `${kind} ${path} ${aspects.join()}`.trim()),
    ['changed bin/sh content,links,mode,owner', 'changed etc/localtime target', 'missing etc/motd', 'changed usr/share kind'],
  )
  assert.deepEqual(
    (await findExtras(disk, [next.manifest], defaultConfig)).map(({ path }) => path),
    ['usr/own'],
  )
})

test('ignored paths are no findings', async () => {
  const next = await release('1.0', tree)
  const disk = await machine(memoryDisk(), { ...tree, 'etc/motd': 'mine' })
  assert.deepEqual(
    (await audit({ disk, manifest: next.manifest, config: { ...defaultConfig, ignore: [pathPattern('/etc')] } })).findings,
    [],
  )
})

test('what is not here of an optional component is no finding; what is here is compared', async () => {
  const next = await release('1.0', { ...tree, 'usr/games/rogue': 'a', 'usr/games/hack': 'b' })
  const disk = await machine(memoryDisk(), { ...tree, 'usr/games/rogue': 'mine' })
  const config = { ...defaultConfig, without: [pathPattern('/usr/games')] }
  const { findings } = await audit({ disk, manifest: next.manifest, config })
  assert.deepEqual(
    findings.map(({ path, kind }) => [path, kind]),
    [['usr/games/rogue', 'changed']],
  )
})

test('a repair fetches only what is needed, and mends', async () => {
  const next = await release('1.0', newTree)
  const disk = await machine(memoryDisk(), newTree)
  await disk.chmod('bin/su' as RelPath, 0o700)
  await disk.unlink('lib/libc.so' as RelPath)
  await disk.append('bin/test' as RelPath, oneChunk(utf8('changed')))
  assert.equal(await repair(disk, next), 1)
  assert.equal(await picture(disk), await picture(next.disk))
})

test('whatever was done to a tree, a repair mends all that it can reach', async () => {
  await fc.assert(
    fc.asyncProperty(arbitraryTree({ hardlinks: true }), arbitraryEdits, async (literal, edits) => {
      const next = await release('1.0', literal)
      const disk = await machine(memoryDisk(), literal)
      for (const edit of edits) await applyEdit(disk, edit)
      await repair(disk, next)
      const { findings } = await audit({ disk, manifest: next.manifest, config: defaultConfig })
      for (const { path, aspects } of findings) {
        // A folder stands where something else belongs, and holds files of others.
        assert.deepEqual(aspects, ['kind'], path)
        assert.equal((await disk.lstat(path))?.kind, 'dir', path)
      }
    }),
    { numRuns: cases(300) },
  )
})

test('a rollback after a repair goes to the release before, not to the damage', async () => {
  const [old, next] = [await release('1.0', oldTree), await release('1.1', newTree)]
  const disk = await machine(memoryDisk(), oldTree)
  await install(disk, old, next)
  await disk.append('bin/sh' as RelPath, oneChunk(utf8('damage')))
  await disk.append('bin/same' as RelPath, oneChunk(utf8('damage')))
  await repair(disk, next)
  await rollback({ disk, goal: { kind: 'steps', count: 1 }, config: defaultConfig, recovery, clock })
  assert.equal(await picture(disk), await picture(old.disk))
  await assert.rejects(rollback({ disk, goal: { kind: 'steps', count: 1 }, config: defaultConfig, recovery, clock }), (error) =>
    isBinderyError(error, 'not-found'),
  )
})
