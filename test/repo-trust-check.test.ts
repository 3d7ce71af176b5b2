import assert from 'node:assert/strict'
import { test } from 'node:test'
import { utf8 } from '../src/base/bytes.ts'
import { sha256 } from '../src/base/digest.ts'
import { isBinderyError } from '../src/base/error.ts'
import { loadCheckState, saveCheckState } from '../src/engine/repo/check-state.ts'
import { clientOf, day, simulate } from './helpers/tuf-simulator.ts'
import { ed25519Signer } from './helpers/tuf-signers.ts'
import type { CheckState } from '../src/engine/repo/check-state.ts'
import type { Client, Simulator } from './helpers/tuf-simulator.ts'

/** The order of the fleet client: timestamp first. */
const order = { order: 'timestamp-first' } as const

async function currentClient(): Promise<{ sim: Simulator; client: Client }> {
  const sim = simulate()
  sim.etags = true
  sim.publish('targets', 'snapshot', 'timestamp')
  const client = clientOf(sim)
  await client.refresh(order)
  sim.requests.length = 0
  return { sim, client }
}

function counting(client: Client): { saves: string[] } & Pick<Client, 'store'> {
  const saves: string[] = []
  return { saves, store: { ...client.store, save: async (file, bytes) => (saves.push(file), await client.store.save(file, bytes)) } }
}

test('an up-to-date client makes one conditional request and writes nothing', async () => {
  const { sim, client } = await currentClient()
  const { saves, store } = counting(client)
  const trust = await client.refresh({ ...order, store })
  assert.equal(trust.changed, false)
  assert.equal(sim.requests.length, 1)
  assert.match(sim.requests[0] as string, /^timestamp\.json if not /)
  assert.deepEqual(saves, [])
})

test('without etags, the same bytes are as good', async () => {
  const { sim, client } = await currentClient()
  sim.etags = false
  await client.refresh(order)
  await client.refresh(order)
  assert.deepEqual(sim.requests.slice(1), ['timestamp.json'])
})

test('a new timestamp goes the whole way, root first', async () => {
  const { sim, client } = await currentClient()
  sim.setKeys('timestamp', [ed25519Signer(60)])
  sim.publish('targets', 'snapshot', 'timestamp')
  const trust = await client.refresh(order)
  assert.equal(trust.changed, true)
  assert.deepEqual(sim.requests.slice(1), ['2.root.json', '3.root.json', 'timestamp.json', '3.snapshot.json', '3.targets.json'])
  assert.deepEqual(client.trusted(), ['root 2', 'snapshot 3', 'targets 3', 'timestamp 3'])
  sim.requests.length = 0
  await client.refresh(order)
  assert.equal(sim.requests.length, 1)
})

test('keys that are rotated between two requests are no alarm', async () => {
  const { sim, client } = await currentClient()
  sim.publish('timestamp')
  const source = {
    fetch: async (file: string, limit: number, etag?: string) => {
      const answer = await sim.source.fetch(file, limit, etag)
      if (file !== 'timestamp.json' || sim.roles.root.version > 1) return answer
      sim.setKeys('timestamp', [ed25519Signer(60)])
      sim.publish('timestamp')
      return answer
    },
  }
  await client.refresh({ ...order, source })
  assert.deepEqual(client.trusted(), ['root 2', 'snapshot 2', 'targets 2', 'timestamp 4'])
})

test('a new root is looked for once a day, however often the client asks', async () => {
  const { sim, client } = await currentClient()
  sim.publish('root')
  sim.now += day - 1000
  await client.refresh(order)
  assert.ok(client.trusted().includes('root 1'))
  sim.now += 1000
  await client.refresh(order)
  assert.ok(client.trusted().includes('root 2'))
  sim.requests.length = 0
  await client.refresh(order)
  assert.equal(sim.requests.length, 1)
})

test('a clock that went back asks for the root again', async () => {
  const { sim, client } = await currentClient()
  sim.now -= day
  await client.refresh(order)
  assert.ok(sim.requests.includes('2.root.json'))
})

