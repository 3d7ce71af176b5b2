import assert from 'node:assert/strict'
import { test } from 'node:test'
import { oneChunk, utf8 } from '../src/base/bytes.ts'
import { isBinderyError } from '../src/base/error.ts'
import { usualLifetimes } from '../src/engine/repo/commit.ts'
import { keyAccount } from '../src/engine/repo/key-account.ts'
import { draftKeyChange, draftRenewal } from '../src/engine/repo/key-change.ts'
import { commitKeyDrafts, stageKeyDrafts } from '../src/engine/repo/key-commit.ts'
import { examineKeys } from '../src/engine/repo/key-doctor.ts'
import { emptyKeyring, openKeyring } from '../src/engine/repo/keyring.ts'
import { countersign, signMetadata } from '../src/engine/repo/keys.ts'
import { farthestVersion } from '../src/engine/repo/update-roles.ts'
import { loadRepository } from '../src/engine/repo/repository.ts'
import { openStage } from '../src/engine/repo/stage.ts'
import { publishStage } from '../src/engine/repo/stage-publish.ts'
import { signStage } from '../src/engine/repo/stage-sign.ts'
import { describeStage, stageLines } from '../src/engine/repo/stage-summary.ts'
import { refreshTrust } from '../src/engine/repo/trust.ts'
import { readKeyNotes, withKeyNotes } from '../src/format/key-notes.ts'
import { encodeSigned, tufKeyId } from '../src/format/tuf.ts'
import { memoryStore } from '../src/host/memory-store.ts'
import { makeKeys, noQuestions, openWorkshop, smallDist } from './helpers/repository.ts'
import type { ErrorCode } from '../src/base/error.ts'
import type { KeyChange, NamedKey } from '../src/engine/repo/key-change.ts'
import type { KeyFile, Keyring } from '../src/engine/repo/keyring.ts'
import type { MetadataSource, TrustStore } from '../src/engine/repo/trust.ts'
import type { Root, Timestamp, TufKey } from '../src/format/tuf.ts'
import type { Store } from '../src/port/store.ts'

const rejects = async (code: ErrorCode, work: Promise<unknown>): Promise<void> =>
  await assert.rejects(work, (error) => isBinderyError(error, code))

/** A repository with a release, further keys, and the ways to change which of them count. */
async function openKeys() {
  const workshop = await openWorkshop()
  await workshop.publish(await smallDist('1.0'))
  const { store, clock, keys: first } = workshop
  const more = await makeKeys(['alice', 'bob', 'carol', 'mallory', 'timestamp-2', 'snapshot-2', 'channels-2', 'targets-2'])
  const files: readonly Required<KeyFile>[] = [...first, ...more]
  const all = openKeyring(files, noQuestions)
  const named = (name: string): NamedKey => ({ key: all.publicKey(name) as TufKey, holder: name })
  const idOf = (name: string): string => tufKeyId(named(name).key)
  const only = (...names: readonly string[]): Keyring =>
    openKeyring(
      files.filter(({ name }) => names.includes(name)),
      noQuestions,
    )
  const drafting = { store, clock, lifetimes: usualLifetimes }
  const changeOf = (roles: string, { add = [], remove = [], announce = [], threshold }: Change): KeyChange => ({
    roles: roles.split(','),
    add: add.map(named),
    remove: remove.map(idOf),
    announce: announce.map(named),
    threshold,
  })
  return {
    ...workshop,
    all,
    only,
    idOf,
    client: clientOf(store, clock),
    change: async (roles: string, change: Change, keyring = all) =>
      await commitKeyDrafts({
        ...drafting,
        keyring,
        make: (repository, input) => draftKeyChange(repository, changeOf(roles, change), input),
      }),
    renew: async (roles: string) =>
      await commitKeyDrafts({ ...drafting, keyring: all, make: (repository, input) => draftRenewal(repository, [roles], input) }),
    stage: async (stage: Store, roles: string, change: Change) =>
      await stageKeyDrafts({ ...drafting, stage, make: (repository, input) => draftKeyChange(repository, changeOf(roles, change), input) }),
    sign: async (stage: Store, keyring: Keyring) => await signStage({ ...drafting, stage: await openStage(stage), keyring }),
    finish: async (stage: Store, keyring = emptyKeyring) => await publishStage({ ...drafting, stage, keyring }),
    warnings: async (change: { readonly atHand?: readonly string[]; readonly now?: number } = {}) =>
      examineKeys({
        accounts: keyAccount(await loadRepository(store)),
        now: change.now ?? clock.now(),
        ...(change.atHand === undefined ? {} : { atHand: new Set(change.atHand.map(idOf)) }),
      }).map(({ kind, role }) => `${kind} ${role}`),
  }
}

