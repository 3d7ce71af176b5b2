import assert from 'node:assert/strict'
import { test } from 'node:test'
import { draw } from '../src/engine/client/draw.ts'
import { silentMeter } from '../src/engine/client/fetch/download.ts'
import { daysUntil, prospectsOf, stageOf } from '../src/engine/client/fetch/prospects.ts'
import { listReleases, needTarget, readUpdate } from '../src/engine/client/fetch/releases.ts'
import { isOffered } from '../src/engine/client/fetch/rollout.ts'
import { defaultConfig } from '../src/format/conf.ts'
import { encodeUpdate, updateLimits } from '../src/format/update.ts'
import { address, amd64, enrolledOf, follower, record, serve, served, servedRecord, trustIn } from './helpers/listed-releases.ts'
import { refused } from './helpers/refused.ts'
import { releaseName } from './helpers/repository.ts'
import type { ListedRelease } from '../src/engine/client/fetch/releases.ts'
import type { Case } from '../src/engine/client/fetch/rollout.ts'
import type { Listing } from '../src/format/listing.ts'
import type { Update } from '../src/format/update.ts'
import type { MemoryHttp } from '../src/host/memory-http.ts'
import type { Served } from './helpers/listed-releases.ts'

/** Which releases a channel lists, what their records say, and to whom they are offered. */

const listed = async (...all: readonly Served[]): Promise<readonly ListedRelease[]> =>
  await listReleases(trustIn({ 'base-amd64': all }), amd64('base'))

test('releases are listed newest first, with what the channel says of each', async () => {
  const [second, third] = [servedRecord(record(2), { endOfLife: '2027-05-31' }), servedRecord(record(3), { withdrawn: true })]
  const found = await listed(servedRecord(record(1)), third, second)
  assert.deepEqual(
    found.map(({ sequence, endOfLife, withdrawn }) => [sequence, endOfLife, withdrawn]),
    [
      [3, undefined, true],
      [2, '2027-05-31', undefined],
      [1, undefined, undefined],
    ],
  )
  const { path: target, sha256 } = second.info
  assert.deepEqual(found[1], { sequence: 2, endOfLife: '2027-05-31', name: releaseName('2'), target, sha256 })
})

test('what is no record of this channel is passed over', async () => {
  const bytes = encodeUpdate(record(1))
  const others = [
    served('base/amd64/base-1-20260101-amd64.tar.zst', bytes, { sequence: 1 }),
    // What its channel says of it is no record's.
    served('base/amd64/base-1-20260101-amd64.tar', bytes, { sequence: 1, endOfLife: 'soon' }),
    // As long as the name of a record, and a name of a release without its end.
    served('base/amd64/base-1-20260101-amd64.upgrade', bytes, { sequence: 1 }),
    served('base/amd64/base-1-20260101.update', bytes, { sequence: 1 }),
    served('base/amd64/sub/base-1-20260101-amd64.update', bytes, { sequence: 1 }),
    served('base-1-20260101-amd64.update', bytes, { sequence: 1 }),
    served('base/amd64/base-2-20260101-amd64.update', bytes),
    served('base/amd64/base-2-20260101-amd64.update', bytes, { sequence: 0 }),
    servedRecord(record(4, {}, 'comp')),
  ]
  assert.deepEqual(await listed(...others), [])
  assert.deepEqual(
    (await listed(...others, servedRecord(record(5)))).map(({ sequence }) => sequence),
    [5],
  )
})

async function read(listing: Partial<ListedRelease>, update: Update = record(2), limit?: Uint8Array): Promise<Update> {
  const blob = limit === undefined ? servedRecord(update) : served(servedRecord(update).info.path, limit, { sequence: 2 })
  const trust = trustIn({ 'base-amd64': [blob] })
  const session = await follower({})
  serve(session.http as MemoryHttp, [blob])
  const [release] = await listReleases(trust, amd64('base'))
  return (await readUpdate(session, { urls: [address], meter: silentMeter }, trust, { ...(release as ListedRelease), ...listing })).value
}

test('a record is read where it is that of the release that is listed', async () => {
  assert.deepEqual(await read({}), record(2))
  const target = 'base/amd64/base-2-20260101-amd64.update'
  assert.deepEqual(await refused(read({ sequence: 3 })), ['bad-format', target])
  assert.deepEqual(await refused(read({ name: releaseName('3') })), ['bad-format', target])
  assert.deepEqual(await refused(read({ target: 'base/amd64/gone.update' })), ['not-found', 'base/amd64/gone.update'])
  assert.deepEqual(await refused(read({}, record(2), new Uint8Array(updateLimits.bytes + 1))), ['over-limit', target])
})

test('a target that is listed is found, and one that is not is refused by its name', async () => {
  const blob = servedRecord(record(1))
  const trust = trustIn({ 'base-amd64': [blob] })
  assert.deepEqual((await needTarget(trust, blob.info.path)).value, blob.info)
  assert.deepEqual(await refused(needTarget(trust, 'base/amd64/x')), ['not-found', 'base/amd64/x'])
})

