import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { utf8 } from '../../src/base/bytes.ts'
import { diskTrustStore } from '../../src/engine/client/fetch/trust-store.ts'
import { makeStateFolders } from '../../src/engine/client/state.ts'
import { recover } from '../../src/engine/client/apply/recover.ts'
import { rollback } from '../../src/engine/client/apply/rollback.ts'
import { defaultConfig } from '../../src/format/conf.ts'
import { memoryDisk } from '../../src/host/memory-disk.ts'
import { channelState, install, machine, picture, release } from '../helpers/client-world.ts'
import { assertOneOf } from '../helpers/crash.ts'
import { loggedDisk } from '../helpers/power-cut.ts'
import { newTree, oldTree } from '../helpers/two-releases.ts'
import { cases } from '../helpers/whole-suite.ts'
import { recovery } from '../helpers/recovery.ts'
import type { Disk } from '../../src/port/disk.ts'

/** The power fails, and what was not synced is lost in part: still the whole tree is old or new after the recovery. */

const clock = { now: () => 1_700_000_100_000 }

async function whole(disk: Disk): Promise<string> {
  return `${await picture(disk)}${JSON.stringify(await channelState(disk))}`
}

/** Lost or lucky, by a given sequence of bits. */
function luck(seed: number): () => boolean {
  let state = seed | 1
  return () => {
    state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9
    return (state & 0x100) !== 0
  }
}

test('a power cut in an install or a rollback loses nothing that matters', async () => {
  const [old, next] = [await release('1.0', oldTree), await release('1.1', newTree)]
  const start = await machine(memoryDisk(), oldTree)
  const before = await whole(start)
  const logged = loggedDisk(start)
  await install(logged.disk, old, next)
  const installed = logged.length()
  const after = await whole(start)
  await rollback({ disk: logged.disk, goal: { kind: 'steps', count: 1 }, config: defaultConfig, recovery, clock })
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 0, max: logged.length() }), fc.integer(), fc.boolean(), async (count, seed, undo) => {
      const disk = await machine(memoryDisk(), oldTree)
      await logged.cut(disk, count, luck(seed))
      await recover(disk, { undo, keepReleases: 5, recovery })
      assertOneOf(
        await whole(disk),
        { old: before, new: after },
        `cut behind ${count} of ${installed} and ${logged.length() - installed} changes, seed ${seed}`,
      )
    }),
    { numRuns: cases(500) },
  )
})

test('a power cut behind a saved trust file loses neither it nor its folder', async () => {
  const start = memoryDisk()
  await makeStateFolders(start)
  const logged = loggedDisk(start)
  await diskTrustStore(logged.disk, '0123456789abcdef').save('root.json', utf8('trusted'))
  const disk = memoryDisk()
  await makeStateFolders(disk)
  await logged.cut(disk, logged.length(), () => false)
  assert.deepEqual(await diskTrustStore(disk, '0123456789abcdef').load('root.json'), utf8('trusted'))
})