type Change = {
  readonly add?: readonly string[]
  readonly remove?: readonly string[]
  readonly announce?: readonly string[]
  readonly threshold?: number
}

/** Enrolled with the first root; follows `source` from there. */
function clientOf(store: Store, clock: { now(): number }) {
  const files = new Map<string, Uint8Array>()
  const trust: TrustStore = {
    load: async (file) => files.get(file),
    save: async (file, bytes) => void files.set(file, bytes),
    remove: async (file) => void files.delete(file),
  }
  const honest: MetadataSource = {
    fetch: async (file) => {
      const bytes = await store.get(`metadata/${file}`)
      return bytes === undefined ? { kind: 'absent' } : { kind: 'bytes', bytes }
    },
  }
  return async (source = honest): Promise<number> => {
    if (!files.has('root.json')) files.set('root.json', (await store.get('metadata/1.root.json')) as Uint8Array)
    return (await refreshTrust({ store: trust, source, clock })).root.value.version
  }
}

/** 2 of alice, bob and carol for root and targets. */
async function openCouncil() {
  const road = await openKeys()
  await road.change('root,targets', { add: ['alice', 'bob', 'carol'], threshold: 2 })
  await road.change('root', { remove: ['root'] })
  await road.change('targets', { remove: ['targets'] })
  return road
}

test('every role changes its keys, all of it is signed anew, and a client ten versions behind follows', async () => {
  const { change, client, fsck, renew, idOf, store } = await openKeys()
  assert.equal(await client(), 1)
  assert.deepEqual(await change('root', { add: ['alice', 'bob'], threshold: 2 }), ['root'])
  assert.deepEqual(await change('root', { remove: ['root'] }), ['root'])
  assert.deepEqual(await change('timestamp', { add: ['timestamp-2'], remove: ['timestamp'] }), ['root'])
  assert.deepEqual(await change('snapshot', { add: ['snapshot-2'], remove: ['snapshot'] }), ['root'])
  assert.deepEqual(await change('targets', { add: ['targets-2'], remove: ['targets'] }), ['root', 'targets'])
  assert.deepEqual(await change('channels', { add: ['channels-2'] }), ['targets'], 'the old key has signed what is there')
  assert.deepEqual(await change('base-amd64', { remove: ['channels'] }), ['targets', 'base-amd64'])
  assert.deepEqual(await change('root', { add: ['carol'], remove: ['bob'] }), ['root'])
  for (let i = 0; i < 5; i++) await renew('root')
  assert.deepEqual(await fsck({ deep: true }), [])
  const { root, targets } = await loadRepository(store)
  assert.equal(await client(), root.signed.value.version)
  assert.ok(root.signed.value.version > 10)
  assert.deepEqual([...root.signed.value.keys.keys()].sort(), ['alice', 'carol', 'targets-2', 'snapshot-2', 'timestamp-2'].map(idOf).sort())
  assert.deepEqual([...(targets.signed.value.delegations?.keys.keys() ?? [])], [idOf('channels-2')])
})

