import assert from 'node:assert/strict'
import { test } from 'node:test'
import { utf8 } from '../src/base/bytes.ts'
import { BinderyError } from '../src/base/error.ts'
import { cachePath, partPath } from '../src/engine/client/fetch/cache.ts'
import {
  findOffers,
  newestOf,
  openRepository,
  routeOf,
  seemsToHaveBase,
  selectChannels,
  strangersAmong,
  targetsHere,
} from '../src/engine/client/fetch/offer.ts'
import { channelFile, channelFiles, statePaths } from '../src/engine/client/state.ts'
import { releaseTargets } from '../src/engine/update/compose.ts'
import { defaultConfig } from '../src/format/conf.ts'
import { encodePhaseState } from '../src/format/phase-state.ts'
import { markVerified } from '../src/base/verified.ts'
import {
  address,
  amd64,
  digestOf,
  enrolledOf,
  follower,
  installedOf,
  record,
  serve,
  servedRecord,
  trustIn,
} from './helpers/listed-releases.ts'
import { plant } from './helpers/plant.ts'
import { refused } from './helpers/refused.ts'
import { openWorkshop, releaseName } from './helpers/repository.ts'
import type { Offer } from '../src/engine/client/fetch/offer.ts'
import type { Session } from '../src/engine/client/fetch/session.ts'
import type { RefreshInput, Trust } from '../src/engine/repo/trust-types.ts'
import type { Listing } from '../src/format/listing.ts'
import type { KeptBase } from '../src/format/release-state.ts'
import type { Update } from '../src/format/update.ts'
import type { MemoryHttp } from '../src/host/memory-http.ts'
import type { Following, Served } from './helpers/listed-releases.ts'
import type { Literal } from './helpers/plant.ts'
import type { TestSession } from './helpers/client.ts'

/** What a channel has for a root, of records that are put together by hand. */

const root = (await (await openWorkshop()).store.get('metadata/1.root.json')) as Uint8Array
const rootOf = (repository: string): Literal => ({ [`${statePaths.trust}/${repository}/root.json`]: { kind: 'file', content: root } })
const [one, two] = ['0'.repeat(16), '1'.repeat(16)]

/** A client of repositories that answer with this, and what they are asked. */
async function client(
  following: Following,
  trust: Trust | ((input: RefreshInput) => Promise<Trust>),
  { on = {}, ...change }: Partial<Session> & { readonly on?: Literal } = {},
): Promise<{ readonly session: TestSession; readonly asked: RefreshInput[] }> {
  const asked: RefreshInput[] = []
  const refresh: Session['refresh'] = async (input) => {
    asked.push(input)
    return typeof trust === 'function' ? await trust(input) : trust
  }
  return { session: await follower(following, { ...rootOf(one), ...rootOf(two), ...on }, { refresh, ...change }), asked }
}

const config = (more: Partial<Session['config']>): Pick<Session, 'config'> => ({ config: { ...defaultConfig, ...more } })
const names = (updates: Offer['updates']): readonly number[] => updates.map(({ value }) => value.sequence)

/** What the one channel offers of these releases. */
async function offered(
  releases: readonly (readonly [Update, Partial<Listing>?])[],
  { installed = 1, ...change }: Partial<Session> & { readonly on?: Literal; readonly installed?: number } = {},
): Promise<{ readonly offer: Offer; readonly session: TestSession; readonly all: readonly Served[] }> {
  const all = releases.map(([update, listing]) => servedRecord(update, listing))
  const { session } = await client({ base: { sequence: installed } }, trustIn({ 'base-amd64': all }), change)
  serve(session.http as MemoryHttp, all)
  const [offer] = await findOffers(session)
  return { offer: offer as Offer, session, all }
}

const plain = (...sequences: readonly number[]): readonly (readonly [Update])[] => sequences.map((sequence) => [record(sequence)])

test('the records that come after the installed release are offered, oldest first, and their digests newest first', async () => {
  const { offer, all } = await offered(plain(4, 1, 3, 2), { installed: 2 })
  assert.deepEqual(
    [names(offer.updates), names(offer.goals)],
    [
      [3, 4],
      [3, 4],
    ],
  )
  assert.deepEqual(offer.records, [all[0]?.info.sha256, all[2]?.info.sha256])
  assert.deepEqual(
    [...offer.listed],
    all.map(({ info }) => [info.path, info.sha256]),
  )
  assert.equal(newestOf((await offered(plain(1, 2, 3, 4))).offer)?.value.sequence, 4)
  assert.deepEqual([offer.enrolled, offer.installed, offer.isHeld], [enrolledOf('base'), installedOf('base', 2), false])
  const { offer: current } = await offered(plain(1, 2), { installed: 2 })
  assert.deepEqual([current.updates, current.goals, current.records, newestOf(current)], [[], [], [], undefined])
})

