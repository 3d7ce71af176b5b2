import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BinderyError } from '../src/base/error.ts'
import { readJournal, receiptPath } from '../src/engine/client/apply/receipts.ts'
import { recover } from '../src/engine/client/apply/recover.ts'
import { stateFolder, statePaths } from '../src/engine/client/state.ts'
import { encodeJournal } from '../src/format/journal.ts'
import { memoryDisk } from '../src/host/memory-disk.ts'
import { install, leftovers, machine, release, whole } from './helpers/client-world.ts'
import { callsOf } from './helpers/crash.ts'
import { Crash, faultyDisk } from './helpers/faulty-disk.ts'
import { plainJournal } from './helpers/plain-journal.ts'
import { dir, file, hardlink, plant } from './helpers/plant.ts'
import { recovery } from './helpers/recovery.ts'
import { refused } from './helpers/refused.ts'
import type { Recovered } from '../src/engine/client/apply/recover.ts'
import type { Journal } from '../src/format/journal.ts'
import type { Disk } from '../src/port/disk.ts'
import type { Literal } from './helpers/plant.ts'

/** What the next run finds of one that was killed, and what it makes of it. */

const options = { undo: false, keepReleases: 3, recovery }
const undo = { ...options, undo: true }

const journal = (transaction: number, more?: Partial<Journal>): Journal =>
  plainJournal({ transaction, releases: [{ role: 'base-amd64', old: `1.${transaction - 1}`, new: `1.${transaction}` }], ...more })

async function on(literal: Literal): Promise<Disk> {
  const disk = memoryDisk()
  const folders = [statePaths.stage, statePaths.store, statePaths.receipt, statePaths.steps, statePaths.log]
  await plant(disk, { ...Object.fromEntries(folders.map((path) => [path, dir()])), ...literal })
  return disk
}

/** A machine on which an install was killed at its first change, and what it was before. */
async function killed(): Promise<{ readonly disk: Disk; readonly before: string; readonly after: string }> {
  const [one, two]: readonly [Literal, Literal] = [
    { f: '1', g: '1' },
    { f: '2', g: '2' },
  ]
  const [old, next] = [await release('1.0', one), await release('1.1', two)]
  const finished = await machine(memoryDisk(), one)
  const calls = await callsOf(finished, async (disk) => await install(disk, old, next))
  const disk = await machine(memoryDisk(), one)
  const before = await whole(disk)
  const at = calls.findIndex((call) => call.startsWith(`rename ${statePaths.stage}/1/`)) + 1
  await assert.rejects(install(faultyDisk(disk, { kind: 'crash', at, when: 'after' }).disk, old, next), Crash)
  assert.notEqual(await whole(disk), before)
  return { disk, before, after: await whole(finished) }
}

test('where there is no state there is nothing to recover, and none is made', async () => {
  const disk = memoryDisk()
  const calls = await callsOf(disk, async (watched) => assert.deepEqual(await recover(watched, options), { kind: 'nothing' }))
  assert.deepEqual(calls, [])
  const unread: Disk = { ...disk, readdir: async () => assert.fail('looks into folders') }
  assert.deepEqual(await recover(unread, undo), { kind: 'nothing' })
})

test('without a journal what was being prepared goes, with what was half written', async () => {
  const half = [`${stateFolder}/journal.new`, `${statePaths.steps}/1.new`]
  const disk = await on({
    [`${statePaths.stage}/1/0`]: 'new',
    [`${statePaths.store}/1/0`]: 'old',
    ...Object.fromEntries(half.map((path) => [path, ''])),
  })
  assert.deepEqual(await recover(disk, options), { kind: 'nothing' })
  assert.deepEqual([await leftovers(disk), await disk.readdir(statePaths.steps)], [[], []])
})

