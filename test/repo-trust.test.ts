import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { utf8 } from '../src/base/bytes.ts'
import { isBinderyError } from '../src/base/error.ts'
import { establishTrust } from '../src/engine/repo/trust.ts'
import { farthestVersion } from '../src/engine/repo/update-roles.ts'
import { rotatesOnline } from '../src/engine/repo/update-root.ts'
import { decodeRoot } from '../src/format/tuf.ts'
import { clientOf, day, signBy, simulate } from './helpers/tuf-simulator.ts'
import { ed25519Signer } from './helpers/tuf-signers.ts'
import type { ErrorCode } from '../src/base/error.ts'
import type { MetaFile } from '../src/format/tuf.ts'
import type { Client } from './helpers/tuf-simulator.ts'

/** Refused for this reason, at this clause of the specification; whatever is refused names its file. */
async function refused(work: Promise<unknown>, code: ErrorCode, clause?: string): Promise<void> {
  await assert.rejects(work, (error) => {
    assert.ok(isBinderyError(error), String(error))
    assert.equal(error.code, code, error.message)
    assert.match(error.subject ?? '', /^\w[\w.%-]*\.json$/, error.message)
    if (clause !== undefined) assert.match(error.message, new RegExp(`\\(TUF ${clause.replaceAll('.', '\\.')}\\)`))
    return true
  })
}

function bytesOf(client: Client, file: string): string {
  return Buffer.from(client.files.get(file) ?? []).toString()
}

test('a first refresh asks for the four roles in their order and keeps what was served', async () => {
  const sim = simulate()
  sim.files.set('timestamp.json', utf8(`${Buffer.from(sim.files.get('timestamp.json') ?? []).toString()} \n`))
  const client = clientOf(sim)
  const trust = await client.refresh()
  assert.deepEqual(sim.requests, ['2.root.json', 'timestamp.json', '1.snapshot.json', '1.targets.json'])
  assert.deepEqual(client.trusted(), ['root 1', 'snapshot 1', 'targets 1', 'timestamp 1'])
  assert.ok(bytesOf(client, 'timestamp.json').endsWith(' \n'))
  assert.equal(trust.changed, true)
  assert.equal(trust.staleSince(), undefined)
})

test('a second refresh finds nothing new', async () => {
  const sim = simulate()
  const client = clientOf(sim)
  await client.refresh()
  sim.requests.length = 0
  assert.equal((await client.refresh()).changed, false)
  assert.deepEqual(sim.requests, ['2.root.json', 'timestamp.json'])
})

test('without consistent snapshots, files have no versions in their names', async () => {
  const sim = simulate()
  sim.edit('root', () => ({ consistentSnapshot: false }))
  sim.publish('root')
  for (const role of ['snapshot', 'targets']) sim.files.set(`${role}.json`, sim.files.get(`1.${role}.json`) as Uint8Array)
  sim.requests.length = 0
  await clientOf(sim).refresh()
  assert.deepEqual(sim.requests, ['2.root.json', '3.root.json', 'timestamp.json', 'snapshot.json', 'targets.json'])
})

test('a store without a root, and a root that is not signed by itself, trust nothing and ask for nothing', async () => {
  const sim = simulate()
  const empty = clientOf(sim)
  await empty.store.remove('root.json')
  await refused(empty.refresh(), 'not-found')
  const forged = clientOf(sim, signBy(sim.roles.root, [ed25519Signer(99)]))
  await refused(forged.refresh(), 'bad-signature', '5.2')
  await refused(clientOf(sim, utf8('{')).refresh(), 'bad-format')
  assert.deepEqual(sim.requests, [])
})

test('trust is established once', async () => {
  const sim = simulate()
  const client = clientOf(sim)
  const root = client.files.get('root.json') as Uint8Array
  await refused(establishTrust(client.store, root), 'exists')
  client.files.clear()
  await establishTrust(client.store, root)
  await client.refresh()
  client.files.clear()
  await refused(establishTrust(client.store, signBy(sim.roles.root, [])), 'bad-signature', '5.2')
  assert.equal(client.files.size, 0)
})