test('no more than 64 records are read, the newest', async () => {
  const { offer, session } = await offered(plain(...Array.from({ length: 70 }, (_, i) => i + 1)))
  assert.deepEqual([offer.updates.length, names(offer.updates)[0], names(offer.updates).at(-1)], [64, 7, 70])
  assert.equal((session.http as MemoryHttp).requests.length, 64)
})

test('a release that this machine may not come to yet is passed over at the end, and passed on the way to a later one', async () => {
  const notYet = { rollout: { percent: 0 } }
  const { offer, all } = await offered([[record(2)], [record(3), notYet], [record(4, { security: true }), notYet], [record(5), notYet]])
  assert.deepEqual(
    [names(offer.goals), names(offer.updates)],
    [
      [2, 4],
      [2, 3, 4],
    ],
  )
  assert.deepEqual(
    offer.records,
    [all[2], all[1], all[0]].map((blob) => blob?.info.sha256),
  )
  const { offer: none } = await offered([[record(2), notYet]])
  assert.deepEqual([none.goals, none.updates, none.records], [[], [], []])
})

test('a withdrawn release is passed on the way to a later one, and not even read at the end', async () => {
  const taken = { withdrawn: true } as const
  const { offer, session } = await offered([[record(2), taken], [record(3)], [record(4), taken]])
  assert.deepEqual([names(offer.goals), names(offer.updates)], [[3], [2, 3]])
  assert.deepEqual(
    (session.http as MemoryHttp).requests.map(({ url }) => /base-(\d)-/.exec(url)?.[1]),
    ['3', '2'],
  )
})

test('a release whose phases have begun to come does not wait for its turn, and no other one is meant', async () => {
  const phase = (sequence: number): Literal => {
    const state = { installed: releaseName('1'), release: releaseName(`${sequence}`), manifest: digestOf(''), boot: undefined }
    const content = encodePhaseState({ ...state, done: ['kernel'], paths: ['/bsd'] })
    return { [channelFile(amd64('base'), channelFiles.phase)]: { kind: 'file', content } }
  }
  const all = [[record(2), { rollout: { percent: 0 } }]] as const
  assert.deepEqual(names((await offered(all, { on: phase(2) })).offer.goals), [2])
  assert.deepEqual(names((await offered(all, { on: phase(3) })).offer.goals), [])
})

test('a ramp goes by the time that the repository says', async () => {
  const listed = servedRecord(record(2), { rollout: { percent: 0, ramp: { begin: 100, end: 200 } } })
  for (const [now, expected] of [
    [100_000, []],
    [200_000, [2]],
  ] as const) {
    const { session } = await client({ base: {} }, trustIn({ 'base-amd64': [listed] }, { now }))
    serve(session.http as MemoryHttp, [listed])
    assert.deepEqual(
      (await findOffers(session)).flatMap(({ goals }) => names(goals)),
      expected,
    )
  }
})

test('a channel is held by its own name, or with all', async () => {
  for (const [hold, expected] of [
    [[], false],
    [['base/amd64'], true],
    [['all'], true],
    [['all', 'comp/amd64'], true],
    [['comp/amd64'], false],
  ] as const)
    assert.equal((await offered(plain(1), config({ hold }))).offer.isHeld, expected, hold.join())
})

test('what is held and not enrolled is said, with what may be meant', async () => {
  const enrolled = [enrolledOf('base'), enrolledOf('comp')]
  assert.deepEqual(strangersAmong(['all', 'base/amd64', 'comp/amd64'], enrolled), [])
  assert.deepEqual(strangersAmong(['bsae/amd64', 'all', 'x'], enrolled), [
    "bindery.conf holds bsae/amd64, which is not enrolled; did you mean 'base/amd64'?",
    'bindery.conf holds x, which is not enrolled',
  ])
  const { session } = await offered(plain(1), config({ hold: ['comp/amd64'] }))
  assert.match(session.said.join('\n'), /^bindery\.conf holds comp\/amd64, which is not enrolled/)
})