test('what cannot be removed is a failure, but where steps are left that are more urgent', async () => {
  const stuck = (inner: Disk): Disk => ({
    ...inner,
    rmdir: async (path) => await Promise.reject(new BinderyError('io', 'is damaged', { subject: path })),
  })
  const literal: Literal = { [`${statePaths.stage}/1`]: dir() }
  assert.deepEqual(await refused(recover(stuck(await on(literal)), options)), ['io', `${statePaths.stage}/1`])
  const steps = { [`${statePaths.steps}/1`]: file(encodeJournal(journal(1, { reboot: [{ role: 'base-amd64', class: 'reboot' }] }))) }
  const receipt = { [receiptPath(1)]: file(encodeJournal(journal(1))) }
  assert.deepEqual(await recover(stuck(await on({ ...literal, ...steps, ...receipt })), options), { kind: 'nothing' })
  const disk = await on({ ...literal, ...steps, ...receipt })
  await recover(disk, options)
  assert.deepEqual(await disk.readdir(statePaths.stage), [])
})

test('a power cut that brings back the name of a journal that is a receipt: the name goes for good, and the receipt stays', async () => {
  const disk = await on({ [receiptPath(1)]: file(encodeJournal(journal(1))), [statePaths.journal]: hardlink(receiptPath(1)) })
  const calls = await callsOf(disk, async (watched) => assert.deepEqual(await recover(watched, undo), { kind: 'nothing' }))
  assert.deepEqual(calls, [`unlink ${statePaths.journal}`, `sync ${stateFolder}`])
  assert.deepEqual([await disk.lstat(statePaths.journal), await disk.readdir(statePaths.receipt)], [undefined, ['1']])
})

test('an install that was killed is finished, or undone; what was asked for is on the disk before anything goes back', async () => {
  const ways: readonly (readonly [typeof options, Recovered['kind'], Journal['direction']])[] = [
    [options, 'finished', 'forward'],
    [undo, 'undone', 'backward'],
  ]
  for (const [how, kind, direction] of ways) {
    const { disk, before, after } = await killed()
    // Killed again at the first rename of a file of the tree, it has decided.
    const again = faultyDisk(disk, { kind: 'none' })
    const dying: Disk = {
      ...again.disk,
      rename: async (from, to) => {
        if (!to.startsWith(stateFolder)) throw new Crash()
        await again.disk.rename(from, to)
      },
    }
    await assert.rejects(recover(dying, how), Crash)
    assert.equal((await readJournal(disk))?.direction, direction)
    assert.equal(again.calls.includes(`rename ${statePaths.journal}.new`), direction === 'backward')
    const done = await recover(disk, how)
    assert.equal(done.kind, kind)
    assert.equal(await whole(disk), kind === 'undone' ? before : after)
    assert.deepEqual([await leftovers(disk), await readJournal(disk)], [kind === 'undone' ? [] : ['store/1'], undefined])
    assert.deepEqual(await recover(disk, options), { kind: 'nothing' })
  }
})

test('one that goes back goes on going back, whatever is asked for, and its journal is not written again', async () => {
  for (const how of [options, undo]) {
    const backward = journal(1, { direction: 'backward' })
    const disk = await on({ [statePaths.journal]: file(encodeJournal(backward)), [`${statePaths.stage}/1`]: dir() })
    const calls = await callsOf(disk, async (watched) => {
      assert.deepEqual(await recover(watched, how), { kind: 'undone', receipt: backward, kept: [], unswept: undefined })
    })
    assert.deepEqual(calls, [`unlink ${statePaths.journal}`, `sync ${stateFolder}`, `rmdir ${statePaths.stage}/1`])
  }
})

test('as many installs are kept behind a recovery as behind any other run', async () => {
  for (const [keepReleases, receipts] of [
    [1, ['3']],
    [2, ['2', '3']],
    [3, ['1', '2', '3']],
  ] as const) {
    const disk = await on({
      [receiptPath(1)]: file(encodeJournal(journal(1))),
      [receiptPath(2)]: file(encodeJournal(journal(2))),
      [statePaths.journal]: file(encodeJournal(journal(3))),
      [`${statePaths.stage}/3`]: dir(),
    })
    assert.equal((await recover(disk, { ...options, keepReleases })).kind, 'finished')
    assert.deepEqual([...(await disk.readdir(statePaths.receipt))].sort(), receipts)
  }
})
