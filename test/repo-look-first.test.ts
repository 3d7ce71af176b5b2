import assert from 'node:assert/strict'
import { test } from 'node:test'
import { utf8 } from '../src/base/bytes.ts'
import { isBinderyError } from '../src/base/error.ts'
import { lookFirst, refreshAfter } from '../src/engine/repo/look-first.ts'
import { clientOf, day, simulate } from './helpers/tuf-simulator.ts'
import type { Look, LookQuestion } from '../src/port/fetcher.ts'
import type { Trust } from '../src/engine/repo/trust.ts'
import type { Client, Simulator } from './helpers/tuf-simulator.ts'

/** The trust workflow behind one who looks first: the same answers, and not a byte that did not pass there. */

function withRoles(): Simulator {
  const sim = simulate()
  sim.etags = true
  sim.delegate('targets', { name: 'one', scope: { kind: 'paths', patterns: ['one/*'] } })
  sim.delegate('targets', { name: 'two', scope: { kind: 'paths', patterns: ['two/*'] } })
  sim.addTarget('one', 'one/a', 'a')
  sim.addTarget('two', 'two/b', 'b')
  sim.publish('one', 'two', 'targets', 'snapshot', 'timestamp')
  return sim
}

async function refreshed(sim: Simulator, client: Client, look: Look = lookFirst): Promise<Trust> {
  return await refreshAfter(look)({ store: client.store, source: sim.source, clock: { now: () => sim.now }, grace: 0 })
}

test('it ends with the same trust as the workflow alone, and asks the repository for nothing twice', async () => {
  const sim = withRoles()
  const [plain, behind] = [clientOf(sim), clientOf(sim)]
  const asked = async (work: () => Promise<unknown>): Promise<readonly string[]> => {
    sim.requests.length = 0
    await work()
    return [...sim.requests]
  }
  for (const change of [
    () => {},
    () => sim.publish('timestamp'),
    () => sim.publish('root', 'one', 'snapshot', 'timestamp'),
    () => void (sim.now += 2 * day),
    () => {},
  ]) {
    change()
    const wanted = await asked(async () => await (await plain.refresh({ order: 'timestamp-first' })).target('one/a'))
    assert.deepEqual(await asked(async () => await (await refreshed(sim, behind)).target('one/a')), wanted)
    assert.deepEqual(behind.files, plain.files)
  }
})

test('roles are looked at when they are asked for, also together, also after one that fails', async () => {
  const sim = withRoles()
  const trust = await refreshed(sim, clientOf(sim))
  const [a, b] = await Promise.all([trust.target('one/a'), trust.target('two/b'), trust.target('one/a')])
  assert.deepEqual([a?.value.path, b?.value.path], ['one/a', 'two/b'])
  assert.equal(await trust.target('three/c'), undefined)
  const other = await refreshed(sim, clientOf(sim))
  for (const file of sim.files.keys()) if (file.endsWith('.one.json')) sim.files.delete(file)
  await assert.rejects(other.targetsOf('one'), { code: 'incomplete' })
  assert.equal((await other.targetsOf('two')).value.length, 1)
})

test('what does not pass is refused by who looks, and nothing of it is kept', async () => {
  const bad: readonly (readonly [string, (sim: Simulator) => void])[] = [
    ['bad-format', (sim) => void sim.files.set('timestamp.json', utf8('{"signed": '))],
    ['bad-signature', (sim) => void sim.files.set('timestamp.json', forged(sim.files.get('timestamp.json')))],
    ['expired', (sim) => void (sim.now += 40 * day)],
    ['incomplete', (sim) => void sim.files.delete('2.snapshot.json')],
  ]
  for (const [code, spoil] of bad) {
    const sim = withRoles()
    const client = clientOf(sim)
    spoil(sim)
    await assert.rejects(refreshed(sim, client), { code })
    assert.ok(!client.files.has('targets.json'))
  }
})

function forged(file: Uint8Array | undefined): Uint8Array {
  return utf8(
    Buffer.from(file ?? [])
      .toString()
      .replace(/"version": ?2/, '"version":9'),
  )
}

test('one who lies is believed nothing', async () => {
  const sim = withRoles()
  const lying = (lie: Look): Promise<Trust> => refreshed(sim, clientOf(sim), lie)
  const passed = { role: async () => {}, target: async () => {} }
  // Says that all is well, and has not looked.
  await assert.rejects(
    lying(async () => await Promise.resolve(passed)),
    { code: 'hostile' },
  )
  // Asks for what is none of its business.
  for (const file of ['../../etc/shadow', '..', 'a/b.json', '', 'x.json\n', 'enrolled']) {
    for (const kind of ['load', 'fetch'] as const) {
      const question = { kind, file, limit: 10 } as LookQuestion
      await assert.rejects(
        lying(async (_, answer) => {
          await answer(question)
          return passed
        }),
        { code: 'hostile', subject: file },
      )
    }
  }
  // Asks for ever.
  const endless: Look = async (_, answer) => {
    for (;;) await answer({ kind: 'load', file: 'root.json' })
  }
  await assert.rejects(lying(endless), { code: 'hostile' })
  // Has fetched all, and says of forged bytes that they pass.
  sim.files.set('timestamp.json', forged(sim.files.get('timestamp.json')))
  const careless: Look = async (_, answer) => {
    for (const file of ['2.root.json', 'timestamp.json', '2.snapshot.json', '2.targets.json'])
      await answer({ kind: 'fetch', file, limit: 1e6 })
    return passed
  }
  await assert.rejects(lying(careless), (error) => isBinderyError(error, 'bad-signature'))
})
