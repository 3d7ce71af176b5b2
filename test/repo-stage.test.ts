import assert from 'node:assert/strict'
import { test } from 'node:test'
import { oneChunk } from '../src/base/bytes.ts'
import { isBinderyError } from '../src/base/error.ts'
import { emptyKeyring, openKeyring, requireSigners } from '../src/engine/repo/keyring.ts'
import { renewed, signedFile, usualLifetimes } from '../src/engine/repo/commit.ts'
import { metadataKey } from '../src/engine/repo/layout.ts'
import { publish } from '../src/engine/repo/publish.ts'
import { loadRepository } from '../src/engine/repo/repository.ts'
import { publishStage } from '../src/engine/repo/stage-publish.ts'
import { signStage } from '../src/engine/repo/stage-sign.ts'
import { describeStage, stageLines } from '../src/engine/repo/stage-summary.ts'
import { openStage } from '../src/engine/repo/stage.ts'
import { stageReleases } from '../src/engine/repo/stage-releases.ts'
import { memoryStore } from '../src/host/memory-store.ts'
import { tufKeyId } from '../src/format/tuf.ts'
import { makeKeys, noQuestions, openWorkshop, smallDist } from './helpers/repository.ts'
import type { ErrorCode } from '../src/base/error.ts'
import type { Root } from '../src/format/tuf.ts'
import type { Store } from '../src/port/store.ts'
import type { Keyring } from '../src/engine/repo/keyring.ts'

const rejects = async (code: ErrorCode, work: Promise<unknown>): Promise<void> =>
  await assert.rejects(work, (error) => isBinderyError(error, code))

/** A repository with release 1.0, and the steps of the road over an offline machine. */
async function openRoad() {
  const workshop = await openWorkshop()
  await workshop.publish(await smallDist('1.0'))
  const { store, clock, input } = workshop
  const stage = memoryStore()
  const common = { stage, clock, lifetimes: usualLifetimes }
  return {
    ...workshop,
    stage,
    prepare: async (...dists: readonly Uint8Array[]) => await stageReleases({ ...input(dists), stage }),
    sign: async (keyring: Keyring) => await signStage({ ...common, stage: await openStage(stage), keyring }),
    finish: async (keyring: Keyring = emptyKeyring) => await publishStage({ ...common, store, keyring }),
  }
}

test('unsigned, signed offline, published with the online keys', async () => {
  const { store, stage, prepare, sign, finish, holding, fsck } = await openRoad()
  const before = new Map(store.files)
  await prepare(await smallDist('1.1'))
  assert.deepEqual(store.files, before)
  assert.deepEqual(
    (await sign(holding('channels'))).map(({ role, by, complete }) => ({ role, by, complete })),
    [{ role: 'base-amd64', by: ['channels'], complete: true }],
  )
  assert.deepEqual(await finish(holding('snapshot', 'timestamp')), ['base-amd64'])
  assert.deepEqual(await fsck({ deep: true }), [])
  assert.ok(store.files.has('metadata/2.base-amd64.json'))
  const after = new Map(store.files)
  assert.deepEqual(await finish(holding('snapshot', 'timestamp')), [], 'publishing it again changes nothing')
  assert.deepEqual(store.files, after)
  assert.ok(stage.files.size > 0)
})

test('a machine with all the keys leaves nothing to sign', async () => {
  const { prepare, sign, finish, keyring, fsck } = await openRoad()
  await prepare(await smallDist('1.1'))
  assert.deepEqual(
    (await sign(keyring)).map(({ role }) => role),
    ['base-amd64', 'snapshot', 'timestamp'],
  )
  assert.deepEqual(await finish(), ['base-amd64'])
  assert.deepEqual(await fsck({ deep: true }), [])
})

test('a new channel needs the key of targets as well; each machine adds what it has', async () => {
  const { prepare, sign, finish, holding, fsck } = await openRoad()
  await prepare(await smallDist('1.0', { arch: 'arm64' }))
  const first = await sign(holding('channels'))
  assert.deepEqual(
    first.map(({ role, complete }) => `${role} ${complete}`),
    ['base-arm64 true', 'targets false'],
  )
  await rejects('bad-signature', finish(holding('snapshot', 'timestamp')))
  await sign(holding('targets'))
  assert.deepEqual([...(await finish(holding('snapshot', 'timestamp')))].sort(), ['base-arm64', 'targets'])
  assert.deepEqual(await fsck({ deep: true }), [])
})

test('several releases and channels travel together', async () => {
  const { prepare, sign, finish, keyring, fsck } = await openRoad()
  const revisions = ['1.1', '1.2', '1.3', '1.4', '1.5']
  const releases = await prepare(
    ...(await Promise.all(revisions.map(async (revision) => await smallDist(revision)))),
    await smallDist('1.0', { product: 'comp' }),
  )
  assert.equal(releases.length, 6)
  await sign(keyring)
  await finish()
  assert.deepEqual(await fsck({ deep: true }), [])
})

