import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { utf8 } from '../../src/base/bytes.ts'
import { diskTrustStore } from '../../src/engine/client/fetch/trust-store.ts'
import { makeStateFolders, statePaths } from '../../src/engine/client/state.ts'
import { listReceipts, readReceiptHeads } from '../../src/engine/client/apply/receipts.ts'
import { recover } from '../../src/engine/client/apply/recover.ts'
import { rollback } from '../../src/engine/client/apply/rollback.ts'
import { defaultConfig } from '../../src/format/conf.ts'
import { memoryDisk } from '../../src/host/memory-disk.ts'
import { install, machine, release, text, whole } from '../helpers/client-world.ts'
import { assertOneOf } from '../helpers/crash.ts'
import { file } from '../helpers/plant.ts'
import { loggedDisk } from '../helpers/power-cut.ts'
import { newTree, oldTree } from '../helpers/two-releases.ts'
import { cases } from '../helpers/whole-suite.ts'
import { recovery } from '../helpers/recovery.ts'
import type { RelPath } from '../../src/base/path.ts'
import type { Disk } from '../../src/port/disk.ts'
import type { Literal } from '../helpers/plant.ts'
import type { LoggedDisk } from '../helpers/power-cut.ts'

/** The power fails, and what was not synced is lost in part: still the whole tree is old or new after the recovery. */

const dated = (sec: number): Literal => ({ 'share/dated': file('of this day', { mtime: { sec, nsec: 0 } }) })
const trees = { old: { ...oldTree, ...dated(1_500_000_000) }, new: { ...newTree, ...dated(1_600_000_000) } }
const clock = { now: () => 1_700_000_100_000 }

/** An install and its rollback: the log of both, where it is installed in it, and what the machine is before, between and after them. */
type Recorded = {
  readonly logged: LoggedDisk
  readonly installed: number
  readonly sides: { readonly old: string; readonly new: string; readonly back: string }
}

/** `isLost`: syncs that are not made. */
async function record(isLost: (path: RelPath) => boolean = () => false): Promise<Recorded> {
  const [from, to] = [await release('1.0', trees.old), await release('1.1', trees.new)]
  const start = await machine(memoryDisk(), trees.old)
  const old = await machineOn(start)
  const logged = loggedDisk(start)
  const disk: Disk = { ...logged.disk, sync: async (path) => void (isLost(path) || (await logged.disk.sync(path))) }
  await install(disk, from, to)
  const [installed, next] = [logged.length(), await machineOn(start)]
  await rollback({ disk, goal: { kind: 'steps', count: 1 }, config: defaultConfig, recovery, clock })
  return { logged, installed, sides: { old, new: next, back: await machineOn(start) } }
}

/** The tree, the channel, a journal, receipts, and what a rollback of the install would take from its store. */
async function machineOn(disk: Disk): Promise<string> {
  const store = `${statePaths.store}/1` as RelPath
  const isRunning = (await disk.lstat(statePaths.journal)) !== undefined
  const lines = [await whole(disk), `interrupted: ${isRunning}`, `receipts: ${(await listReceipts(disk)).join()}`]
  for (const name of (await disk.lstat(store)) === undefined ? [] : (await disk.readdir(store)).toSorted()) {
    const path = `${store}/${name}` as RelPath
    const kind = (await disk.lstat(path))?.kind
    lines.push(`${name} ${String(kind)} ${kind === 'file' ? await text(disk, path) : ''}`)
  }
  return lines.join('\n')
}

/** The power fails behind `count` changes. */
type Cut = { readonly count: number; readonly seed: number; readonly undo: boolean }

/** Asserts that the machine comes up with what it needs, and is whole; what is done stays done. */
async function assertWhole({ logged, installed, sides }: Recorded, { count, seed, undo }: Cut): Promise<void> {
  const disk = await machine(memoryDisk(), trees.old)
  await logged.cut(disk, count, luck(seed))
  if ((await disk.lstat(statePaths.journal)) !== undefined) assert.equal(await text(disk, statePaths.recover), '#!/bin/sh\n')
  const where = `cut behind ${count} of ${installed} and ${logged.length() - installed} changes, seed ${seed}`
  await assertSeen(disk, where)
  await recover(disk, { undo, keepReleases: 5, recovery })
  const { old: _old, back, ...done } = sides
  assertOneOf(await machineOn(disk), count === installed ? done : count === logged.length() ? { back } : sides, where)
}

