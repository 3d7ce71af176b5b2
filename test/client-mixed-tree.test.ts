import assert from 'node:assert/strict'
import { test } from 'node:test'
import { mixedTree } from '../src/engine/client/mixed-tree.ts'
import { memoryDisk } from '../src/host/memory-disk.ts'
import { scanTree } from '../src/engine/tree/scan.ts'
import { dir, hardlink, plant } from './helpers/plant.ts'
import type { Manifest } from '../src/base/entry.ts'
import type { Literal } from './helpers/plant.ts'

/** The old release with some paths of the new one: one tree, of which every name leads to one thing. */

async function treeOf(literal: Literal): Promise<Manifest> {
  const disk = memoryDisk()
  await plant(disk, literal)
  return await scanTree(disk)
}

/** Each path but the top, with where it comes from: both trees have another time for everything. */
async function mixed(old: Literal, next: Literal, covered: readonly string[]): Promise<readonly string[]> {
  const [before, after] = [await treeOf(old), await treeOf(next)]
  const isNew = new Set(after.entries)
  const { entries } = mixedTree(before, after, (path) => covered.includes(path))
  assert.deepEqual(
    entries.map(({ path }) => path),
    entries.map(({ path }) => path).toSorted(),
  )
  return entries.slice(1).map((entry) => `${entry.path}${isNew.has(entry) ? ' new' : ''}`)
}

for (const [what, old, next, covered, wanted] of [
  ['a file that changes', { a: '1', b: '1' }, { a: '2', b: '2' }, ['a'], ['a new', 'b']],
  ['a file that comes, others wait', { a: '1' }, { a: '1', b: '2', c: '2' }, ['b'], ['a', 'b new']],
  ['a file that goes stays', { a: '1', b: '1' }, { b: '2' }, ['a', 'b'], ['a', 'b new']],
  ['folders that are not there come with it', { a: '1' }, { 'd/e/f': '2', 'd/g': '2' }, ['d/e/f'], ['a', 'd new', 'd/e new', 'd/e/f new']],
  ['folders that are there stay as they are', { 'd/a': '1' }, { 'd/b': '2' }, ['d/b'], ['d', 'd/a', 'd/b new']],
  ['a folder where a file was', { d: '1' }, { 'd/a': '2' }, ['d/a'], ['d new', 'd/a new']],
  ['a file where a folder was, which goes with all in it', { 'd/a': '1', 'd/e/f': '1', da: '1' }, { d: '2' }, ['d'], ['d new', 'da']],
  ['a folder that stays one keeps what is in it', { 'd/a': '1' }, { d: dir() }, ['d'], ['d new', 'd/a']],
  [
    'all names of a file come with one of them',
    { a: '1', b: hardlink('a'), c: '1' },
    { a: '2', b: hardlink('a'), c: '2' },
    ['b'],
    ['a new', 'b new', 'c'],
  ],
  ['a name that joins the file brings the others', { a: '1', b: '1' }, { a: '2', b: hardlink('a') }, ['a'], ['a new', 'b new']],
  [
    'names that were the same file come too, and go where they are gone',
    { a: '1', b: hardlink('a'), c: hardlink('a') },
    { a: '2', b: '2' },
    ['a'],
    ['a new', 'b new'],
  ],
  ['by another name than its first', { a: '1', b: hardlink('a'), c: hardlink('a') }, { b: '2', c: '2' }, ['c'], ['b new', 'c new']],
] as const satisfies readonly (readonly [string, Literal, Literal, readonly string[], readonly string[]])[])
  test(`a mixed tree: ${what}`, async () => assert.deepEqual(await mixed(old, next, covered), wanted))
