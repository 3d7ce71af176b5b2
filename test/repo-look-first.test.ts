import assert from 'node:assert/strict'
import { test } from 'node:test'
import { utf8 } from '../src/base/bytes.ts'
import { isBinderyError } from '../src/base/error.ts'
import { lookFirst, refreshAfter } from '../src/engine/repo/look-first.ts'
import { clientOf, day, simulate } from './helpers/tuf-simulator.ts'
import { ed25519Signer } from './helpers/tuf-signers.ts'
import type { Look, LookQuestion } from '../src/port/fetcher.ts'
import type { MetadataSource, Trust } from '../src/engine/repo/trust.ts'
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

test('who looks forgets what a new key makes void, as we do', async () => {
  const sim = withRoles()
  const client = clientOf(sim)
  sim.publishAs('timestamp', 1000)
  await refreshed(sim, client)
  sim.setKeys('timestamp', [ed25519Signer(60)])
  sim.publishAs('timestamp', 3)
  sim.now += 2 * day
  await refreshed(sim, client)
  assert.ok(client.trusted().includes('timestamp 3'))
})

test('keys that are rotated between two requests are no alarm', async () => {
  const sim = withRoles()
  const client = clientOf(sim)
  await refreshed(sim, client)
  sim.publish('timestamp')
  const source: MetadataSource = {
    fetch: async (file, limit, etag) => {
      const answer = await sim.source.fetch(file, limit, etag)
      if (file !== 'timestamp.json' || sim.roles.root.version > 1) return answer
      sim.setKeys('timestamp', [ed25519Signer(60)])
      sim.publish('timestamp')
      return answer
    },
  }
  await refreshAfter(lookFirst)({ store: client.store, source, clock: { now: () => sim.now } })
  assert.deepEqual(client.trusted(), ['root 2', 'snapshot 2', 'targets 2', 'timestamp 4'])
})

test('who looks forgives as much as we do, and is served no more than a ceiling', async () => {
  const sim = withRoles()
  const client = clientOf(sim)
  sim.now += 31 * day
  const limits: number[] = []
  const source: MetadataSource = {
    fetch: async (file, limit, etag) => (limits.push(limit), await sim.source.fetch(file, limit, etag)),
  }
  const refresh = async (look: Look, grace: number): Promise<Trust> =>
    await refreshAfter(look)({ store: client.store, source, clock: { now: () => sim.now }, grace })
  await assert.rejects(refresh(lookFirst, 0), { code: 'expired' })
  assert.ok((await refresh(lookFirst, 2 * day)).staleSince() !== undefined)
  limits.length = 0
  const greedy: Look = async (question, answer) => {
    await answer({ kind: 'fetch', file: 'targets.json', limit: 2 ** 40 })
    return await lookFirst(question, answer)
  }
  await refresh(greedy, 2 * day)
  assert.equal(limits[0], 64 << 20)
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
    { code: 'hostile', subject: 'timestamp.json' },
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