test('"not modified" does not keep anything alive: expired is expired', async () => {
  const { sim, client } = await currentClient()
  sim.now += 31 * day
  sim.edit('root', () => ({ expires: sim.now + day }))
  sim.publish('root')
  await assert.rejects(client.refresh(order), (error) => isBinderyError(error, 'expired'))
  for (const role of ['snapshot', 'targets'] as const) {
    const again = await currentClient()
    again.sim.edit(role, () => ({ expires: again.sim.now + day / 2 }))
    again.sim.publish('targets', 'snapshot', 'timestamp')
    await again.client.refresh(order)
    again.sim.now += day / 2
    await assert.rejects(again.client.refresh(order), (error) => isBinderyError(error, 'expired'), role)
  }
})

test('"not modified" that nobody asked for is a fault of the source', async () => {
  const { sim, client } = await currentClient()
  client.files.delete('checked')
  const source = {
    fetch: async (file: string, limit: number) =>
      file === 'timestamp.json' ? { kind: 'unchanged' as const } : await sim.source.fetch(file, limit),
  }
  const isFault = (error: unknown): boolean => isBinderyError(error, 'network') && error.subject === 'timestamp.json'
  await assert.rejects(client.refresh({ ...order, source }), isFault)
  // There is a timestamp, and nothing by which to ask for a change of it.
  sim.etags = false
  await client.refresh(order)
  await assert.rejects(client.refresh({ ...order, source }), isFault)
})

test('a note without the timestamp that it is of costs a full refresh', async () => {
  const { sim, client } = await currentClient()
  client.files.delete('timestamp.json')
  await client.refresh(order)
  assert.deepEqual(sim.requests, ['timestamp.json', '2.root.json'])
  assert.ok(client.trusted().includes('timestamp 2'))
})

test('a root that has expired since the last look is looked for at once', async () => {
  const { sim, client } = await currentClient()
  const { expires } = sim.roles.root
  for (const role of ['timestamp', 'snapshot', 'targets'] as const) sim.edit(role, () => ({ expires: expires + 9 * day }))
  sim.publish('targets', 'snapshot', 'timestamp')
  sim.now = expires - 1000
  await client.refresh(order)
  sim.now = expires
  sim.requests.length = 0
  await assert.rejects(client.refresh(order), (error) => isBinderyError(error, 'expired'))
  sim.edit('root', () => ({ expires: expires + 9 * day }))
  sim.publish('root')
  await client.refresh(order)
  assert.ok(client.trusted().includes('root 2'))
})

test('an etag only counts for the very timestamp that it came with', async () => {
  const { sim, client } = await currentClient()
  const old = new Map(client.files)
  sim.publish('targets', 'snapshot', 'timestamp')
  await client.refresh(order)
  // The timestamp of a backup beside the newer note: the etag would hide what the client lacks.
  client.files.set('timestamp.json', old.get('timestamp.json') as Uint8Array)
  await client.refresh(order)
  assert.ok(client.trusted().includes('timestamp 3'))
})

test('what an interrupted refresh did not get is fetched although the timestamp is unchanged', async () => {
  const { sim, client } = await currentClient()
  client.files.delete('snapshot.json')
  client.files.delete('targets.json')
  await client.refresh(order)
  assert.deepEqual(sim.requests.slice(1), ['2.snapshot.json', '2.targets.json'])
})

test('a note that is damaged costs a full refresh, no more', async () => {
  const { sim, client } = await currentClient()
  for (const text of [
    '',
    'bindery-checked 1\n',
    'bindery-checked 1\nroot-checked x\n',
    `bindery-checked 1\nroot-checked 99999999999\netag ${'x'.repeat(5000)}\n`,
    'nonsense',
  ]) {
    client.files.set('checked', utf8(text))
    await client.refresh(order)
    sim.requests.length = 0
    await client.refresh(order)
    assert.equal(sim.requests.length, 1)
  }
})

test('the time that a timestamp was issued is the floor under the clock', async () => {
  const sim = simulate()
  sim.edit('timestamp', () => ({ issued: sim.now }))
  sim.publish('timestamp')
  const client = clientOf(sim)
  assert.equal((await client.refresh()).clockBehind, undefined)

  // A machine that comes up in 1970: what has expired since is still seen as expired.
  const clock = { now: () => 1000 }
  assert.equal((await client.refresh({ clock })).clockBehind, sim.now - 1000)
  // Five minutes are nothing to speak of.
  const behind = async (milliseconds: number): Promise<number | undefined> =>
    (await client.refresh({ clock: { now: () => sim.now - milliseconds } })).clockBehind
  assert.deepEqual([await behind(300_000), await behind(300_001)], [undefined, 300_001])
  sim.edit('targets', () => ({ expires: sim.now - 1000 }))
  sim.publish('targets', 'snapshot', 'timestamp')
  await assert.rejects(client.refresh({ clock }), (error) => isBinderyError(error, 'expired'))
})