// --- to whom

const machine = '0123456789abcdef0123456789abcdef'
const chance = draw('rollout', machine, '2-20260101')
const release: ListedRelease = { sequence: 2, name: releaseName('2'), target: '', sha256: '' as never }
const usual: Case = { security: false, isBegun: false, now: 0 }

type Situation = { readonly listing?: Partial<Listing>; readonly of?: Partial<Case>; readonly rollout?: boolean; readonly id?: string }

async function offering({ listing = {}, of = {}, rollout = true, ...more }: Situation): Promise<readonly [boolean, string]> {
  const session = await follower(
    {},
    {},
    { config: { ...defaultConfig, rollout }, machineId: async () => ('id' in more ? more.id : machine) },
  )
  return [await isOffered(session, { ...release, ...listing }, { ...usual, ...of }), session.explained.join('\n')]
}

const atOnce = [true, ''] as const
const later = [
  false,
  "base-2-20260101-amd64 is on its way to all machines, and not yet offered to this one; 'install --now' takes it",
] as const
const none = { rollout: { percent: 0 } } as const

test('a release comes to the machines whose turn it is, and the others are told', async () => {
  assert.deepEqual(await offering({}), atOnce)
  assert.deepEqual(await offering({ listing: none }), later)
  assert.deepEqual(await offering({ listing: { rollout: { percent: 100 } } }), atOnce)
  assert.deepEqual(await offering({ listing: { rollout: { percent: Math.floor(chance * 100) } } }), later)
  assert.deepEqual(await offering({ listing: { rollout: { percent: Math.ceil(chance * 100) } } }), atOnce)
  const ramp = { rollout: { percent: 0, ramp: { begin: 0, end: 1000 } } }
  const now = (share: number): Partial<Case> => ({ now: share * 1_000_000 })
  assert.deepEqual(await offering({ listing: ramp, of: now(chance - 0.001) }), later)
  assert.deepEqual(await offering({ listing: ramp, of: now(chance + 0.001) }), atOnce)
  // Not even the last one has its turn at once.
  assert.deepEqual(await offering({ listing: ramp, of: now(chance) }), later)
})

test('it does not wait where it mends a hole, has begun, or bindery.conf says so; nor does anybody without an id come first', async () => {
  assert.deepEqual(await offering({ listing: none, of: { security: true } }), atOnce)
  assert.deepEqual(await offering({ listing: none, of: { isBegun: true } }), atOnce)
  assert.deepEqual(await offering({ listing: none, rollout: false }), atOnce)
  assert.deepEqual(await offering({ listing: { rollout: { percent: 99 } }, id: undefined } as never), later)
})

test('what was withdrawn is offered to nobody, whatever else holds', async () => {
  const taken = { listing: { withdrawn: true as const } }
  const told = [false, 'base-2-20260101-amd64 was withdrawn']
  for (const more of [{}, { of: { security: true } }, { of: { isBegun: true } }, { rollout: false }])
    assert.deepEqual(await offering({ ...taken, ...more }), told)
})

// --- what is said of the installed one

test('what the channel says of the installed release is told, and nothing of one that it does not list', async () => {
  const session = await follower({ base: { sequence: 2, name: releaseName('2') } })
  const prospects = async (...all: readonly Served[]): Promise<unknown> =>
    await prospectsOf(session.disk, { enrolled: enrolledOf('base'), trust: trustIn({ 'base-amd64': all }) })
  const installed = { channel: amd64('base'), release: 'base-2-20260101-amd64' }
  const others = [servedRecord(record(1), { endOfLife: '2027-01-01' }), servedRecord(record(3), { withdrawn: true })]
  assert.deepEqual(await prospects(...others), installed)
  assert.deepEqual(await prospects(...others, servedRecord(record(2))), installed)
  assert.deepEqual(await prospects(...others, servedRecord(record(2), { endOfLife: '2027-05-31' })), {
    ...installed,
    endOfLife: '2027-05-31',
  })
  assert.deepEqual(await prospects(...others, servedRecord(record(2), { withdrawn: true })), { ...installed, withdrawn: true })
})

test('an end of life is announced 90, 30 and 7 days ahead, and when it has come', () => {
  const [end, day] = [Date.UTC(2027, 4, 31), 86_400_000]
  const stages = [
    [91, undefined],
    [90, 90],
    [31, 90],
    [30, 30],
    [8, 30],
    [7, 7],
    [1, 7],
    [0, 0],
    [-100, 0],
  ] as const
  for (const [days, stage] of stages) {
    assert.deepEqual([daysUntil('2027-05-31', end - days * day), stageOf('2027-05-31', end - days * day)], [days, stage])
    // A day that has begun counts.
    assert.ok(daysUntil('2027-05-31', end - days * day + 1) === days)
  }
})
