import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { BinderyError } from '../src/base/error.ts'
import { check } from '../src/command/check.ts'
import { install } from '../src/command/install.ts'
import { hostLocker } from '../src/host/lock.ts'
import { openFleet } from './helpers/fleet.ts'
import type { Fleet } from './helpers/fleet.ts'

/** What runs by cron(8) print, when they come, and what they keep to themselves. */

let fleet: Fleet
before(async () => {
  fleet = await openFleet()
  assert.equal((await fleet.release('1')).status, 0)
})
after(() => fleet.remove())

const silence = { status: 0, stdout: '', stderr: [] }
const id = (digit: string): Readonly<Record<string, string>> => ({ 'etc/machine-id': `${digit.repeat(32)}\n` })

test('a machine has its moment of the day, another one another, and none with jitter 0', async () => {
  const waits: number[] = []
  const wait = async (milliseconds: number): Promise<void> => void waits.push(milliseconds)
  const [one, other] = [await fleet.machine(id('a')), await fleet.machine(id('b'))]
  for (const machine of [one, one, other]) assert.deepEqual(await machine.run(check, ['--cron'], { wait }), silence)
  assert.equal(waits[0], waits[1])
  assert.notEqual(waits[0], waits[2])
  assert.ok(waits.every((milliseconds) => milliseconds >= 0 && milliseconds < 3_600_000))
  fleet.clock.pass(1)
  await one.run(check, ['--cron'], { wait })
  assert.notEqual(waits[3], waits[0])
  one.write('etc/bindery.conf', 'jitter 0\n')
  await one.run(check, ['--cron'], { wait })
  await one.run(check, [], { wait })
  assert.deepEqual(waits.slice(4), [0])
})

test('a machine without an id is given one, and keeps it', async () => {
  const waits: number[] = []
  const wait = async (milliseconds: number): Promise<void> => void waits.push(milliseconds)
  const machine = await fleet.machine(id('-'))
  await machine.run(check, ['--cron'], { wait })
  await machine.run(check, ['--cron'], { wait, random: { bytes: () => assert.fail('it has one') } })
  assert.equal(waits[0], waits[1])
})

test('install says what has changed, and nothing where nothing has', async () => {
  const machine = await fleet.machine()
  assert.deepEqual(await machine.run(install, ['--cron']), silence)
  assert.equal((await fleet.release('2')).status, 0)
  assert.match((await machine.run(check, ['--cron'])).stdout, /^base\/amd64: base-1-\S+ -> base-2-/)
  const seen = await machine.run(install, ['--cron'])
  assert.deepEqual([seen.status, seen.stderr], [0, ['base/amd64: base-1-20260101-amd64 -> base-2-20260101-amd64']])
  assert.deepEqual(await machine.run(install, ['--cron']), silence)
})

test('another run under way is no alarm', async () => {
  const machine = await fleet.machine()
  const lock = await hostLocker(`${machine.root}/var/db/bindery/lock`).take('install')
  assert.deepEqual(await machine.run(install, ['--cron']), silence)
  assert.deepEqual(await machine.run(check, ['--cron']), silence)
  assert.equal((await machine.run(check)).code, 'locked')
  await lock.release()
})

test('a network that is away for a night is no alarm, one that is away for days is', async () => {
  const machine = await fleet.machine()
  const http = { get: async () => await Promise.reject(new BinderyError('network', 'is away')) }
  assert.equal((await machine.run(check, [], { http })).code, 'network')
  for (let night = 0; night < 3; night++) {
    assert.deepEqual(await machine.run(check, ['--cron'], { http }), silence)
    fleet.clock.pass(1)
  }
  const seen = await machine.run(install, ['--cron'], { http })
  assert.deepEqual([seen.status, seen.code], [1, 'network'])
  assert.equal((await machine.run(check, ['--cron'])).status, 0)
  assert.deepEqual(await machine.run(check, ['--cron'], { http }), silence)
})