test('the channels that are named are chosen, in that order; without names all', () => {
  const [base, comp] = [enrolledOf('base'), enrolledOf('comp')]
  assert.deepEqual(selectChannels([base, comp], []), [base, comp])
  assert.deepEqual(selectChannels([base, comp], [amd64('comp'), amd64('base')]), [comp, base])
  assert.throws(() => selectChannels([base], [amd64('base'), amd64('comp')]), { code: 'not-enrolled', subject: 'comp/amd64' })
  for (const channels of [[], [amd64('base')]])
    assert.throws(() => selectChannels([], channels), { code: 'not-enrolled', subject: undefined, hint: /^bindery enroll / })
})

test('each repository is asked once, at all addresses of its channels', async () => {
  const trust = trustIn({ 'base-amd64': [], 'comp-amd64': [], 'x11-amd64': [] })
  const following: Following = {
    base: { urls: ['http://a/', 'http://b/'] },
    x11: { repository: two },
    comp: { urls: ['http://b/', 'http://c/'] },
  }
  const { session, asked } = await client(following, trust)
  const offers = await findOffers(session)
  assert.deepEqual([offers.map(({ enrolled }) => enrolled.channel.product), asked.length], [['base', 'comp', 'x11'], 2])
  assert.deepEqual(
    (await findOffers(session, [amd64('comp')])).map(({ enrolled }) => enrolled.channel.product),
    ['comp'],
  )
  const urls: string[] = []
  const away: Session['refresh'] = async ({ source }) => {
    await source.fetch('timestamp.json', 10)
    throw new BinderyError('network', 'is away')
  }
  const order = { of: (all: readonly string[]) => (urls.push(...all), all), failed: () => {} }
  await assert.rejects(findOffers({ ...session, refresh: away, mirrors: order }, [amd64('base'), amd64('comp')]), { code: 'network' })
  assert.deepEqual(urls, ['http://a/', 'http://b/', 'http://c/'])
})

test('all channels of a group have to be there', async () => {
  const { session } = await client({ base: {}, comp: {} }, trustIn({ 'base-amd64': [] }))
  assert.deepEqual(await refused(findOffers(session)), ['not-found', `${address}: comp/amd64`])
})

test('what is learned is kept by who may write alone', async () => {
  for (const access of ['write', 'read'] as const) {
    const learning = async ({ store }: RefreshInput): Promise<Trust> => {
      await store.save('timestamp.json', utf8('{}'))
      return trustIn({ 'base-amd64': [] })
    }
    const { session } = await client({ base: {} }, learning, { access })
    await findOffers(session)
    const kept = await session.disk.readdir(`${statePaths.trust}/${one}` as never)
    assert.deepEqual([...kept].sort(), access === 'write' ? ['root.json', 'timestamp.json'] : ['root.json'])
  }
})

const day = 86_400_000

test('a repository that is stale for no longer than the grace is told to be so, and until when it is taken', async () => {
  const stale = trustIn({ 'base-amd64': [] }, { staleSince: () => Date.UTC(2026, 0, 2), now: Date.UTC(2026, 0, 3) })
  const expired = async ({ grace }: RefreshInput): Promise<Trust> => {
    if (grace === 0) throw new BinderyError('expired', 'has expired')
    return stale
  }
  const { session, asked } = await client({ base: {} }, expired, config({ staleGrace: 3 }))
  await findOffers(session)
  assert.deepEqual(
    asked.map(({ grace }) => grace),
    [0, 3 * day],
  )
  const since = 'the repository is stale since 2026-01-02T00:00:00Z'
  assert.deepEqual(session.said, [`${since}; nothing is installed from it after 2026-01-05T00:00:00Z`])
  session.said.length = 0
  await openRepository(session, [enrolledOf('base')], Infinity)
  assert.deepEqual([asked.at(-1)?.grace, session.said], [Infinity, [since]])
  assert.deepEqual(await refused(openRepository(session, [enrolledOf('base')], 0)), ['expired', address])
})

test('a clock that is behind the signatures is told to be wrong; of one that is right nothing is said', async () => {
  const now = Date.UTC(2026, 0, 3)
  const { session } = await client({ base: {} }, trustIn({ 'base-amd64': [] }, { now, clockBehind: day }))
  await findOffers(session)
  assert.deepEqual(session.said, [
    "the clock says 2026-01-02T00:00:00Z, before the repository's newest signature of 2026-01-03T00:00:00Z; that time is used",
  ])
  const { session: right } = await client({ base: {} }, trustIn({ 'base-amd64': [] }, { now }))
  await findOffers(right)
  assert.deepEqual(right.said, [])
})

// --- ways

