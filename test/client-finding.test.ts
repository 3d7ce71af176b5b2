import assert from 'node:assert/strict'
import { test } from 'node:test'
import { utf8 } from '../src/base/bytes.ts'
import { sha256 } from '../src/base/digest.ts'
import { formatDistName } from '../src/base/name.ts'
import { markVerified } from '../src/base/verified.ts'
import { describeFinding, findingOf } from '../src/engine/client/fetch/check.ts'
import { releaseTargets } from '../src/engine/update/compose.ts'
import { encodeListing } from '../src/format/listing.ts'
import { encodeReleaseState } from '../src/format/release-state.ts'
import { testSession } from './helpers/client.ts'
import { file, plant } from './helpers/plant.ts'
import type { DistName } from '../src/base/name.ts'
import type { Finding } from '../src/engine/client/fetch/check.ts'
import type { Offer } from '../src/engine/client/fetch/offer.ts'
import type { Listing } from '../src/format/listing.ts'
import type { RebootNeed } from '../src/format/reboot-state.ts'
import type { ReleaseState } from '../src/format/release-state.ts'
import type { Update } from '../src/format/update.ts'
import type { Trust } from '../src/engine/repo/trust-types.ts'

/** What `check` finds out of what a channel offers, and how it is told. */

const release = (n: number): DistName => ({ product: 'base', revision: `${n}`, date: '20260101', arch: 'amd64' })
const nameOf = (n: number): string => formatDistName(release(n))
const tarOf = (n: number): { readonly sha256: ReturnType<typeof sha256>; readonly size: number } => ({
  sha256: sha256(utf8(nameOf(n))),
  size: 5000,
})

const installed: ReleaseState = { name: release(2), sequence: 2, tar: tarOf(2), manifest: tarOf(0) }

/** With a small delta from the release before, and a large whole. */
function update(n: number, more: Partial<Update> = {}): Update {
  const targets = releaseTargets(release(n))
  const { sha256: fromSha256 } = tarOf(n - 1)
  return {
    sequence: n,
    release: { name: release(n), tar: tarOf(n) },
    manifest: { target: targets.manifest, size: 7 },
    full: [{ codec: 'zstd', target: targets.full('zstd'), size: 1_000_000 }],
    deltas: [{ target: targets.delta(nameOf(n - 1)), size: 100, from: nameOf(n - 1), fromSha256, memory: 1 }],
    notices: [],
    postSteps: [],
    reboot: 'none',
    security: false,
    ...more,
  }
}

type Situation = {
  readonly updates?: readonly Update[]
  readonly installed?: ReleaseState
  readonly isHeld?: boolean
  /** What the channel says of the installed release. */
  readonly listing?: Listing
  /** Targets that have been pruned. */
  readonly without?: readonly string[]
  readonly pending?: readonly RebootNeed[]
}

async function found(situation: Situation = {}): Promise<Finding> {
  const { updates = [], isHeld = false, listing = { sequence: 2 }, without = [], pending = [] } = situation
  const state = situation.installed ?? installed
  const session = await testSession()
  await plant(session.disk, { 'var/db/bindery/channel/base-amd64/release': file(encodeReleaseState(state)) })
  const trust = {
    targetsOf: async () => ({
      value: [{ path: releaseTargets(release(2)).update, length: 1, sha256: sha256(utf8('')), custom: encodeListing(listing) }],
    }),
  } as unknown as Trust
  const named = updates.flatMap(({ full, deltas, manifest, obsolete }) => [
    ...full,
    ...deltas,
    manifest,
    ...(obsolete === undefined ? [] : [obsolete]),
  ])
  const listed = new Map(named.filter(({ target }) => !without.includes(target)).map(({ target }) => [target, sha256(utf8(target))]))
  const records = updates.map(markVerified)
  const enrolled = { channel: { product: 'base', arch: 'amd64' }, repository: 'r', urls: [], basis: 'installed' as const }
  const offer: Offer = { enrolled, installed: state, trust, updates: records, goals: records, records: [], listed, isHeld }
  return await findingOf(session, offer, pending)
}

const current: Finding = {
  channel: 'base/amd64',
  installed: nameOf(2),
  newest: nameOf(2),
  releases: 0,
  route: 'current',
  steps: 0,
  bytes: 0,
  security: false,
  reboot: 'none',
  pendingReboot: 'none',
  about: [],
  notices: [],
  held: false,
}

test('where nothing is newer, the installed release is the newest, and nothing comes', async () => {
  assert.deepEqual(await found(), current)
  assert.deepEqual(await found({ isHeld: true }), { ...current, held: true })
})

test('by deltas, as many steps as there are, with the manifest', async () => {
  const one = { ...current, newest: nameOf(3), releases: 1, route: 'deltas' as const, steps: 1, bytes: 107 }
  assert.deepEqual(await found({ updates: [update(3)] }), one)
  const two = await found({ updates: [update(3), update(4)] })
  assert.deepEqual(two, { ...one, newest: nameOf(4), releases: 2, steps: 2, bytes: 207 })
})

