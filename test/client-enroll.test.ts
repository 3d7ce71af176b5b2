import assert from 'node:assert/strict'
import { test } from 'node:test'
import { oneChunk, utf8 } from '../src/base/bytes.ts'
import { formatDistName } from '../src/base/name.ts'
import { readInstalledManifest } from '../src/engine/client/installed.ts'
import { findOffers } from '../src/engine/client/fetch/offer.ts'
import { channelFile, readEnrolled, readReleaseState, statePaths, writeStateFile } from '../src/engine/client/state.ts'
import { isBinderyError } from '../src/base/error.ts'
import { base, channel, many, openRepositoryOnline, stateNames, takeRequests, tree } from './helpers/client-repository.ts'
import { stopsIn } from './helpers/crash.ts'
import { Crash, faultyDisk } from './helpers/faulty-disk.ts'
import type { RelPath } from '../src/base/path.ts'
import type { TestSession } from './helpers/client.ts'
import type { Literal } from './helpers/plant.ts'

test('enroll finds the installed release, rebuilds its tar from the tree, and leaves the tree alone', async () => {
  const online = await openRepositoryOnline()
  await online.release(tree(1), tree(2), tree(3))
  const session = await online.client(tree(2))
  const [enrollment] = await online.enroll(session)
  assert.equal(formatDistName(enrollment?.state.name as never), 'base-2-20260101-amd64')
  assert.deepEqual(enrollment?.differing, [])
  assert.ok(!takeRequests(online.http).some(({ path }) => path.endsWith('.tar.zst')), 'the base was not fetched')
  assert.deepEqual(await stateNames(session), ['base.tar.zst', 'manifest.mtree.zst', 'release'])
  assert.deepEqual(await session.disk.readdir(statePaths.cache), [])
  assert.deepEqual((await readEnrolled(session.disk))[0]?.urls, [base])
})

test('a release that only removed files is told from the one before it', async () => {
  const online = await openRepositoryOnline()
  await online.release({ ...tree(1), gone: 'soon' }, tree(1))
  const [before] = await online.enroll(await online.client({ ...tree(1), gone: 'soon' }))
  const [after] = await online.enroll(await online.client(tree(1)))
  assert.deepEqual([before?.state.sequence, after?.state.sequence], [1, 2])
})

test('a tree with local changes is the nearest release; only what changed is fetched', async () => {
  const online = await openRepositoryOnline()
  await online.release(tree(1, many), tree(2, many))
  const session = await online.client({ ...tree(2, many), 'etc/version': 'my own\n' })
  const [enrollment] = await online.enroll(session)
  assert.deepEqual(enrollment?.differing, ['etc/version'])
  const dists = takeRequests(online.http).filter(({ path }) => path.endsWith('.tar.zst'))
  assert.equal(dists.length, 1)
  assert.match(String(dists[0]?.headers['range']), /^bytes=/)
  await readReleaseState(session.disk, channel)
})

test('without ranges, the whole release is fetched for the base', async () => {
  const online = await openRepositoryOnline()
  await online.release(tree(1))
  await online.serve(base, (_, page) => ({ ...page, ranges: 'ignored' }))
  const session = await online.client({ ...tree(1), 'etc/version': 'my own\n' })
  await online.enroll(session)
  const { base: kept, tar } = await readReleaseState(session.disk, channel)
  assert.deepEqual(kept?.tar, tar)
})

test('a channel that the repository does not have is named, with those that there are', async () => {
  const online = await openRepositoryOnline()
  await online.release(tree(1))
  const session = await online.client(tree(1))
  const wrong = { channels: [{ product: 'z', arch: 'z' }] }
  await assert.rejects(online.enroll(session, wrong), { code: 'not-found', subject: `${base}: z/z`, hint: 'it has base/amd64' })
  assert.deepEqual(await readEnrolled(session.disk), [])
})

test('a stranger is refused and keeps nothing; --release overrides', async () => {
  const online = await openRepositoryOnline()
  await online.release(tree(1), tree(2))
  const session = await online.client({ 'some/other': 'system' })
  await assert.rejects(online.enroll(session), { code: 'not-found', subject: 'base/amd64', hint: /--release/ })
  assert.deepEqual(await readEnrolled(session.disk), [])
  for (const folder of [statePaths.trust, statePaths.channel, statePaths.cache]) assert.deepEqual(await session.disk.readdir(folder), [])
  const [enrollment] = await online.enroll(session, { release: 'base-1-20260101-amd64' })
  assert.equal(enrollment?.state.sequence, 1)
  await assert.rejects(online.enroll(session, { release: 'base-9-20260101-amd64', force: true }), { code: 'not-found' })
})

test('enrolling again needs --force, which also mends a damaged state', async () => {
  const online = await openRepositoryOnline()
  await online.release(tree(1))
  const session = await online.client(tree(1))
  await online.enroll(session)
  await assert.rejects(online.enroll(session), { code: 'exists', hint: /--force/ })
  await writeStateFile(session.disk, statePaths.enrolled, utf8('nonsense'))
  await writeStateFile(session.disk, channelFile(channel, 'release' as RelPath), utf8('nonsense'))
  await online.enroll(session, { force: true })
  assert.equal((await readReleaseState(session.disk, channel)).sequence, 1)
})