test('what would shut everybody out is refused before anything is written', async () => {
  const { change, store, only } = await openKeys()
  const before = new Map(store.files)
  await rejects('usage', change('root', { remove: ['root'] }))
  await rejects('usage', change('root', { add: ['alice'], threshold: 3 }))
  await rejects('exists', change('root', { add: ['root'] }))
  await rejects('not-found', change('root', { remove: ['alice'] }))
  await rejects('not-found', change('rot', { add: ['alice'] }))
  await rejects('wrong-key', change('root', { add: ['alice'], remove: ['root'] }, only('alice', 'snapshot', 'timestamp')))
  await rejects('wrong-key', change('root', { add: ['alice'], remove: ['root'] }, only('root', 'snapshot', 'timestamp')))
  await rejects('wrong-key', change('timestamp', { add: ['timestamp-2'], remove: ['timestamp'] }, only('root', 'snapshot', 'timestamp')))
  assert.deepEqual(store.files, before)
})

test('a change goes round in any order; too few, or others, are not enough', async () => {
  const { stage, sign, finish, only, store, fsck, client } = await openCouncil()
  const folder = memoryStore()
  assert.deepEqual(await stage(folder, 'timestamp', { add: ['timestamp-2'], remove: ['timestamp'] }), ['root'])
  const before = new Map(store.files)
  const online = only('snapshot', 'timestamp-2')
  await rejects('bad-signature', finish(folder, online))
  await rejects('wrong-key', sign(folder, only('mallory', 'root')))
  await sign(folder, only('carol'))
  await assert.rejects(finish(folder, online), (error) => isBinderyError(error, 'bad-signature') && /alice, bob/.test(error.hint ?? ''))
  assert.deepEqual(store.files, before)
  await sign(folder, only('alice'))
  await rejects('wrong-key', finish(folder, only('snapshot', 'timestamp')))
  assert.deepEqual(store.files, before)
  assert.deepEqual(await finish(folder, online), ['root'])
  assert.deepEqual(await fsck({ deep: true }), [])
  assert.equal(await client(), 5)
})

test('the summary says who comes and goes, whether that was announced, who has signed, and of what bytes', async () => {
  const { stage, change, sign, only, idOf } = await openCouncil()
  await change('root', { announce: ['targets-2'] })
  const folder = memoryStore()
  await stage(folder, 'root', { add: ['targets-2', 'mallory'], remove: ['carol'], threshold: 3 })
  await sign(folder, only('bob'))
  const text = stageLines(await describeStage(await openStage(folder)), () => undefined).join('\n')
  for (const part of [
    'who signs for root: 2 of 3 keys -> 3 of 4 keys',
    `removes carol ${idOf('carol')}`,
    `adds targets-2 ${idOf('targets-2')}, which was announced`,
    `adds mallory ${idOf('mallory')}, which was NOT announced`,
    'root 5 asks for 2 signatures of 3 keys, and has 1',
    'root 6 asks for 3 signatures of 4 keys, and has 1',
    `signed: bob ${idOf('bob')}`,
    `not yet: alice ${idOf('alice')}`,
  ])
    assert.ok(text.includes(part), `${part}\n${text}`)
  assert.match(text, /sha256 of what is signed: [0-9a-f]{64}/)
})

test('what was shown is signed, whatever is put in its place after that', async () => {
  const { stage, finish, only, store, clock } = await openCouncil()
  const [folder, other] = [memoryStore(), memoryStore()]
  await stage(folder, 'root', { add: ['targets-2'], remove: ['carol'] })
  await stage(other, 'root', { add: ['mallory'], remove: ['carol'] })
  const seen = await openStage(folder)
  await describeStage(seen)
  for (const [key, bytes] of other.files) folder.files.set(key, bytes)
  for (const name of ['alice', 'bob']) {
    await signStage({ stage: seen, keyring: only(name), clock, lifetimes: usualLifetimes })
    const root = (await openStage(folder)).files[0]?.signed.value as Root
    assert.ok(![...root.keys.values()].some(({ publicKey }) => publicKey === only('mallory').publicKey('mallory')?.publicKey))
  }
  // Signatures do not move to what they were not made for.
  const replaced = other.files.get('metadata/5.root.json') as Uint8Array
  const signed = JSON.parse(Buffer.from(folder.files.get('metadata/5.root.json') as Uint8Array).toString()) as { signatures: unknown }
  const forged = { ...(JSON.parse(Buffer.from(replaced).toString()) as object), signatures: signed.signatures }
  other.files.set('metadata/5.root.json', utf8(JSON.stringify(forged)))
  const before = new Map(store.files)
  await rejects('bad-signature', finish(other, only('snapshot', 'timestamp')))
  assert.deepEqual(store.files, before)
})