for (const [role, clause, trusted] of [
  ['root', '5.3.4', ['root 1']],
  ['timestamp', '5.4.2', ['root 2']],
  ['snapshot', '5.5.3', ['root 2', 'timestamp 2']],
  ['targets', '5.6.3', ['root 2', 'snapshot 2', 'timestamp 2']],
] as const) {
  test(`arbitrary software: ${role} signed by a stranger is refused, what came before it is kept`, async () => {
    const sim = simulate()
    sim.signers.set(role, [ed25519Signer(99)])
    sim.publish('root', 'targets', 'snapshot', 'timestamp')
    const client = clientOf(sim)
    await refused(client.refresh(), 'bad-signature', clause)
    assert.deepEqual(client.trusted(), trusted)
  })

  test(`arbitrary software: a flipped bit anywhere in what ${role} signs is refused`, async () => {
    const sim = simulate()
    sim.publish('root', 'targets', 'snapshot', 'timestamp')
    const name = role === 'timestamp' ? 'timestamp.json' : `2.${role}.json`
    const file = sim.files.get(name) as Uint8Array
    for (let at = 0; at < file.length; at += 37) {
      const flipped = file.slice()
      flipped[at] = (flipped[at] as number) ^ 1
      sim.files.set(name, flipped)
      const client = clientOf(sim)
      await assert.rejects(client.refresh(), (error) => isBinderyError(error), `byte ${at} of ${role}`)
      assert.deepEqual(client.trusted(), trusted, `byte ${at} of ${role}`)
    }
  })
}

test('endless data is cut off, whether or not its length is signed', async () => {
  for (const file of ['2.root.json', 'timestamp.json', '1.snapshot.json', '1.targets.json']) {
    const sim = simulate()
    sim.files.set(file, new Uint8Array(6_000_000).fill(0x20))
    await refused(clientOf(sim).refresh(), 'over-limit')
  }
  const sim = simulate()
  sim.edit('timestamp', () => ({ snapshot: { version: 1, length: 2 ** 40 } }))
  sim.publish('timestamp')
  await refused(clientOf(sim).refresh(), 'over-limit')
})

test('freeze: expired metadata is refused, and what was good is kept', async () => {
  for (const [role, clause, trusted] of [
    ['root', '5.3.10', ['root 2', 'snapshot 1', 'targets 1', 'timestamp 1']],
    ['timestamp', '5.4.4', ['root 2', 'snapshot 1', 'targets 1', 'timestamp 1']],
    ['snapshot', '5.5.6', ['root 2', 'snapshot 1', 'targets 1', 'timestamp 2']],
    ['targets', '5.6.5', ['root 2', 'snapshot 2', 'targets 1', 'timestamp 2']],
  ] as const) {
    const sim = simulate()
    const client = clientOf(sim)
    await client.refresh()
    sim.edit(role, () => ({ expires: sim.now }))
    sim.publish('root', 'targets', 'snapshot', 'timestamp')
    await refused(client.refresh(), 'expired', clause)
    assert.deepEqual(client.trusted(), trusted, role)
  }
})

test('freeze: an old timestamp that is served again is refused once it has expired, and says since when', async () => {
  const sim = simulate()
  const client = clientOf(sim)
  await client.refresh()
  sim.now += 31 * day
  sim.edit('root', () => ({ expires: sim.now + day }))
  sim.publish('root')
  await refused(client.refresh(), 'expired', '5.4.4')
  await assert.rejects(client.refresh(), /stale since 2026-01-31T00:00:00Z/)
})

test('an expired root on the way does not matter, one at the end does', async () => {
  const sim = simulate()
  const client = clientOf(sim)
  sim.edit('root', () => ({ expires: sim.now - day }))
  sim.publish('root')
  await refused(client.refresh(), 'expired', '5.3.10')
  assert.deepEqual(client.trusted(), ['root 2'])
  sim.edit('root', () => ({ expires: sim.now + day }))
  sim.publish('root')
  await client.refresh()
  assert.ok(client.trusted().includes('root 3'))
})

test('rollback of the root, and a root under a wrong number', async () => {
  const sim = simulate()
  const client = clientOf(sim)
  sim.files.set('2.root.json', sim.files.get('1.root.json') as Uint8Array)
  await refused(client.refresh(), 'downgrade', '5.3.5')
  sim.publishAs('root', 3)
  sim.files.set('2.root.json', sim.files.get('3.root.json') as Uint8Array)
  await refused(client.refresh(), 'downgrade', '5.3.5')
  assert.deepEqual(client.trusted(), ['root 1'])
})

test('a gap ends the chain of roots', async () => {
  const sim = simulate()
  sim.publish('root')
  sim.publish('root')
  sim.files.delete('2.root.json')
  const client = clientOf(sim)
  await client.refresh()
  assert.ok(client.trusted().includes('root 1'))
})

test('no more roots are taken than the limit allows', async () => {
  const sim = simulate()
  for (let i = 0; i < 5; i++) sim.publish('root')
  const client = clientOf(sim)
  await client.refresh({ limits: { rootRotations: 3 } })
  assert.ok(client.trusted().includes('root 4'))
  await client.refresh()
  assert.ok(client.trusted().includes('root 6'))
})