test('what is signed is shown first', async () => {
  const { stage, prepare } = await openRoad()
  await prepare(await smallDist('1.1'))
  const summary = await describeStage(await openStage(stage))
  assert.deepEqual(
    summary.releases.map(({ sequence, previous }) => [sequence, previous]),
    [[2, 'base-1.0-20260101-amd64']],
  )
  const text = stageLines(summary, () => undefined).join('\n')
  for (const part of [
    /^release base-1\.1-20260101-amd64: number 2 of channel base\/amd64$/m,
    /follows base-1\.0/,
    /role base-amd64: version 2, good until 2027-01-01T12:00:00Z, to be signed/,
    /adds base\/amd64\/base-1\.1-20260101-amd64\.tar\.zst, \d+ bytes, sha256 [0-9a-f]{64}/,
  ]) {
    assert.match(text, part)
  }
})

test('a repository that has moved on is noticed', async () => {
  const { store, prepare, sign, finish, keyring, publish } = await openRoad()
  await prepare(await smallDist('1.1'))
  await sign(keyring)
  await publish(await smallDist('1.2'))
  const before = new Map(store.files)
  await rejects('conflict', finish(keyring))
  assert.deepEqual(store.files, before)
})

test('when only another channel has moved on, the snapshot is made anew', async () => {
  const { prepare, sign, finish, keyring, publish, holding, fsck } = await openRoad()
  await publish(await smallDist('1.0', { product: 'comp' }))
  await prepare(await smallDist('1.1'))
  await sign(keyring)
  await publish(await smallDist('1.1', { product: 'comp' }))
  await rejects('wrong-key', finish())
  assert.deepEqual(await finish(holding('snapshot', 'timestamp')), ['base-amd64'])
  assert.deepEqual(await fsck({ deep: true }), [])
})

test('nothing unsigned is published, and no key of another role counts', async () => {
  const { prepare, sign, finish, keyring, holding } = await openRoad()
  await prepare(await smallDist('1.1'))
  await rejects('bad-signature', finish(keyring))
  await rejects('wrong-key', sign(holding('root', 'targets')))
  await rejects('bad-signature', finish(keyring))
})

test('blobs that were changed on the way are refused before and after signing', async () => {
  const { store, stage, prepare, sign, finish, keyring } = await openRoad()
  await prepare(await smallDist('1.1'))
  const key = [...stage.files.keys()].find((name) => name.endsWith('.tar.zst')) as string
  const whole = stage.files.get(key) as Uint8Array
  const broken = whole.map((byte, i) => (i === 100 ? byte ^ 1 : byte))
  stage.files.set(key, broken)
  await rejects('bad-digest', openStage(stage).then(describeStage))
  await rejects('bad-digest', sign(keyring))
  stage.files.set(key, whole)
  await sign(keyring)
  const before = new Map(store.files)
  stage.files.set(key, broken)
  await rejects('bad-digest', finish(keyring))
  stage.files.delete(key)
  await rejects('not-found', finish(keyring))
  assert.deepEqual(store.files, before)
  stage.files.set(key, whole)
  await finish(keyring)
})

test('metadata that was changed after signing is refused', async () => {
  const { stage, prepare, sign, finish, keyring } = await openRoad()
  await prepare(await smallDist('1.1'))
  await sign(keyring)
  const key = 'metadata/2.base-amd64.json'
  const text = Buffer.from(stage.files.get(key) as Uint8Array).toString()
  stage.files.set(key, new Uint8Array(Buffer.from(text.replace('2027-01-01', '2037-01-01'))))
  await rejects('bad-signature', finish(keyring))
})

test('an offer that waited too long is refused', async () => {
  const { prepare, sign, finish, keyring, pass } = await openRoad()
  await prepare(await smallDist('1.1'))
  await sign(keyring)
  pass(400)
  await rejects('expired', finish(keyring))
})

test('an old timestamp of the stage is replaced by a new one', async () => {
  const { prepare, sign, finish, keyring, holding, pass, fsck } = await openRoad()
  await prepare(await smallDist('1.1'))
  await sign(keyring)
  pass(30)
  await rejects('wrong-key', finish())
  await finish(holding('snapshot', 'timestamp'))
  assert.deepEqual(await fsck(), [])
})