test('a folder on a made-up past is refused by whoever knows a root; so are versions that cannot come next', async () => {
  const { store, stage } = await openCouncil()
  const trusted = (await store.get('metadata/2.root.json')) as Uint8Array
  const folder = memoryStore()
  await stage(folder, 'root', { announce: ['targets-2'] })
  await openStage(folder, trusted)
  const mallory = await openKeys()
  for (let i = 0; i < 3; i++) await mallory.renew('root')
  const fake = memoryStore()
  await mallory.stage(fake, 'root', { add: ['alice'], threshold: 1 })
  await openStage(fake)
  await rejects('wrong-key', openStage(fake, trusted))
  for (const key of ['base/metadata/2.root.json', 'base/metadata/3.root.json']) {
    const file = folder.files.get(key) as Uint8Array
    folder.files.delete(key)
    await rejects('not-found', openStage(folder, trusted))
    folder.files.set(key, file)
  }
  const root = (await openStage(folder)).files[0]?.signed.value as Root
  folder.files.delete('metadata/5.root.json')
  folder.files.set('metadata/9.root.json', encodeSigned({ ...root, version: 9 }, []))
  await rejects('mix-and-match', openStage(folder))
})

test('one stolen key of two that must sign changes nothing: neither repository nor client take what it signs', async () => {
  const { store, stage, finish, only, client, idOf, pass } = await openCouncil()
  assert.equal(await client(), 4)
  const folder = memoryStore()
  await stage(folder, 'root', { add: ['mallory'], threshold: 1 })
  const thieves = await only('alice', 'mallory').signers([idOf('alice'), idOf('mallory')])
  const file = countersign(folder.files.get('metadata/5.root.json') as Uint8Array, thieves)
  folder.files.set('metadata/5.root.json', file)
  await rejects('bad-signature', finish(folder, only('snapshot', 'timestamp')))
  await store.put('metadata/5.root.json', oneChunk(file))
  // A new root is looked for once a day.
  pass(2)
  await rejects('under-threshold', client())
  await store.delete('metadata/5.root.json')
  assert.equal(await client(), 4)
})

test('versions and times that a thief of an online key has raised out of reach are forgotten with the key', async () => {
  const { store, client, change, fsck, clock, only, idOf } = await openKeys()
  await client()
  const honest = (await loadRepository(store)).timestamp.signed.value
  const ahead = clock.now() + 400 * day
  const forge = async (change: Partial<Timestamp>): Promise<Uint8Array> =>
    signMetadata({ ...honest, ...change }, await only('timestamp').signers([idOf('timestamp')]))
  const farVersion = await forge({ version: farthestVersion - 1 })
  const farTime = await forge({ version: farthestVersion, issued: ahead - 20 * day, expires: ahead })
  // Refused at once, before anything could be out of reach.
  for (const change of [{ version: farthestVersion + 1 }, { version: Number.MAX_SAFE_INTEGER }])
    await rejects('fast-forward', client(shownBy(store, await forge(change))))
  await client()
  assert.equal(await client(shownBy(store, farVersion)), 1)
  await rejects('downgrade', client())
  await rejects('expired', client(shownBy(store, farTime)))
  await rejects('expired', client())
  // He could write into the repository, too.
  await store.put('metadata/timestamp.json', oneChunk(farTime))
  await change('timestamp', { add: ['timestamp-2'], remove: ['timestamp'] })
  assert.equal(await client(), 2)
  assert.ok((await loadRepository(store)).timestamp.signed.value.version < farthestVersion / 2)
  assert.deepEqual(
    (await fsck({ deep: true })).filter(({ severity }) => severity !== 'note'),
    [],
  )
  await rejects('bad-signature', client(shownBy(store, farTime)))
})

