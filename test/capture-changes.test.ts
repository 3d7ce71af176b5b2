import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isBinderyError } from '../src/base/error.ts'
import { applyChanges } from '../src/engine/capture/apply.ts'
import { changedPart, changesOf } from '../src/engine/capture/changes.ts'
import { reviewOf } from '../src/engine/capture/review.ts'
import { scanTree } from '../src/engine/tree/scan.ts'
import { decodeManifest, encodeManifest } from '../src/format/manifest.ts'
import { memoryDisk } from '../src/host/memory-disk.ts'
import { arbitraryManifest } from './helpers/arbitrary-manifest.ts'
import { dir, file, hardlink, plant, symlink } from './helpers/plant.ts'
import type { Manifest } from '../src/base/entry.ts'
import type { Sides } from '../src/engine/capture/changes.ts'
import type { Literal } from './helpers/plant.ts'

async function manifestOf(literal: Literal): Promise<Manifest> {
  const disk = memoryDisk()
  await plant(disk, literal)
  return await scanTree(disk)
}

async function sidesOf(old: Literal, next: Literal): Promise<Sides> {
  return changedPart({ old: await manifestOf(old), new: await manifestOf(next) })
}

const lines = (sides: Sides): string[] => changesOf(sides).map(({ path, kind, aspects }) => [path, kind, ...aspects].join(' '))

const later = { sec: 1_700_000_000, nsec: 5 }

test('what was only touched, or written anew with the same bytes, has not changed', async () => {
  const sides = await sidesOf({ 'bin/a': 'same', 'bin/b': 'old' }, { 'bin/a': file('same', { mtime: later }), 'bin/b': 'new' })
  assert.deepEqual(lines(sides), ['bin/b changed content'])
  assert.deepEqual(
    sides.new.entries.map(({ path }) => path),
    ['.', 'bin', 'bin/b'],
  )
})

test('a directory on the way stands in both as it was before', async () => {
  const sides = await sidesOf({ bin: dir(), 'bin/a': 'x' }, { bin: dir({ mtime: later }), 'bin/a': 'y' })
  assert.deepEqual(sides.new.entries[1], sides.old.entries[1])
})

test('a directory that changed itself has its new time', async () => {
  const sides = await sidesOf({ bin: dir() }, { bin: dir({ mode: 0o700, mtime: later }) })
  assert.deepEqual(lines(sides), ['bin changed mode mtime'])
  assert.deepEqual(sides.new.entries[1]?.mtime, later)
})

test('a new name of a file brings the file along', async () => {
  const sides = await sidesOf({ a: 'x', c: hardlink('a') }, { a: file('x', { mtime: later }), b: hardlink('a'), c: hardlink('a') })
  assert.deepEqual(lines(sides), ['b added'])
  assert.deepEqual(
    sides.new.entries.map(({ path }) => path),
    ['.', 'a', 'b'],
  )
  assert.doesNotThrow(() => encodeManifest(sides.new))
})

test('a directory becomes a link, and a link a directory', async () => {
  const real = { 'lib/x': 'x' }
  const link = { lib: symlink('usr/lib') }
  assert.deepEqual(lines(await sidesOf(real, link)), ['lib changed kind mode', 'lib/x removed'])
  assert.deepEqual(lines(await sidesOf(link, real)), ['lib changed kind mode', 'lib/x added'])
})

test('review: each change is in one of four lists', async () => {
  const { added, removed, more, contents } = reviewOf(
    changesOf(
      await sidesOf(
        { a: 'x', b: 'x', c: 'x', d: 'x', l: symlink('a') },
        { a: 'y', b: file('y', { mode: 0o600 }), d: 'x', e: 'x', l: symlink('b') },
      ),
    ),
  )
  const paths = (changes: typeof added): string[] => changes.map(({ path }) => path)
  assert.deepEqual([added, removed, more, contents].map(paths), [['e'], ['c'], ['b'], ['a', 'l']])
})

test('the smallest part of two trees says as much as the whole, and is a manifest on each side', () => {
  fc.assert(
    fc.property(arbitraryManifest, arbitraryManifest, (old, next) => {
      const sides = changedPart({ old, new: next })
      assert.deepEqual(changesOf(sides), changesOf({ old, new: next }))
      for (const side of [sides.old, sides.new]) assert.deepEqual(decodeManifest(encodeManifest(side)), side)
      assert.deepEqual(changedPart(sides), sides)
    }),
    { numRuns: 300 },
  )
})

const bare = (manifest: Manifest): unknown => manifest.entries.map((entry) => ({ ...entry, mtime: undefined }))

test('the changes, made in the old tree, give the new one, but for times that are no change', () => {
  fc.assert(
    fc.property(arbitraryManifest, arbitraryManifest, (old, next) => {
      const made = applyChanges(old, changedPart({ old, new: next }))
      assert.deepEqual(changesOf({ old: made, new: next }), [])
      assert.doesNotThrow(() => encodeManifest(made))
    }),
    { numRuns: 300 },
  )
})

test('another base is refused, with the path that tells', async () => {
  const sides = await sidesOf({ a: 'x', d: dir(), 'd/f': 'x' }, { a: 'y', n: 'x' })
  const refused = async (base: Literal, subject: string): Promise<void> => {
    const manifest = await manifestOf(base)
    assert.throws(
      () => applyChanges(manifest, sides),
      (error) => isBinderyError(error, 'wrong-base') && error.subject === subject,
    )
  }
  await refused({ a: 'z', 'd/f': 'x' }, 'a')
  await refused({ a: file('x', { mode: 0o600 }), 'd/f': 'x' }, 'a')
  await refused({ a: 'x' }, 'd')
  await refused({ a: 'x', 'd/f': 'x', n: 'x' }, 'n')
  await refused({ a: 'x', 'd/f': 'x', 'd/other': 'x' }, 'd/other')
  const other = await manifestOf({ a: file('x', { mtime: later }), 'd/f': 'x', z: 'z' })
  assert.deepEqual(bare(applyChanges(other, sides)), bare(await manifestOf({ a: 'y', n: 'x', z: 'z' })))
})