test('a stage that waits is not written over, one that was published is', async () => {
  const { stage, prepare, sign, finish, keyring, holding, fsck } = await openRoad()
  assert.deepEqual(
    (await prepare(await smallDist('1.0'))).map(({ kind }) => kind),
    ['present'],
  )
  assert.equal(stage.files.size, 0)
  await rejects('not-found', sign(keyring))
  await prepare(await smallDist('1.1'))
  await rejects('exists', prepare(await smallDist('1.2')))
  await sign(keyring)
  await rejects('exists', prepare(await smallDist('1.2')))
  await finish()
  await prepare(await smallDist('1.2'))
  assert.ok([...stage.files.keys()].every((key) => !/(?<!_to_base-)1\.1-20260101-amd64\.(tar\.zst|update)$/.test(key)))
  await sign(holding('channels'))
  await finish(holding('snapshot', 'timestamp'))
  assert.deepEqual(await fsck({ deep: true }), [])
})

test('blobs of a try that was broken off are used again', async () => {
  const { stage, prepare, sign, finish, keyring, fsck } = await openRoad()
  await prepare(await smallDist('1.1'))
  for (const key of await stage.list('')) if (!key.startsWith('blobs/')) await stage.delete(key)
  await prepare(await smallDist('1.1'))
  await sign(keyring)
  await finish()
  assert.deepEqual(await fsck({ deep: true }), [])
})

/** A road with a new root in its stage: another key for `role`, signed by the old root's. */
async function withNewRoot(role: 'timestamp' | 'targets') {
  const road = await openRoad()
  const [key] = await makeKeys([role])
  assert.ok(key !== undefined)
  const newKeys = openKeyring([...road.keys.filter(({ name }) => name !== role), key], noQuestions)
  const publicKey = newKeys.publicKey(role)
  assert.ok(publicKey !== undefined)
  const root = (await loadRepository(road.store)).root.signed.value
  const keys = new Map([...root.keys, [tufKeyId(publicKey), publicKey]])
  const roles = { ...root.roles, [role]: { keyIds: [tufKeyId(publicKey)], threshold: 1 } }
  const next: Root = { ...renewed(root, root.expires), keys, roles }
  const signed = signedFile('root', next, await requireSigners(road.keyring, 'root', root.roles.root))
  const stageRoot = async (): Promise<void> => await road.stage.put(metadataKey('root', 2), oneChunk(signed.file))
  return { ...road, newKeys, stageRoot }
}

test('a new root’s key signs the timestamp that comes with it', async () => {
  const { store, newKeys, keyring, stageRoot, finish, fsck } = await withNewRoot('timestamp')
  await stageRoot()
  const before = new Map(store.files)
  await rejects('wrong-key', finish(keyring))
  assert.deepEqual(store.files, before)
  assert.deepEqual(await finish(newKeys), ['root'])
  assert.deepEqual(await fsck({ deep: true }), [])
  assert.deepEqual(await finish(newKeys), [], 'publishing it again changes nothing')
})

test('a new root is signed offline with all that stands below it', async () => {
  const { newKeys, prepare, stageRoot, sign, finish, fsck } = await withNewRoot('timestamp')
  await prepare(await smallDist('1.1'))
  await stageRoot()
  assert.deepEqual((await sign(newKeys)).map(({ role }) => role).sort(), ['base-amd64', 'root', 'snapshot', 'timestamp'])
  assert.deepEqual([...(await finish())].sort(), ['base-amd64', 'root'])
  assert.deepEqual(await fsck({ deep: true }), [])
})

test('a publication that was cut off at any write of a new root is finished by the next one', async () => {
  for (const finishing of ['signed', 'plain'] as const) {
    for (let writes = 0, isCut = true; isCut; writes++) {
      const road = await withNewRoot('timestamp')
      await road.stageRoot()
      const torn = stoppingStore(road.store, writes)
      const work = publishStage({ ...road, store: torn, keyring: road.newKeys, lifetimes: usualLifetimes })
      isCut = await work.then(
        () => false,
        () => true,
      )
      const keys = road.store.files.has('metadata/2.root.json') ? road.newKeys : road.keyring
      if (finishing === 'signed') await road.finish(road.newKeys)
      else await publish({ ...road.input([await smallDist('1.1')]), keyring: keys })
      assert.deepEqual(
        (await road.fsck({ deep: true })).filter(({ severity }) => severity === 'error'),
        [],
        `${writes} writes, ${finishing}`,
      )
    }
  }
})

test('a root that asks for another key of targets.json brings one along', async () => {
  const { store, newKeys, stageRoot, finish } = await withNewRoot('targets')
  await stageRoot()
  const before = new Map(store.files)
  await rejects('bad-signature', finish(newKeys))
  assert.deepEqual(store.files, before)
})

/** Takes so many writes, and then no more. */
function stoppingStore(inner: Store, writes: number): Store {
  let left = writes
  return {
    ...inner,
    put: async (key, content) => {
      if (left-- <= 0) throw new Error('cut off')
      return await inner.put(key, content)
    },
  }
}
