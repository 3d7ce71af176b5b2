import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { decodeListing, encodeListing, shareAt } from '../src/format/listing.ts'
import { amend } from '../src/command/amend.ts'
import { bundle } from '../src/command/bundle.ts'
import { check } from '../src/command/check.ts'
import { draw } from '../src/engine/client/draw.ts'
import { fsck } from '../src/command/fsck.ts'
import { install } from '../src/command/install.ts'
import { publish } from '../src/command/publish.ts'
import { rollback } from '../src/command/rollback.ts'
import { sign } from '../src/command/sign.ts'
import { keysOf, openFleet } from './helpers/fleet.ts'
import type { Fleet, Machine } from './helpers/fleet.ts'
import type { Outcome } from './helpers/run-command.ts'

/** Releases that come to a part of the machines first, and releases that are taken back from all. */

let fleet: Fleet
let machines: readonly Machine[]
before(async () => {
  fleet = await openFleet()
  assert.equal((await fleet.release('1')).status, 0)
  machines = await Promise.all(
    Array.from({ length: 8 }, async (_, i) => await fleet.machine({ 'etc/machine-id': `${String(i).repeat(32)}\n` })),
  )
})
after(() => fleet.remove())

/** Which of the machines are offered this release. */
async function offered(revision: string): Promise<readonly boolean[]> {
  const seen = await Promise.all(machines.map(async (machine) => await machine.run(check)))
  return seen.map(({ stdout }) => stdout.includes(`-> base-${revision}-`))
}

const count = (all: readonly boolean[]): number => all.filter(Boolean).length
const good = async (...words: readonly string[]): Promise<void> => {
  const { status, error } = await fleet.run(amend, ...keysOf(fleet.at), ...words)
  assert.equal(status, 0, error?.message)
}

test('a release comes to some machines, then to more, at last to all, and never goes back from one', async () => {
  assert.equal((await fleet.release('2', '--rollout', '25/4d')).status, 0)
  let before = await offered('2')
  assert.ok(count(before) > 0 && count(before) < machines.length, `${count(before)}`)
  assert.deepEqual(await offered('2'), before)
  for (let i = 0; i < 4; i++) {
    fleet.clock.pass(1)
    const now = await offered('2')
    assert.ok(now.every((is, machine) => is || !before[machine]))
    before = now
  }
  assert.equal(count(before), machines.length)
})

test('a machine takes it before its turn where somebody says so', async () => {
  assert.equal((await fleet.release('3', '--rollout', '0')).status, 0)
  const [one, other, third] = machines as [Machine, Machine, Machine]
  assert.deepEqual([(await one.run(install)).status, one.version()], [0, '2'])
  assert.deepEqual([(await one.run(install, ['--now'])).status, one.version()], [0, '3'])
  assert.deepEqual([(await other.run(install, ['--to', '3'])).status, other.version()], [0, '3'])
  third.write('etc/bindery.conf', 'rollout no\n')
  assert.deepEqual([(await third.run(install)).status, third.version()], [0, '3'])
  await good('--rollout', '100', 'base-3-20260101-amd64')
  assert.equal(count(await offered('3')), machines.length - 3)
})

test('what mends a hole waits for nobody, and brings what is below it', async () => {
  assert.equal((await fleet.release('4', '--rollout', '0')).status, 0)
  assert.equal((await fleet.release('5', '--security')).status, 0)
  assert.equal(count(await offered('5')), machines.length)
  assert.equal((await fleet.release('6', '--security', '--rollout', '10')).code, 'usage')
})

test('a withdrawn release is offered to nobody, and told to who has it', async () => {
  const [one, other] = machines as [Machine, Machine]
  assert.equal((await one.run(install)).status, 0)
  assert.equal(one.version(), '5')
  await good('--withdraw', 'base-5-20260101-amd64')
  const seen = await one.run(check)
  assert.deepEqual(seen.stderr, ["base/amd64: base-5-20260101-amd64 was withdrawn; 'bindery rollback' goes back to what was before"])
  assert.equal((await one.run(rollback)).status, 0)
  assert.deepEqual([(await one.run(install)).status, one.version()], [0, '3'])
  const named = await other.run(install, ['--to', '5'])
  assert.deepEqual([named.code, named.error?.message], ['not-found', 'base-5-20260101-amd64 was withdrawn'])
  const bundled = async (...words: readonly string[]): Promise<Outcome> =>
    await fleet.run(bundle, '-r', fleet.at('repo'), '-o', fleet.at('update.sh'), ...words, 'base/amd64')
  const wanted = await bundled('--to', 'base-5-20260101-amd64')
  assert.deepEqual([wanted.code, wanted.error?.message, wanted.error?.subject], ['not-found', 'was withdrawn', 'base-5-20260101-amd64'])
  assert.equal((await bundled()).status, 0)
  assert.ok(readFileSync(fleet.at('update.sh'), 'latin1').includes("\tnew_release='base-4-20260101-amd64'\n"))
  assert.equal((await bundled('--from', 'base-5-20260101-amd64')).code, 'usage')
  assert.equal((await fleet.release('6')).status, 0)
  assert.deepEqual([(await one.run(install)).status, one.version()], [0, '6'])
  await good('--restore', 'base-5-20260101-amd64')
  assert.deepEqual([(await other.run(install, ['--to', '5'])).status, other.version()], [0, '5'])
  assert.equal((await fleet.run(fsck, '-r', fleet.at('repo'))).status, 0)
})

