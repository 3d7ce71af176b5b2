import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { amend } from '../src/command/amend.ts'
import { audit } from '../src/command/audit.ts'
import { check } from '../src/command/check.ts'
import { install } from '../src/command/install.ts'
import { recover } from '../src/command/recover.ts'
import { refresh } from '../src/command/refresh.ts'
import { rollback } from '../src/command/rollback.ts'
import { keysOf, openFleet } from './helpers/fleet.ts'
import type { Fleet } from './helpers/fleet.ts'

/** Repositories that nobody renews, clocks that are wrong, and releases that come to their end. */

const start = Date.UTC(2026, 0, 1)
const day = 86_400_000
let fleet: Fleet
before(async () => {
  fleet = await openFleet(start)
  assert.equal((await fleet.release('1')).status, 0)
})
after(() => fleet.remove())

async function renew(at: number): Promise<void> {
  fleet.clock.set(at)
  assert.equal((await fleet.run(refresh, ...keysOf(fleet.at))).status, 0)
}

test('what has expired is a warning for some days, then refused; what is here already is never', async () => {
  const machine = await fleet.machine()
  assert.equal((await fleet.release('2')).status, 0)
  assert.equal((await machine.run(install)).status, 0)
  assert.equal((await fleet.release('3')).status, 0)
  fleet.clock.set(start + 8 * day)
  const warned = await machine.run(check)
  assert.equal(warned.status, 0)
  assert.match(warned.stdout, /base-2-\S+ -> base-3-/)
  const line = 'the repository is stale since 2026-01-08T00:00:00Z; nothing is installed from it after 2026-01-11T00:00:00Z'
  assert.deepEqual(warned.stderr, [line])
  fleet.clock.set(start + 10 * day)
  for (const verb of [check, install]) {
    const refused = await machine.run(verb)
    assert.deepEqual([refused.status, refused.code, refused.stderr], [3, 'expired', []])
  }
  for (const [verb, words] of [
    [recover, []],
    [audit, []],
    [rollback, []],
  ] as const)
    assert.equal((await machine.run(verb, words)).status, 0)
  assert.equal(machine.version(), '1')
  machine.write('etc/bindery.conf', 'stale-grace 30\n')
  assert.deepEqual([(await machine.run(install)).status, machine.version()], [0, '3'])
  machine.write('etc/bindery.conf', 'stale-grace 0\n')
  fleet.clock.set(start + 7 * day + 1000)
  assert.equal((await machine.run(check)).code, 'expired')
})

test('audit --repair brings back what was installed, however old the news are', async () => {
  await renew(start)
  const machine = await fleet.machine()
  assert.equal((await machine.run(install)).status, 0)
  fleet.clock.set(start + 100 * day)
  machine.write('version', 'damaged')
  assert.equal((await machine.run(audit, ['--repair'])).status, 0)
  assert.equal(machine.version(), '3')
})

test('a clock of 1970 and one of 2099 are told in one line, and nothing is left of them', async () => {
  await renew(start + 20 * day)
  const machine = await fleet.machine()
  assert.equal((await machine.run(check)).status, 0)
  fleet.clock.set(0)
  const early = await machine.run(install)
  const line = "the clock says 1970-01-01T00:00:00Z, before the repository's newest signature of 2026-01-21T00:00:00Z; that time is used"
  assert.deepEqual([early.status, early.stderr, machine.version()], [0, [line], '3'])
  fleet.clock.set(Date.UTC(2099, 0, 1))
  const late = await machine.run(check)
  assert.deepEqual([late.status, late.code], [3, 'expired'])
  assert.match(late.error?.hint ?? '', /clock is ahead: it says 2099-01-01T00:00:00Z$/)
  assert.equal((await machine.run(rollback)).status, 0)
  fleet.clock.set(start + 21 * day)
  assert.deepEqual([(await machine.run(install)).stderr, machine.version()], [[], '3'])
})

test('an end of life is announced 90, 30 and 7 days ahead, by cron once each', async () => {
  await renew(start)
  assert.equal((await fleet.run(amend, ...keysOf(fleet.at), '--end-of-life', '2027-01-01', 'base-3-20260101-amd64')).status, 0)
  const machine = await fleet.machine()
  assert.deepEqual((await machine.run(install)).stderr, [])
  const end = Date.UTC(2027, 0, 1)
  const said: string[] = []
  for (const days of [91, 90, 89, 31, 30, 8, 7, 6, 1, 0, -1]) {
    await renew(end - days * day)
    for (const line of (await machine.run(check, ['--cron'])).stderr) said.push(`${days}: ${line}`)
  }
  const name = 'base/amd64: base-3-20260101-amd64'
  assert.deepEqual(said, [
    `90: ${name} has its end of life on 2027-01-01, in 90 days`,
    `30: ${name} has its end of life on 2027-01-01, in 30 days`,
    `7: ${name} has its end of life on 2027-01-01, in 7 days`,
    `0: ${name} has had its end of life on 2027-01-01: no more updates are to be expected`,
  ])
  await renew(end - day)
  const seen = await machine.run(check, ['--json'])
  assert.deepEqual(seen.stderr, [`${name} has its end of life on 2027-01-01, in 1 day`])
  assert.equal((JSON.parse(seen.stdout) as { endOfLife?: string }).endOfLife, '2027-01-01')
  assert.equal((await fleet.release('4')).status, 0)
  assert.deepEqual((await machine.run(install)).stderr, [seen.stderr[0]?.replace('base-3', 'base-4')])
  assert.equal((await fleet.run(amend, ...keysOf(fleet.at), '--end-of-life', 'none', 'base-4-20260101-amd64')).status, 0)
  assert.deepEqual((await machine.run(check)).stderr, [])
})