/** By someone between the repository and a client. */
function shownBy(store: Store, timestamp: Uint8Array): MetadataSource {
  return {
    fetch: async (file) => {
      const bytes = file === 'timestamp.json' ? timestamp : await store.get(`metadata/${file}`)
      return bytes === undefined ? { kind: 'absent' } : { kind: 'bytes', bytes }
    },
  }
}

const day = 86_400_000

test('next keys and holders are members of their own, kept by what does not know them, and ignored where they mean something else', async () => {
  const { change, store, idOf, renew, publish } = await openKeys()
  await change('root', { announce: ['alice', 'bob'] })
  await change('channels', { announce: ['channels-2'] })
  await renew('root')
  await publish(await smallDist('1.1'))
  const { root, targets } = await loadRepository(store)
  const { next, holders } = readKeyNotes(root.signed.value.extra)
  assert.deepEqual([...(next.get('root')?.keys() ?? [])].sort(), [idOf('alice'), idOf('bob')].sort())
  assert.equal(holders.get(idOf('alice')), 'alice')
  assert.deepEqual([...(readKeyNotes(targets.signed.value.extra).next.get('base-amd64')?.keys() ?? [])], [idOf('channels-2')])
  await change('root', { add: ['alice'] })
  await change('root', { remove: ['bob'] })
  assert.deepEqual(readKeyNotes((await loadRepository(store)).root.signed.value.extra).next, new Map())
  const foreign = { holders: ['a'], next_keys: { root: 7, targets: { x: { keytype: 1 } } }, other: 'kept' }
  const notes = readKeyNotes({ ...foreign, holders: { good: 'x', bad: 'a\u001b[2J', worse: 3 } })
  assert.deepEqual([...notes.holders], [['good', 'x']])
  assert.deepEqual(withKeyNotes(foreign, { holders: new Map(), next: new Map() }), { extra: { other: 'kept' } })
})

test('doctor is silent where all is well, and warns of what is not', async () => {
  const { change, warnings, clock } = await openCouncil()
  assert.deepEqual(await warnings(), ['no-next-key root'])
  await change('root', { announce: ['targets-2'] })
  assert.deepEqual(await warnings({ atHand: ['snapshot', 'timestamp', 'channels'] }), [])
  assert.deepEqual(await warnings({ atHand: ['snapshot', 'alice'] }), [
    'offline-key-here root',
    'offline-key-here targets',
    'cannot-sign timestamp',
  ])
  for (const [days, expected] of [
    [3, []],
    [4, ['expires timestamp']],
    [334, ['expires timestamp']],
    [336, ['root', 'targets', 'base-amd64', 'snapshot', 'timestamp'].map((role) => `expires ${role}`)],
  ] as const)
    assert.deepEqual(await warnings({ now: clock.now() + days * day }), expected, `${days} days`)
  await change('timestamp', { add: ['carol'] })
  await change('snapshot', { add: ['channels'] })
  await change('root', { threshold: 3 })
  assert.deepEqual(await warnings(), ['no-spare root', 'online-key root', 'online-key targets', 'online-key base-amd64'])
  await change('root', { threshold: 1 })
  assert.deepEqual((await warnings())[0], 'one-person root')
})

test('doctor says how near the end is', async () => {
  const { store, clock } = await openKeys()
  const accounts = keyAccount(await loadRepository(store))
  const end = accounts[0]?.metadata?.expires as number
  const near = [30, 7.5, 7, 2, 0.5, 0].map((days) => examineKeys({ accounts, now: end - days * day })[0])
  assert.deepEqual(
    near.map((warning) => warning?.within),
    [30, 30, 7, 7, 1, 0],
  )
  assert.equal(
    examineKeys({ accounts, now: end - 30.1 * day }).some(({ role, kind }) => role === 'root' && kind === 'expires'),
    false,
  )
  assert.ok(clock.now() < end)
})