test('the floor of a caller counts as well', async () => {
  const sim = simulate()
  const client = clientOf(sim)
  const clock = { now: () => 0 }
  assert.equal((await client.refresh({ clock, floor: sim.now })).clockBehind, sim.now)
  await assert.rejects(client.refresh({ clock, floor: sim.now + 31 * day }), (error) => isBinderyError(error, 'expired'))
})

test('a time far ahead, signed with a stolen timestamp key, ends with the key', async () => {
  const sim = simulate()
  const client = clientOf(sim)
  const { timestamp } = sim.roles
  sim.edit('timestamp', () => ({ issued: sim.now + 20_000 * day, expires: sim.now + 30_000 * day }))
  sim.publishAs('timestamp', 1000)
  await assert.rejects(client.refresh(), (error) => isBinderyError(error, 'expired'))
  assert.ok(client.trusted().includes('timestamp 1000'))
  Object.assign(sim.roles, { timestamp })
  sim.setKeys('timestamp', [ed25519Signer(60)])
  sim.publish('timestamp')
  await client.refresh()
  assert.deepEqual(client.trusted(), ['root 2', 'snapshot 1', 'targets 1', 'timestamp 2'])
})

test('the note holds what a header can, and is written when that changes', async () => {
  const { client } = await currentClient()
  const { saves, store } = counting(client)
  const [bytes, others] = [utf8('a'), utf8('b')]
  const kept = async (etag: string | undefined, of = bytes, rootChecked = 5000): Promise<CheckState> => {
    const old = await loadCheckState(store)
    await saveCheckState(store, old, rootChecked, { bytes: of, ...(etag === undefined ? {} : { etag }) })
    return await loadCheckState(store)
  }
  for (const etag of ['x', '\u0000\n\u00ff', 'x'.repeat(2048)])
    assert.deepEqual(await kept(etag), { rootChecked: 5000, etag: { value: etag, of: sha256(bytes) } })
  for (const etag of [undefined, '', '\u0100', 'x\u0100', '\u0100x', 'x'.repeat(2049)])
    assert.deepEqual(await kept(etag), { rootChecked: 5000 })
  assert.match(Buffer.from(client.files.get('checked') ?? []).toString(), /^bindery-checked 1\nroot-checked 5\n$/)
  saves.length = 0
  const writes: number[] = []
  for (const [etag, of, time] of [
    ['x', bytes, 5000],
    ['x', bytes, 5000],
    ['y', bytes, 5000],
    ['y', others, 5000],
    ['y', others, 6000],
    [undefined, others, 6000],
    [undefined, others, 6000],
  ] as const) {
    await kept(etag, of, time)
    writes.push(saves.length)
  }
  assert.deepEqual(writes, [1, 1, 2, 3, 4, 5, 5])
})

test('a note of which a part is missing or no note says no more than what is left', async () => {
  const { client } = await currentClient()
  const of = sha256(utf8('a'))
  const read = async (...lines: readonly string[]): Promise<CheckState> => {
    client.files.set('checked', utf8(['bindery-checked 1', ...lines, ''].join('\n')))
    return await loadCheckState(client.store)
  }
  assert.deepEqual(await read('root-checked 5', `timestamp ${of}`, 'etag x'), { rootChecked: 5000, etag: { value: 'x', of } })
  assert.deepEqual(await read('root-checked 5', `timestamp ${of}`), { rootChecked: 5000 })
  assert.deepEqual(await read('root-checked 5', 'etag x'), { rootChecked: 5000 })
  assert.deepEqual(await read('root-checked 5', `timestamp ${of}`, `etag ${'x'.repeat(2049)}`), { rootChecked: 5000 })
  for (const time of ['x5', '5x', '1234567890123', '']) assert.deepEqual(await read(`root-checked ${time}`), { rootChecked: 0 })
  assert.deepEqual(await read(`timestamp ${of}`, 'etag x'), { rootChecked: 0, etag: { value: 'x', of } })
  client.files.set('checked', utf8('nonsense'))
  assert.deepEqual(await loadCheckState(client.store), { rootChecked: 0 })
  client.files.delete('checked')
  assert.deepEqual(await loadCheckState(client.store), { rootChecked: 0 })
})
