import assert from 'node:assert/strict'
import { appendFileSync, chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { needs, needsRoot } from './helpers/programs.ts'
import { folderInMemory } from './helpers/temporary.ts'
import { testsByDay } from './helpers/whole-suite.ts'
import { fileSystems, needsDisks, unmountAll } from './torture/file-systems.ts'
import { tortureFlips } from './torture/flips.ts'
import { look, mixtureFaults, wholeFaults } from './torture/judge.ts'
import { errorPoints, killPoints, makePlace } from './torture/machines.ts'
import { findMutant, powerPoints, record } from './torture/power.ts'
import { scenarios } from './torture/scenarios.ts'
import { copyFolder } from './torture/site.ts'
import { failAt } from './torture/strace.ts'
import type { FileSystem } from './torture/file-systems.ts'
import type { Machine } from './torture/judge.ts'
import type { Point } from './torture/machines.ts'
import type { Place, Scenario } from './torture/scenarios.ts'
import type { Run } from './torture/strace.ts'

/** A few points of `make torture`, other ones each day, and that its judge sees what is wrong. */

const today = Math.floor(Date.now() / 86_400_000)
const work = folderInMemory('bindery-torture-test-')
after(() => rmSync(work, { recursive: true, force: true }))
const options = { ...needs('strace', 'mtree', 'getfattr', 'setfattr', 'dash', 'ldd'), ...needsRoot() }

describe('torture', options, () => {
  let place: Place
  before(async () => {
    place = await makePlace(work)
  })

  const install = scenarios.find(({ name }) => name === 'install') as Scenario
  const another = scenarios.filter(({ name }) => name !== 'install' && name !== 'bundle')[today % (scenarios.length - 2)] as Scenario

  test('install, killed at two of its calls, leaves the old or the new', async () => {
    await tryOf(await killPoints(install, place), 2)
  })

  test(`${another.name}, of which a call fails, says why and leaves the old or the new`, async () => {
    await tryOf(await errorPoints(another, place), 1)
  })

  describe(
    'on disks that lose their power',
    { ...needs('nbdkit', 'nbdfuse', 'mkfs.ext4', 'mkfs.xfs', 'mkfs.btrfs'), ...needsDisks() },
    () => {
      after(unmountAll)
      const system = fileSystems[today % fileSystems.length] as FileSystem
      const others = scenarios.filter(({ name }) => ['rollback', 'recover', 'undo', 'publish', 'prune'].includes(name))
      const cut = others[today % others.length] as Scenario
      const byDay = testsByDay()

      byDay(`install on ${system.name} leaves the old or the new`, async () => {
        await tryOf(powerPoints(await record(system, install, place), 40), 3)
      })

      byDay(`${cut.name} on ${system.name} leaves the old or the new`, async () => {
        await tryOf(powerPoints(await record(system, cut, place), 40), 3)
      })

      byDay('a client that syncs nothing is found out', async () => {
        const { fault } = await findMutant(place, 60)
        assert.match(fault ?? 'it lost nothing', /neither old nor new|exit status|instead of/)
      })
    },
  )

  test('who writes what was interrupted once more is interrupted once', async () => {
    const file = join(work, 'written.tar')
    const run: Run = { command: ['tar', '-cf', file, '-C', work, 'tools'], env: process.env, place: work }
    const { status, failed } = await failAt(run, { kind: 'write', inThread: 1, file, inFile: 'each' }, 'EINTR', join(work, 'trace'))
    assert.deepEqual([status, failed.length], [0, 1])
  })

  test('bits are flipped in a folder of their own, beside what has been tortured before', async () => {
    const rows = await tortureFlips({ work, only: ['repository'], count: 1, seed: today, tell: () => {} })
    assert.deepEqual(
      rows.map(({ tried, bad }) => [tried, bad]),
      [[1, 0]],
    )
  })

  test('a byte, a mode, a name, a rest in the state: the judge finds each of them', async () => {
    const [old, next] = [await look(join(work, 'fetched')), await look(join(work, 'installed'))]
    const faultsAfter = async (change: (root: string) => void): Promise<readonly string[]> => {
      copyFolder(work, 'fetched', place.root)
      change(place.root)
      const seen: Machine = await look(place.root)
      return [...mixtureFaults(seen, { before: old, after: next }), ...wholeFaults(seen, old)]
    }
    assert.deepEqual(await faultsAfter(() => {}), [])
    const found = await faultsAfter((root) => {
      appendFileSync(join(root, 'bin/sh'), 'x')
      rmSync(join(root, 'bin/same'))
      writeFileSync(join(root, 'bin/half'), '')
      chmodSync(join(root, 'bin/ash'), 0o777)
      mkdirSync(join(root, 'var/db/bindery/stage/7'))
    })
    const named = ['./bin/ash: ', './bin/bsh: ', './bin/half: ', './bin/same: ', './bin/sh: ']
    for (const name of named) assert.equal(found.filter((fault) => fault.startsWith(name)).length, 2, name)
    assert.ok(found.includes('left in the state: stage/7'))
  })
})

/** One that is not reached gives its turn to the next. */
async function tryOf(points: readonly Point[], count: number): Promise<void> {
  let tried = 0
  for (let i = 0; tried < count && i < count + 8; i++) {
    const { name, faults } = points[(today * 37 + i * Math.ceil(points.length * 0.618)) % points.length] as Point
    const found = await faults()
    if (found === undefined) continue
    assert.deepEqual(found, [], name)
    tried++
  }
  assert.equal(tried, count, 'no point was reached')
}