test('trust from another root replaces the old one only by force', async () => {
  const [online, other] = [await openRepositoryOnline(), await openRepositoryOnline()]
  await online.release(tree(1))
  const session = await online.client(tree(1))
  await online.enroll(session)
  const before = await session.disk.readdir(statePaths.trust)
  await other.release(tree(1))
  await other.enroll({ ...session, http: other.http, clock: other.workshop.clock }, { force: true })
  const after = await session.disk.readdir(statePaths.trust)
  assert.deepEqual([before.length, after.length, before[0] === after[0]], [1, 1, false])
})

test('an interrupted install is recovered before anything is enrolled', async () => {
  const online = await openRepositoryOnline()
  await online.release(tree(1))
  const session = await online.client(tree(1))
  await writeStateFile(session.disk, statePaths.journal, utf8('x'))
  await assert.rejects(online.enroll(session), { code: 'interrupted', hint: /recover/ })
})

test('a root of another repository is refused', async () => {
  const [online, other] = [await openRepositoryOnline(), await openRepositoryOnline()]
  await online.release(tree(1))
  const root = (await other.workshop.store.get('metadata/1.root.json')) as Uint8Array
  const session = await online.client(tree(1))
  await assert.rejects(online.enroll(session, { root }), { code: 'bad-signature' })
  assert.deepEqual(await session.disk.readdir(statePaths.trust), [])
})

test('a channel that was never enrolled is told', async () => {
  const online = await openRepositoryOnline()
  const session = await online.client(tree(1))
  await assert.rejects(findOffers(session), { code: 'not-enrolled', hint: /enroll/ })
})

const small: Literal = { 'bin/sh': 'a shell', 'etc/version': 'release 1', var: { kind: 'dir' } }

test('an enroll that fails at any call leaves nothing', async () => {
  const online = await openRepositoryOnline()
  await online.release(small)
  const probe = faultyDisk((await online.client(small)).disk, { kind: 'none' })
  await online.enroll({ ...(await online.client(small)), disk: probe.disk })
  assert.ok(probe.calls.length > 20)
  for (let at = 1; at <= probe.calls.length; at++) {
    const session = await online.client(small)
    const faulty = faultyDisk(session.disk, { kind: 'fail', at, code: 'no-space' })
    const done = await online.enroll({ ...session, disk: faulty.disk }).catch((error: unknown) => error)
    assert.ok(
      isBinderyError(done, 'no-space') || (await readEnrolled(session.disk)).length === 1,
      `${faulty.calls[at - 1]}: ${String(done)}`,
    )
    if ((await readEnrolled(session.disk)).length === 1) continue
    for (const folder of [statePaths.trust, statePaths.channel])
      assert.deepEqual(await session.disk.readdir(folder), [], faulty.calls[at - 1])
  }
})

test('an enroll that is killed at any call can be done again', async () => {
  const online = await openRepositoryOnline()
  await online.release(small)
  const probe = faultyDisk((await online.client(small)).disk, { kind: 'none' })
  await online.enroll({ ...(await online.client(small)), disk: probe.disk })
  for (const at of stopsIn(probe.calls, 0)) {
    const session = await online.client(small)
    const faulty = faultyDisk(session.disk, { kind: 'crash', at, when: at % 2 === 0 ? 'midway' : 'after' })
    await assert.rejects(online.enroll({ ...session, disk: faulty.disk }), Crash)
    if ((await readEnrolled(session.disk)).length === 0) await online.enroll(session)
    assert.equal((await findOffers(session)).length, 1)
    assert.equal((await readReleaseState(session.disk, channel)).sequence, 1)
  }
})

test('an enroll --force that is killed at any call leaves the channel a release, and can be done again', async () => {
  const online = await openRepositoryOnline()
  await online.release(small)
  const enrolled = async (): Promise<TestSession> => {
    const session = await online.client(small)
    await online.enroll(session)
    await session.disk.create('var/db/bindery/channel/base-amd64/1.delta' as RelPath, oneChunk(utf8('of an older base')))
    return session
  }
  const probe = await enrolled()
  const { disk, calls } = faultyDisk(probe.disk, { kind: 'none' })
  await online.enroll({ ...probe, disk }, { force: true })
  for (const at of stopsIn(calls, 1)) {
    const session = await enrolled()
    const faulty = faultyDisk(session.disk, { kind: 'crash', at, when: 'before' })
    await assert.rejects(online.enroll({ ...session, disk: faulty.disk }, { force: true }), Crash)
    const state = await readReleaseState(session.disk, channel)
    await readInstalledManifest(session.disk, channel, state)
    await online.enroll(session, { force: true })
    assert.deepEqual(await stateNames(session), ['base.tar.zst', 'manifest.mtree.zst', 'release'])
  }
})