test('rollback of the timestamp, of the snapshot in it, and of a role in the snapshot', async () => {
  const sim = simulate()
  const client = clientOf(sim)
  sim.publish('targets', 'snapshot', 'timestamp')
  await client.refresh()
  const good = client.trusted()
  const { timestamp, snapshot } = sim.roles

  sim.publishAs('timestamp', 1)
  await refused(client.refresh(), 'downgrade', '5.4.3.1')

  Object.assign(sim.roles, { timestamp })
  sim.publishAs('snapshot', 1)
  sim.publish('timestamp')
  await refused(client.refresh(), 'downgrade', '5.4.3.2')
  assert.deepEqual(client.trusted(), good)

  Object.assign(sim.roles, { timestamp, snapshot })
  sim.publishAs('targets', 1)
  sim.publish('snapshot', 'timestamp')
  await refused(client.refresh(), 'downgrade', '5.5.5')
  assert.deepEqual(client.trusted(), ['root 1', 'snapshot 2', 'targets 2', 'timestamp 3'])
})

test('rollback: no role disappears from the snapshot', async () => {
  const sim = simulate()
  const client = clientOf(sim)
  sim.delegate('targets', { name: 'base-amd64' })
  sim.publish('base-amd64', 'targets', 'snapshot', 'timestamp')
  await client.refresh()
  sim.edit('snapshot', ({ meta }) => ({ meta: new Map([...meta].filter(([role]) => role !== 'base-amd64')) }))
  sim.publish('snapshot', 'timestamp')
  await refused(client.refresh(), 'downgrade', '5.5.5')
})

test('a rollback is seen although the store holds an expired snapshot', async () => {
  const sim = simulate()
  const client = clientOf(sim)
  sim.publish('targets', 'snapshot', 'timestamp')
  await client.refresh()
  sim.now += 31 * day
  for (const role of ['root', 'timestamp', 'snapshot', 'targets'] as const) sim.edit(role, () => ({ expires: sim.now + day }))
  sim.publish('root')
  sim.publishAs('targets', 1)
  sim.publish('snapshot', 'timestamp')
  await refused(client.refresh(), 'downgrade', '5.5.5')
})

test('an equal timestamp version changes nothing, whatever it says', async () => {
  const sim = simulate()
  const client = clientOf(sim)
  await client.refresh()
  sim.edit('timestamp', () => ({ snapshot: { version: 100 } }))
  sim.publishAs('timestamp', 1)
  const before = bytesOf(client, 'timestamp.json')
  assert.equal((await client.refresh()).changed, false)
  assert.equal(bytesOf(client, 'timestamp.json'), before)
})

test('mix-and-match: versions must be those that are signed', async () => {
  for (const [role, clause] of [
    ['snapshot', '5.5.4'],
    ['targets', '5.6.4'],
  ] as const) {
    const sim = simulate()
    sim.publishAs(role, 3)
    sim.publish('snapshot', 'timestamp')
    const listed = role === 'snapshot' ? sim.roles.snapshot.version : 3
    sim.publishAs(role, 7)
    sim.files.set(`${listed}.${role}.json`, sim.files.get(`7.${role}.json`) as Uint8Array)
    await refused(clientOf(sim).refresh(), 'mix-and-match', clause)
  }
})

test('mix-and-match: lengths and hashes must be those that are signed', async () => {
  for (const [role, clause] of [
    ['snapshot', '5.5.2'],
    ['targets', '5.6.2'],
  ] as const) {
    const sim = simulate()
    sim.hashes = true
    sim.publish('targets', 'snapshot', 'timestamp')
    const client = clientOf(sim)
    await client.refresh()
    sim.publish('targets', 'snapshot', 'timestamp')
    // Signed as well and of the same length: only the digest tells.
    const name = `3.${role}.json`
    const text = Buffer.from(sim.files.get(name) as Uint8Array).toString()
    const swapped = text.replace(/"signatures":(\[.*?\]),"signed":(.*)\}$/, '"signed":$2,"signatures":$1}')
    assert.notEqual(swapped, text)
    sim.files.set(name, utf8(swapped))
    await refused(client.refresh(), 'mix-and-match', clause)
    sim.files.set(name, utf8(text.slice(0, -1)))
    await refused(client.refresh(), 'mix-and-match', clause)
  }
})

