import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isBinderyError } from '../src/base/error.ts'
import { rollback } from '../src/engine/client/apply/rollback.ts'
import { defaultConfig } from '../src/format/conf.ts'
import { memoryDisk } from '../src/host/memory-disk.ts'
import { applyEdit, arbitraryEdits, arbitraryTree } from './helpers/arbitrary-tree.ts'
import { install, leftovers, machine, picture, release, text } from './helpers/client-world.ts'
import { dir } from './helpers/plant.ts'
import { cases } from './helpers/whole-suite.ts'
import { recovery } from './helpers/recovery.ts'
import type { RelPath } from '../src/base/path.ts'
import type { Disk } from '../src/port/disk.ts'

const clock = { now: () => 1_700_000_100_000 }
const back = async (disk: Disk, count = 1): Promise<unknown> =>
  await rollback({ disk, goal: { kind: 'steps', count }, config: defaultConfig, recovery, clock })
const anyTree = arbitraryTree({ hardlinks: true })

test('between any two trees, an install makes the new one, and a rollback the old one', async () => {
  await fc.assert(
    fc.asyncProperty(anyTree, anyTree, async (oldTree, newTree) => {
      const [old, next] = [await release('1.0', oldTree), await release('1.1', newTree)]
      const disk = await machine(memoryDisk(), oldTree)
      assert.deepEqual((await install(disk, old, next)).kept, [])
      assert.equal(await picture(disk), await picture(next.disk))
      const again = await install(disk, next, next)
      assert.deepEqual(
        again.receipt.actions.filter(({ path }) => !path.startsWith('var/')),
        [],
      )
      await back(disk)
      assert.equal(await picture(disk), await picture(next.disk))
      await back(disk)
      assert.equal(await picture(disk), await picture(old.disk))
      assert.deepEqual(await leftovers(disk), [])
    }),
    { numRuns: cases(400) },
  )
})

test('several releases are rolled back at once', async () => {
  await fc.assert(
    fc.asyncProperty(anyTree, anyTree, anyTree, async (first, second, third) => {
      const [a, b, c] = [await release('1.0', first), await release('1.1', second), await release('1.2', third)]
      const disk = await machine(memoryDisk(), first)
      await install(disk, a, b)
      await install(disk, b, c)
      await back(disk, 2)
      assert.equal(await picture(disk), await picture(a.disk))
      assert.deepEqual(await leftovers(disk), [])
    }),
    { numRuns: cases(300) },
  )
})

test('a tree that is spread over file systems is updated on each of them', async () => {
  const spread = arbitraryTree({ hardlinks: false, fixed: { a: dir(), b: dir() } })
  await fc.assert(
    fc.asyncProperty(spread, spread, async (oldTree, newTree) => {
      const [old, next] = [await release('1.0', oldTree), await release('1.1', newTree)]
      const disk = await machine(memoryDisk({ mounts: { a: {}, b: {}, var: {} } }), { ...oldTree })
      await install(disk, old, next)
      assert.equal(await picture(disk), await picture(next.disk))
      await back(disk)
      assert.equal(await picture(disk), await picture(old.disk))
      assert.deepEqual(await leftovers(disk, ['var/db/bindery', '.bindery', 'a/.bindery', 'b/.bindery']), [])
      for (const area of ['.bindery', 'a/.bindery', 'b/.bindery']) assert.equal(await disk.lstat(area as RelPath), undefined)
    }),
    { numRuns: cases(200) },
  )
})

test('what a user did is never lost, and a rollback brings back what was there before the install', async () => {
  await fc.assert(
    fc.asyncProperty(anyTree, anyTree, arbitraryEdits, async (oldTree, newTree, edits) => {
      const [old, next] = [await release('1.0', oldTree), await release('1.1', newTree)]
      const disk = await machine(memoryDisk(), oldTree)
      for (const edit of edits) await applyEdit(disk, edit)
      const before = await picture(disk)
      const written = await contentsOf(disk, 'user ')
      try {
        await install(disk, old, next)
      } catch (error) {
        assert.ok(isBinderyError(error, 'conflict'), String(error))
        assert.equal(await picture(disk), before)
        return
      }
      assert.deepEqual(await contentsOf(disk, 'user '), written)
      await back(disk)
      assert.equal(await picture(disk), before)
    }),
    { numRuns: cases(600) },
  )
})

test('what a user did after an install survives the rollback', async () => {
  await fc.assert(
    fc.asyncProperty(anyTree, anyTree, arbitraryEdits, async (oldTree, newTree, edits) => {
      const [old, next] = [await release('1.0', oldTree), await release('1.1', newTree)]
      const disk = await machine(memoryDisk(), oldTree)
      await install(disk, old, next)
      for (const edit of edits) await applyEdit(disk, edit)
      const written = await contentsOf(disk, 'user ')
      const before = await picture(disk)
      try {
        await back(disk)
      } catch (error) {
        assert.ok(isBinderyError(error, 'conflict'), String(error))
        assert.equal(await picture(disk), before)
        return
      }
      // A name that comes back may be one of a file that was changed through another name.
      const after = await contentsOf(disk, 'user ')
      for (const [path, content] of Object.entries(written)) assert.equal(after[path], content)
    }),
    { numRuns: cases(400) },
  )
})

async function contentsOf(disk: Disk, mark: string): Promise<Readonly<Record<string, string>>> {
  const found: Record<string, string> = {}
  const look = async (folder: string): Promise<void> => {
    for (const name of await disk.readdir((folder === '' ? '.' : folder) as RelPath)) {
      const path = `${folder}${folder === '' ? '' : '/'}${name}`
      const stat = await disk.lstat(path as RelPath)
      if (stat?.kind === 'dir' && path !== 'var') await look(path)
      if (stat?.kind === 'file' && (await text(disk, path)).includes(mark)) found[path] = await text(disk, path)
    }
  }
  await look('')
  return found
}