const targets = releaseTargets(releaseName('2'))
const tarOf1 = record(1).release.tar.sha256
const delta = { target: targets.delta('base-1-20260101-amd64'), size: 200, from: 'base-1-20260101-amd64', fromSha256: tarOf1, memory: 0 }
const manifest = { target: targets.manifestDelta('base-1-20260101-amd64'), size: 3 }
const full = { target: targets.full('zstd'), size: 1000, codec: 'zstd' } as const
const gzip = { target: targets.full('gzip'), size: 2000, codec: 'gzip' } as const

function offerWith(update: Partial<Update>, listed: readonly string[]): Offer {
  const empty = { enrolled: enrolledOf('base'), installed: installedOf('base', 1), trust: trustIn({}), goals: [], records: [] }
  const updates = [markVerified(record(2, update))]
  return { ...empty, updates, listed: new Map(listed.map((target) => [target, digestOf(target).sha256])), isHeld: false }
}

function shown(...[offer, hasBase, known]: Parameters<typeof routeOf>): string {
  const route = routeOf(offer, hasBase, known)
  if (route.kind === 'none') return 'none'
  return route.kind === 'full' ? `full ${route.left}, ${route.way.codec}` : `deltas ${route.left}, manifest ${route.manifest}`
}

test('the cheapest way is taken of what the channel still lists and is not broken', () => {
  const update = { full: [full, gzip], deltas: [{ ...delta, manifest }] }
  const all = [full.target, gzip.target, delta.target, manifest.target]
  const but = (...targetsGone: readonly string[]): Offer =>
    offerWith(
      update,
      all.filter((target) => !targetsGone.includes(target)),
    )
  assert.equal(shown(but(), true), 'deltas 203, manifest deltas')
  assert.equal(shown(but(), false), 'full 1010, zstd')
  assert.equal(shown(but(manifest.target), true), 'deltas 210, manifest whole')
  assert.equal(shown(but(delta.target), true), 'full 1010, zstd')
  assert.equal(shown(but(delta.target, full.target), true), 'full 2010, gzip')
  assert.equal(shown(but(...all), true), 'none')
  const known = { broken: new Set([delta.target]), here: new Map([[gzip.target, 1500]]) }
  assert.equal(shown(but(), true, known), 'full 510, gzip')
  assert.equal(shown(offerWith({ full: [full], deltas: [delta] }, all), true), 'deltas 210, manifest whole')
})

test('what an interrupted run has left of listed targets is here, and nothing else', async () => {
  const offer = offerWith({}, ['a', 'b', 'c'])
  const { session } = await client({ base: {} }, trustIn({}))
  const file = (content: string): Literal[string] => ({ kind: 'file', content })
  const cached = { [cachePath(digestOf('a').sha256)]: file('1234'), [partPath(digestOf('b').sha256)]: file('12') }
  await plant(session.disk, { ...cached, [cachePath(digestOf('x').sha256)]: file('other') })
  assert.deepEqual(
    [...(await targetsHere(session, offer))],
    [
      ['a', 4],
      ['b', 2],
    ],
  )
})

test('the base seems to be there where all of its files have their sizes', async () => {
  const { session } = await client({ base: {} }, trustIn({}))
  const { disk } = session
  const at = (file: string): string => channelFile(amd64('base'), file as never)
  await plant(disk, { [at('base.tar.zst')]: 'base', [at('1.delta')]: 'one', [at('2.delta')]: 'two!' })
  const kept = (size: number, ...deltas: readonly number[]): KeptBase => {
    const one = (bytes: number): KeptBase['deltas'][number] => ({ file: { ...digestOf(''), size: bytes }, tar: digestOf('') })
    return { ...one(size), deltas: deltas.map(one) }
  }
  const seems = async (base?: KeptBase, on = disk): Promise<boolean> =>
    await seemsToHaveBase(on, amd64('base'), base === undefined ? installedOf('base', 1) : installedOf('base', 1, { base }))
  assert.equal(await seems(), true)
  assert.equal(await seems(kept(4)), true)
  assert.equal(await seems(kept(4, 3, 4)), true)
  for (const wrong of [kept(5), kept(4, 4), kept(4, 3, 3), kept(4, 3, 4, 0), kept(3, 3, 4)]) assert.equal(await seems(wrong), false)
  const failing = (code: 'permission' | 'io'): typeof disk => ({
    ...disk,
    lstat: async () => await Promise.reject(new BinderyError(code, 'fails')),
  })
  assert.equal(await seems(kept(4), failing('permission')), false)
  await assert.rejects(seems(kept(4), failing('io')), { code: 'io' })
})