test('a length alone is checked, and a sha512 as well as a sha256', async () => {
  for (const part of ['length', 'sha256', 'sha512'] as const) {
    const sim = simulate()
    const file = sim.files.get('1.snapshot.json') as Uint8Array
    const metaOf = (bytes: Uint8Array): MetaFile =>
      part === 'length'
        ? { version: 1, length: bytes.length }
        : { version: 1, hashes: { md5: '00', [part]: createHash(part).update(bytes).digest('hex') } }
    sim.edit('timestamp', () => ({ snapshot: metaOf(file) }))
    sim.publish('timestamp')
    await clientOf(sim).refresh()
    sim.edit('timestamp', () => ({ snapshot: metaOf(new Uint8Array(file.length + 1)) }))
    sim.publish('timestamp')
    await refused(clientOf(sim).refresh(), 'mix-and-match', '5.5.2')
  }
})

test('metadata with a hash that nobody knows is refused', async () => {
  const sim = simulate()
  sim.edit('timestamp', () => ({ snapshot: { version: 1, hashes: { md5: '00' } } }))
  sim.publish('timestamp')
  await refused(clientOf(sim).refresh(), 'not-supported')
})

test('missing files are told, and the next refresh goes on', async () => {
  const sim = simulate()
  const client = clientOf(sim)
  await client.refresh()
  sim.publish('targets', 'snapshot', 'timestamp')
  for (const file of ['timestamp.json', '2.snapshot.json', '2.targets.json']) {
    const bytes = sim.files.get(file) as Uint8Array
    sim.files.delete(file)
    await refused(client.refresh(), file === 'timestamp.json' ? 'not-found' : 'incomplete')
    sim.files.set(file, bytes)
  }
  await client.refresh()
  assert.deepEqual(client.trusted(), ['root 1', 'snapshot 2', 'targets 2', 'timestamp 2'])
})

test('fast-forward: a rotated timestamp or snapshot key makes the client forget the versions it has seen', async () => {
  for (const role of ['timestamp', 'snapshot'] as const) {
    const sim = simulate()
    const client = clientOf(sim)
    sim.delegate('targets', { name: 'evil' })
    sim.publish('evil')
    sim.publishAs('targets', 1000)
    sim.publishAs('snapshot', 1000)
    sim.publishAs('timestamp', 1000)
    await client.refresh()

    sim.edit('snapshot', () => ({ meta: new Map() }))
    sim.publishAs('targets', 2)
    sim.publishAs('snapshot', 2)
    sim.publishAs('timestamp', 2)
    await refused(client.refresh(), 'downgrade')

    sim.setKeys(role, [ed25519Signer(60)])
    for (const again of ['snapshot', 'timestamp']) sim.publishAs(again, 2)
    await client.refresh()
    assert.deepEqual(client.trusted(), ['root 2', 'snapshot 2', 'targets 2', 'timestamp 2'])
  }
})

test('fast-forward: one of several timestamp keys is enough to forget, a key that is added is not', async () => {
  const sim = simulate()
  const keys = [ed25519Signer(60), ed25519Signer(61)]
  sim.setKeys('timestamp', keys)
  sim.publishAs('timestamp', 1000)
  const client = clientOf(sim)
  await client.refresh()

  sim.setKeys('timestamp', [...keys, ed25519Signer(62)])
  sim.publishAs('timestamp', 2)
  await refused(client.refresh(), 'downgrade', '5.4.3.1')

  sim.setKeys('timestamp', keys.slice(1))
  sim.publishAs('timestamp', 2)
  await client.refresh()
  assert.ok(client.trusted().includes('timestamp 2'))
})

test('fast-forward: a version that nothing could follow is refused, wherever it is named', async () => {
  for (const version of [farthestVersion, farthestVersion + 1]) {
    for (const role of ['timestamp', 'snapshot', 'targets'] as const) {
      const sim = simulate()
      const client = clientOf(sim)
      await client.refresh()
      const before = client.trusted()
      sim.publishAs(role, version)
      sim.publish(...['snapshot', 'timestamp'].filter((above) => above !== role && !(role === 'timestamp' && above === 'snapshot')))
      if (version === farthestVersion) await client.refresh()
      else await refused(client.refresh(), 'fast-forward')
      const after = client.trusted()
      assert.equal(after.includes(`${role} ${version}`), version === farthestVersion)
      if (role !== 'targets' && version > farthestVersion) assert.deepEqual(after, before)
    }
  }
})