/** The program beside the journal does not read receipts to find one that was taken back: a stage tells it that there is something to sweep. */
async function assertSeen(disk: Disk, where: string): Promise<void> {
  const [all, counted] = [await listReceipts(disk), await readReceiptHeads(disk)]
  if (all.length === counted.length || (await disk.lstat(statePaths.journal)) !== undefined) return
  assert.notDeepEqual(await disk.readdir(statePaths.stage), [], `${where}: receipts ${all.join()}, of which one is void, and nothing tells`)
}

/** Lost or lucky, by a given sequence of bits; 0 has no luck at all. */
function luck(seed: number): () => boolean {
  if (seed === 0) return () => false
  let state = seed | 1
  return () => {
    state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9
    return (state & 0x100) !== 0
  }
}

test('a power cut in an install or a rollback loses nothing that matters', async () => {
  const recorded = await record()
  const { installed, logged } = recorded
  for (const count of logged.syncs()) {
    await assertWhole(recorded, { count, seed: 0, undo: false })
    if (count !== installed && count !== logged.length()) await assertWhole(recorded, { count, seed: 0, undo: true })
  }
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 0, max: logged.length() }), fc.integer(), fc.boolean(), async (count, seed, undo) => {
      const isEnd = count === installed || count === logged.length()
      await assertWhole(recorded, { count, seed, undo: undo && !isEnd })
    }),
    { numRuns: cases(500) },
  )
})

/**
 * Clients that leave out syncs: each of them must lose something, or the tests above would not see a sync that is missing. The folder
 * above the state is not among them: its name was made durable when the machine was enrolled.
 */
const state = 'var/db/bindery'
const mutants: Readonly<Record<string, (path: string) => boolean>> = {
  'contents that come': (path) => /\/stage\/\d+\/\d+$/.test(path),
  'names in the stage': (path) => /\/stage\/\d+$/.test(path),
  'names in the store': (path) => /\/store\/\d+$/.test(path),
  "a transaction's stage": (path) => path === `${state}/stage`,
  "a transaction's store": (path) => path === `${state}/store`,
  'what the store has instead of a twin': (path) => path.endsWith('.half'),
  'the recovery program': (path) => path === `${state}/recover.new`,
  'the version of the state': (path) => path === `${state}/version.new`,
  'the journal': (path) => path === `${state}/journal.new`,
  'the name of the journal': (path) => path === state,
  'live folders': (path) => !path.startsWith(state) && !attributesOf.includes(path) && path !== 'share/dated',
  attributes: (path) => attributesOf.includes(path),
  'a time': (path) => path === 'share/dated',
  'the state of the channel': (path) => path.startsWith(`${state}/channel/`),
  'the name of the receipt': (path) => path === `${state}/receipt`,
}
const attributesOf = ['bin/su', 'usr/share/closed']

for (const [name, isLost] of Object.entries(mutants)) {
  test(`a client that does not sync ${name} is found out`, async () => {
    const recorded = await record(isLost)
    let found: unknown
    for (let i = 0; i < 120 && found === undefined; i++)
      found = await failureOf(async () => await assertWhole(recorded, cutOf(recorded, i)))
    assert.ok(found instanceof Error, 'it lost nothing')
  })
}

/** The ends first, without any luck; then all over the log. */
function cutOf({ installed, logged }: Recorded, i: number): Cut {
  if (i < 2) return { count: i === 0 ? installed : logged.length(), seed: 0, undo: false }
  return { count: Math.floor(((i * 0.618034) % 1) * logged.length()), seed: i * 7919, undo: i % 2 === 0 }
}

async function failureOf(work: () => Promise<unknown>): Promise<unknown> {
  try {
    await work()
    return undefined
  } catch (error) {
    return error
  }
}

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
