import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isBinderyError } from '../src/base/error.ts'
import { changedPart, changesOf } from '../src/engine/capture/changes.ts'
import { partOfSet } from '../src/engine/capture/sets.ts'
import { scanTree } from '../src/engine/tree/scan.ts'
import { memoryDisk } from '../src/host/memory-disk.ts'
import { dir, plant } from './helpers/plant.ts'
import type { Manifest } from '../src/base/entry.ts'
import type { Literal } from './helpers/plant.ts'

async function manifestOf(literal: Literal): Promise<Manifest> {
  const disk = memoryDisk()
  await plant(disk, literal)
  return await scanTree(disk)
}

const base: Literal = { 'usr/bin/ls': 'ls', 'usr/bin/cp': 'cp', 'usr/lib/libc.so.1': 'c', 'usr/share/man/ls.1': 'man' }
const comp: Literal = { 'usr/bin/cc': 'cc', 'usr/include/stdio.h': 'h', 'usr/lib/libc.a': 'a' }

/** What goes to each of the two sets. */
async function divided(next: Literal, old: Literal = { ...base, ...comp }): Promise<readonly (readonly string[])[]> {
  const sides = changedPart({ old: await manifestOf(old), new: await manifestOf(next) })
  const [one, two] = [await manifestOf(base), await manifestOf(comp)]
  const paths = (own: Manifest, other: Manifest): string[] =>
    changesOf(partOfSet(sides, own, [other])).map(({ path, kind }) => `${kind} ${path}`)
  return [paths(one, two), paths(two, one)]
}

test('what was changed or removed goes to the set that has it', async () => {
  const next = { ...base, 'usr/bin/ls': 'ls 2', 'usr/bin/cc': 'cc 2', 'usr/lib/libc.a': 'a' }
  assert.deepEqual(await divided(next), [
    ['changed usr/bin/ls'],
    ['changed usr/bin/cc', 'removed usr/include', 'removed usr/include/stdio.h'],
  ])
})

test('what is new goes to the deepest directory, then to where most is', async () => {
  const added = { 'usr/include/new.h': 'h', 'usr/bin/new': 'n', 'usr/share/man/man3/new.3': 'm', 'opt/new': 'o' }
  assert.deepEqual(await divided({ ...base, ...comp, ...added }), [
    ['added opt', 'added opt/new', 'added usr/bin/new', 'added usr/share/man/man3', 'added usr/share/man/man3/new.3'],
    ['added usr/include/new.h'],
  ])
})

test('a directory of both sets changes in both', async () => {
  assert.deepEqual(await divided({ ...base, ...comp, 'usr/lib': dir({ mode: 0o700 }) }), [['changed usr/lib'], ['changed usr/lib']])
})

test('what changed and is in no set is told', async () => {
  await assert.rejects(
    divided({ ...base, ...comp, games: 'y' }, { ...base, ...comp, games: 'x' }),
    (error) => isBinderyError(error, 'wrong-base') && error.subject === 'games',
  )
})
