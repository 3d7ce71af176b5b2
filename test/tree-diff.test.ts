import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { comparePaths } from '../src/base/path.ts'
import { aspects, diffManifests, sameContent, sameMeta } from '../src/engine/tree/diff.ts'
import { scanTree } from '../src/engine/tree/scan.ts'
import { memoryDisk } from '../src/host/memory-disk.ts'
import { arbitraryManifest } from './helpers/arbitrary-manifest.ts'
import { char, dir, fifo, file, hardlink, plant, symlink } from './helpers/plant.ts'
import type { Entry, Manifest } from '../src/base/entry.ts'
import type { Literal, Plant } from './helpers/plant.ts'

async function manifestOf(literal: Literal): Promise<Manifest> {
  const disk = memoryDisk()
  await plant(disk, literal)
  return await scanTree(disk)
}

/** The aspects of `f` when it turns from one thing into another. */
async function change(old: Plant, next: Plant): Promise<readonly string[]> {
  const found = diffManifests(await manifestOf({ f: old, leader: 'x' }), await manifestOf({ f: next, leader: 'x' }))
  return found.flatMap((difference) => difference.aspects)
}

test('each aspect by itself', async () => {
  const later = { sec: 1_600_000_000, nsec: 1 }
  assert.deepEqual(await change(file('a'), file('a')), [])
  assert.deepEqual(await change(file('a'), file('b')), ['content'])
  assert.deepEqual(await change(file('a'), file('a', { mtime: later })), ['mtime'])
  assert.deepEqual(await change(file('a'), file('a', { mode: 0o4644 })), ['mode'])
  assert.deepEqual(await change(file('a'), file('a', { gid: 5 })), ['owner'])
  assert.deepEqual(await change(file('a'), file('a', { xattrs: new Map([['user.a', '']]) })), ['xattrs'])
  assert.deepEqual(await change(symlink('a'), symlink('b')), ['target'])
  assert.deepEqual(await change(char(1, 3), char(1, 5)), ['device'])
  assert.deepEqual(await change(fifo(), file('')), ['kind'])
  assert.deepEqual(await change(dir(), symlink('leader')), ['kind', 'mode'])
})

test('hard links: the group is an aspect, the content is its leader’s', async () => {
  const group = await manifestOf({ a: 'x', b: hardlink('a'), c: hardlink('a') })
  const changes = async (literal: Literal): Promise<string[]> =>
    diffManifests(group, await manifestOf(literal)).map(({ path, kind, aspects: found }) => [path, kind, ...found].join(' '))
  assert.deepEqual(await changes({ a: 'x', b: hardlink('a'), c: hardlink('a') }), [])
  assert.deepEqual(await changes({ a: 'y', b: hardlink('a'), c: hardlink('a') }), [
    'a changed content',
    'b changed content',
    'c changed content',
  ])
  assert.deepEqual(await changes({ a: 'x', b: hardlink('a'), c: 'x' }), ['c changed links'])
  assert.deepEqual(await changes({ b: 'x', c: hardlink('b') }), ['a removed', 'b changed links', 'c changed links'])
})

test('names of owners alone are no difference', async () => {
  const named = await manifestOf({ 'etc/passwd': file('root:*:0:0::/:/bin/sh\n'), f: 'x' })
  const renamed = { entries: named.entries.map((entry) => ({ ...entry, uname: 'toor' })) }
  assert.deepEqual(diffManifests(named, renamed), [])
})

test('the differences lead from the old manifest to the new, and back', () => {
  const bare = (entry: Entry): Entry => ({ ...entry, uname: '', gname: '' })
  fc.assert(
    fc.property(arbitraryManifest, arbitraryManifest, (old, next) => {
      assert.deepEqual(diffManifests(old, old), [])
      const differences = diffManifests(old, next)
      const result = new Map(old.entries.map((entry) => [entry.path, entry]))
      for (const difference of differences) {
        if (difference.new === undefined) result.delete(difference.path)
        else result.set(difference.path, difference.new)
      }
      const entries = [...result.values()].sort((a, b) => comparePaths(a.path, b.path))
      assert.deepEqual(entries.map(bare), next.entries.map(bare))
      const back = diffManifests(next, old)
      assert.deepEqual(
        back.map(({ path, aspects: found }) => [path, found.length]),
        differences.map(({ path, aspects: found }) => [path, found.length]),
      )
    }),
    { numRuns: 200 },
  )
})

test('what is the same in content and metadata has no aspect', () => {
  fc.assert(
    fc.property(arbitraryManifest, arbitraryManifest, (old, next) => {
      for (const { old: a, new: b, aspects: found } of diffManifests(old, next)) {
        if (a === undefined || b === undefined || a.kind === 'hardlink' || b.kind === 'hardlink') continue
        assert.equal(sameContent(a, b), !found.some((aspect) => ['kind', 'content', 'target', 'device'].includes(aspect)))
        assert.equal(sameMeta(a, b), !found.some((aspect) => ['mode', 'owner', 'mtime', 'flags', 'xattrs'].includes(aspect)))
        assert.deepEqual(
          found,
          aspects.filter((aspect) => found.includes(aspect)),
        )
      }
    }),
    { numRuns: 100 },
  )
})