test('who signs elsewhere sees what is said anew', async () => {
  const name = 'base-6-20260101-amd64'
  const stage = fleet.at('outbox')
  const words = ['-r', fleet.at('repo'), '--unsigned', stage, '--withdraw', '--rollout', '5/12h', '--end-of-life', '2027-05-31', name]
  assert.equal((await fleet.run(amend, ...words)).status, 0)
  const shown = await fleet.run(sign, '-k', fleet.at('keys'), stage)
  const lines = shown.stdout.split('\n').filter((line) => line.includes(' is now: '))
  assert.deepEqual(
    lines.map((line) => line.replace(/, all until .*/, '')),
    [
      `  base/amd64/${name}.update is now: withdrawn: offered to nobody`,
      `  base/amd64/${name}.update is now: offered to 5 % of the machines`,
      `  base/amd64/${name}.update is now: end of life: 2027-05-31`,
    ],
  )
  assert.equal((await fleet.run(publish, ...keysOf(fleet.at), '--signed', stage)).status, 0)
  assert.equal(count(await offered('6')), 0)
})

test('what cannot be amended is told before a key is asked for', async () => {
  const words = ['-r', fleet.at('repo'), '-k', fleet.at('none')]
  for (const [code, ...more] of [
    ['usage', 'base-6-20260101-amd64'],
    ['usage', '--withdraw', '--restore', 'base-6-20260101-amd64'],
    ['usage', '--end-of-life', '2027-02-31', 'base-6-20260101-amd64'],
    ['usage', '--rollout', '101', 'base-6-20260101-amd64'],
    ['usage', '--rollout', '10/7w', 'base-6-20260101-amd64'],
  ] as const)
    assert.equal((await fleet.run(amend, ...words, ...more)).code, code, more.join(' '))
  const unknown = await fleet.run(amend, ...keysOf(fleet.at), '--withdraw', 'base-9-20260101-amd64')
  assert.deepEqual([unknown.code, unknown.error?.subject], ['not-found', 'base-9-20260101-amd64'])
})

test('what a channel says of a release is strict in what is known and deaf to the rest', () => {
  const listing = {
    sequence: 3,
    endOfLife: '2027-05-31',
    rollout: { percent: 10, ramp: { begin: 100, end: 200 } },
    withdrawn: true,
  } as const
  assert.deepEqual(decodeListing('x', encodeListing(listing, { later: 'thing' })), listing)
  assert.deepEqual(encodeListing({ sequence: 3 }, { later: 'thing', withdrawn: true }), { later: 'thing', sequence: 3 })
  assert.equal(decodeListing('x', { sequence: 0 }), undefined)
  for (const wrong of [
    { endOfLife: 'soon' },
    { rollout: 5 },
    { rollout: null },
    { rollout: { percent: 101 } },
    { rollout: { percent: 1, begin: 5, end: 5 } },
    { withdrawn: 'yes' },
  ])
    assert.throws(() => decodeListing('x', { sequence: 1, ...wrong }), { code: 'bad-format', subject: 'x' })
  assert.deepEqual(
    [0, 150_000, 900_000].map((now) => shareAt(listing.rollout, now)),
    [0.1, 0.55, 1],
  )
})

test('a machine id that was copied to all of them draws for all alike, and for each release anew', () => {
  const id = '0123456789abcdef0123456789abcdef'
  const revisions = Array.from({ length: 400 }, (_, i) => `7.6p${i}`)
  const share = revisions.filter((revision) => draw('rollout', id, `${revision}-20260101`) < 0.1).length / revisions.length
  // None of them is always among the first, nor always the last.
  assert.ok(share > 0.05 && share < 0.16, String(share))
})