test('a key that is another under its old id is rotated, one that nobody holds is not', () => {
  const sim = simulate()
  const old = decodeRoot(sim.files.get('1.root.json') as Uint8Array)
  const [id] = old.value.roles.timestamp.keyIds as [string]
  const withKeys = (keys: typeof old.value.keys): typeof old => ({ ...old, value: { ...old.value, keys } })
  const other = new Map([...old.value.keys, [id, ed25519Signer(70).key] as const])
  const none = new Map([...old.value.keys].filter(([known]) => known !== id))
  assert.equal(rotatesOnline(old, old), false)
  assert.equal(rotatesOnline(old, withKeys(other)), true)
  assert.equal(rotatesOnline(old, withKeys(none)), true)
  assert.equal(rotatesOnline(withKeys(none), old), true)
  assert.equal(rotatesOnline(withKeys(none), withKeys(none)), false)
})

test('what has expired is taken for as long as the caller forgives it, and told', async () => {
  const sim = simulate()
  const client = clientOf(sim)
  const { expires } = sim.roles.targets
  sim.delegate('targets', { name: 'base-amd64' })
  sim.publish('base-amd64')
  for (const role of ['root', 'timestamp', 'snapshot'] as const) sim.edit(role, () => ({ expires: expires + 60 * day }))
  sim.edit('targets', () => ({ expires: expires + 3 * day }))
  sim.publish('root', 'targets', 'snapshot', 'timestamp')
  sim.now = expires - 1
  const fresh = await client.refresh()
  await fresh.targetsOf('base-amd64')
  assert.equal(fresh.staleSince(), undefined)
  sim.now = expires
  const trust = await client.refresh({ grace: 5 * day })
  assert.equal(trust.staleSince(), undefined)
  await trust.targetsOf('base-amd64')
  assert.equal(trust.staleSince(), expires)
  sim.now = expires + 4 * day
  await refused(client.refresh(), 'expired', '5.6.5')
  assert.equal((await client.refresh({ grace: 5 * day })).staleSince(), expires + 3 * day)
  await refused(client.refresh({ grace: day }), 'expired', '5.6.5')
})

test('a stored file of the right version and another content is fetched again', async () => {
  const sim = simulate()
  sim.hashes = true
  sim.publish('targets', 'snapshot', 'timestamp')
  const client = clientOf(sim)
  await client.refresh()
  for (const role of ['snapshot', 'targets']) {
    const good = bytesOf(client, `${role}.json`)
    client.files.set(`${role}.json`, utf8(` ${good}`))
    await client.refresh()
    assert.equal(bytesOf(client, `${role}.json`), good)
  }
})

test('a signed length may be all that the ceiling allows', async () => {
  const sim = simulate()
  sim.hashes = true
  for (let i = 0; i < 9; i++) sim.addTarget('targets', `file-${i}`, '')
  sim.publish('targets', 'snapshot', 'timestamp')
  const ceiling = sim.files.get('2.targets.json')?.length as number
  const refresh = async (most: number): Promise<unknown> =>
    await clientOf(sim).refresh({ limits: { ceiling: most, root: most, timestamp: most } })
  await refresh(ceiling)
  await refused(refresh(ceiling - 1), 'over-limit')
})

test('a store that was damaged is fetched again, a damaged root is told', async () => {
  const sim = simulate()
  const client = clientOf(sim)
  await client.refresh()
  for (const file of ['timestamp.json', 'snapshot.json', 'targets.json']) {
    client.files.set(file, utf8('not metadata'))
    await client.refresh()
    assert.deepEqual(client.trusted(), ['root 1', 'snapshot 1', 'targets 1', 'timestamp 1'])
  }
  client.files.set('root.json', utf8('not metadata'))
  await refused(client.refresh(), 'bad-format')
})

test('a refresh that fails at any write can be repeated', async () => {
  const sim = simulate()
  const client = clientOf(sim)
  await client.refresh()
  sim.setKeys('timestamp', [ed25519Signer(60)])
  sim.publish('targets', 'snapshot', 'timestamp')
  for (let allowed = 0; ; allowed++) {
    const attempt = clientOf(sim)
    for (const [file, bytes] of client.files) attempt.files.set(file, bytes)
    let left = allowed
    const spend = (): void => {
      if (left-- === 0) throw new Error('power cut')
    }
    const store = {
      ...attempt.store,
      save: async (file: string, bytes: Uint8Array) => (spend(), await attempt.store.save(file, bytes)),
      remove: async (file: string) => (spend(), await attempt.store.remove(file)),
    }
    const cut = await attempt.refresh({ store }).then(
      () => false,
      () => true,
    )
    await attempt.refresh()
    assert.deepEqual(attempt.trusted(), ['root 2', 'snapshot 2', 'targets 2', 'timestamp 2'])
    if (!cut) break
  }
})