test('as a whole, or in no way, where there is nothing else', async () => {
  const [record, base] = [update(3), { file: tarOf(1), tar: tarOf(2), deltas: [] }]
  const full = { ...current, newest: nameOf(3), releases: 1, route: 'full' as const, steps: 0, bytes: 1_000_007 }
  const delta = releaseTargets(release(3)).delta(nameOf(2))
  assert.deepEqual(await found({ updates: [record], without: [delta] }), full)
  // What is to be kept of the old tar is not there.
  assert.deepEqual(await found({ updates: [record], installed: { ...installed, base } }), full)
  const none = await found({ updates: [{ ...record, full: [] }], without: [delta] })
  assert.deepEqual(none, { ...full, route: 'none', bytes: 0 })
})

test('the list of what earlier releases left counts, where it is needed', async () => {
  const record = update(3, { obsolete: { target: releaseTargets(release(3)).obsolete, size: 1000 } })
  assert.equal((await found({ updates: [record] })).bytes, 1107)
  assert.equal((await found({ updates: [record], without: [releaseTargets(release(3)).obsolete] })).bytes, 107)
})

test('the reboot is the strongest of all releases, and one that is a matter of security makes the step one', async () => {
  const updates = [update(3, { reboot: 'reboot', security: true }), update(4, { reboot: 'restart' })]
  const { reboot, security } = await found({ updates })
  assert.deepEqual([reboot, security], ['reboot', true])
})

test('what waits for a reboot is told of its own channel', async () => {
  const need = (role: string, of: 'reboot' | 'careful'): RebootNeed => ({ role, old: 'a', new: 'b', class: of, boot: '1' })
  for (const [pending, expected] of [
    [[need('ports-amd64', 'reboot'), need('base-amd64', 'careful')], 'careful'],
    [[need('ports-amd64', 'reboot')], 'none'],
    [[], 'none'],
  ] as const)
    assert.equal((await found({ pending })).pendingReboot, expected)
})

test('what the releases are called, and what they notice, comes in their order', async () => {
  const updates = [
    update(3, { title: 'A title', notices: ['one', 'two'] }),
    update(4),
    update(5, { url: 'https://a.test/5', notices: ['three'] }),
    update(6, { title: 'Another', url: 'https://a.test/6' }),
  ]
  const { about, notices } = await found({ updates })
  assert.deepEqual(about, [{ title: 'A title' }, { url: 'https://a.test/5' }, { title: 'Another', url: 'https://a.test/6' }])
  assert.deepEqual(notices, ['one', 'two', 'three'])
})

test('what the channel says of the installed release now', async () => {
  const endOfLife = '2027-01-01'
  assert.deepEqual(await found({ listing: { sequence: 2, endOfLife } }), { ...current, endOfLife })
  assert.deepEqual(await found({ listing: { sequence: 2, withdrawn: true } }), { ...current, withdrawn: true })
})

const way = `base/amd64: ${nameOf(2)} -> ${nameOf(3)}`
const next: Finding = { ...current, newest: nameOf(3), releases: 1, route: 'deltas', steps: 1, bytes: 61_000 }

for (const [name, change, expected] of [
  ['one delta', {}, '61 kB in 1 delta'],
  ['deltas', { steps: 2 }, '61 kB in 2 deltas'],
  ['none of them', { steps: 0 }, '61 kB in 0 deltas'],
  ['a whole', { route: 'full', steps: 0 }, '61 kB as a whole'],
  ['no way', { route: 'none' }, 'no way to it'],
  ['nothing newer', { route: 'current' }, 'up to date'],
  ['two releases', { releases: 2 }, '61 kB in 1 delta, 2 releases'],
  ['security', { security: true }, '61 kB in 1 delta, security'],
  ['services', { reboot: 'restart' }, '61 kB in 1 delta, restart of services'],
  ['a reboot', { reboot: 'reboot' }, '61 kB in 1 delta, reboot'],
  ['one with care', { reboot: 'careful' }, '61 kB in 1 delta, reboot with care'],
  ['a channel that stays', { held: true }, '61 kB in 1 delta, held'],
  ['all of it', { releases: 3, security: true, reboot: 'reboot', held: true }, '61 kB in 1 delta, 3 releases, security, reboot, held'],
] as readonly (readonly [string, Partial<Finding>, string])[])
  test(`a finding in a line: ${name}`, () => {
    assert.deepEqual(describeFinding({ ...next, ...change }), [`${way}, ${expected}`])
  })

test('why it waits, what it is called and what it notices stand below, line by line and harmless', () => {
  const lines = describeFinding({
    ...next,
    waits: 'it needs ports/amd64 2',
    about: [{ title: 'A title' }, { url: 'https://a.test/' }, { title: 'Both', url: 'https://b.test/' }],
    notices: ['one\ntwo\n\n', 'three \u001b[31m'],
  })
  assert.deepEqual(lines.slice(1), [
    '  waits: it needs ports/amd64 2',
    '  A title',
    '  https://a.test/',
    '  Both, https://b.test/',
    '  one',
    '  two',
    '  three ?[31m',
  ])
})
