import assert from 'node:assert/strict'
import { test } from 'node:test'
import { collectBytes, fromLatin1, latin1, oneChunk, utf8 } from '../src/base/bytes.ts'
import { sha256 } from '../src/base/digest.ts'
import { markVerified } from '../src/base/verified.ts'
import { cachePath } from '../src/engine/client/fetch/cache.ts'
import { fetchManifest, manifestDeltasOf } from '../src/engine/client/fetch/manifest.ts'
import { fetchObsolete, neededList } from '../src/engine/client/fetch/obsolete.ts'
import { withAllIncoming } from '../src/engine/client/fetch/together.ts'
import { channelFile, channelFiles } from '../src/engine/client/state.ts'
import { makeDelta } from '../src/engine/delta/make.ts'
import { compress } from '../src/engine/dist/wire.ts'
import { releaseTargets } from '../src/engine/update/compose.ts'
import { decodeManifest, encodeManifest } from '../src/format/manifest.ts'
import { encodeObsolete } from '../src/format/obsolete.ts'
import { amd64, digestOf, enrolledOf, follower, installedOf, record, serve, served, trustIn } from './helpers/listed-releases.ts'
import { release } from './helpers/client-world.ts'
import { plant, relPath } from './helpers/plant.ts'
import { refused } from './helpers/refused.ts'
import { memorySpool, releaseName, sourceOf } from './helpers/repository.ts'
import type { Sha256 } from '../src/base/digest.ts'
import type { Verified } from '../src/base/verified.ts'
import type { CachedBlob } from '../src/engine/client/fetch/download.ts'
import type { FaultFinder } from '../src/engine/client/fetch/fault.ts'
import type { FetchedManifest, ManifestWanted } from '../src/engine/client/fetch/manifest.ts'
import type { Offer } from '../src/engine/client/fetch/offer.ts'
import type { Incoming } from '../src/engine/client/incoming.ts'
import type { ReleaseState } from '../src/format/release-state.ts'
import type { Update } from '../src/format/update.ts'
import type { MemoryHttp } from '../src/host/memory-http.ts'
import type { Served } from './helpers/listed-releases.ts'
import type { TestSession } from './helpers/client.ts'

/** What comes beside the tar of a release, the manifest and the list of what is obsolete, and channels that come together. */

const zstd = async (bytes: Uint8Array): Promise<Uint8Array> =>
  (await collectBytes(compress(oneChunk(bytes), 'zstd'), Infinity)) as Uint8Array

function offerOf(product: string, updates: readonly Update[], more: Partial<Offer> = {}): Offer {
  const empty = { goals: [], records: [], trust: trustIn({}), listed: new Map<string, Sha256>(), isHeld: false }
  const enrolled = enrolledOf(product, { basis: 'installed' })
  return { ...empty, enrolled, installed: installedOf(product, 1), updates: updates.map(markVerified), ...more }
}

type Asking = { readonly asked: string[]; readonly fetchTarget: (path: string) => Promise<Verified<CachedBlob>> }

/** Brings what is asked for into the cache, as a download would. */
function bringing({ disk }: TestSession, blobs: Readonly<Record<string, Uint8Array>>): Asking {
  const asked: string[] = []
  const fetchTarget = async (target: string): Promise<Verified<CachedBlob>> => {
    asked.push(target)
    const bytes = blobs[target] as Uint8Array
    const digest = sha256(bytes)
    await plant(disk, { [cachePath(digest)]: { kind: 'file', content: bytes } })
    return markVerified({ target, path: cachePath(digest), size: bytes.length, sha256: digest })
  }
  return { asked, fetchTarget }
}

// --- the manifest

const texts = await Promise.all(
  [1, 2, 3].map(async (i) => encodeManifest((await release(`${i}`, { 'bin/sh': `sh ${i}`, [`doc/${i}`]: 'x' })).manifest)),
)
const [first, second, third] = texts as [Uint8Array, Uint8Array, Uint8Array]
const packedFirst = await zstd(first)

const deltaBetween = async (old: Uint8Array, next: Uint8Array): Promise<Uint8Array> => {
  const delta = await memorySpool(makeDelta({ old: sourceOf(old), new: sourceOf(next), oldName: '', newName: '' }))
  return await delta.read(0, delta.size)
}

const nameOf = (sequence: number): string => `base-${sequence}-20260101-amd64`
const deltaTarget = (from: number): string => releaseTargets(releaseName(`${from + 1}`)).manifestDelta(nameOf(from))

/** One delta after the other, up to the last release. */
function chain(length: number, manifest: 'deltas' | 'whole' = 'deltas', without: readonly number[] = []): ManifestWanted['route'] {
  const steps = Array.from({ length }, (_, i) => {
    const way = { target: `delta ${i + 1}`, size: 1, from: nameOf(i + 1), fromSha256: digestOf('').sha256, memory: 0 }
    const member = without.includes(i + 1) ? {} : { manifest: { target: deltaTarget(i + 1), size: i } }
    return { update: record(i + 2), delta: { ...way, ...member } }
  })
  return { kind: 'deltas', steps, manifest, bytes: 0, left: 0 }
}

const full: ManifestWanted['route'] = { kind: 'full', update: record(2), way: { target: 'x', size: 1, codec: 'zstd' }, bytes: 0, left: 0 }

test('a manifest comes by the deltas of its way, or whole', () => {
  const both = [
    { target: deltaTarget(1), size: 0 },
    { target: deltaTarget(2), size: 1 },
  ]
  assert.deepEqual(manifestDeltasOf(chain(2)), both)
  assert.deepEqual(manifestDeltasOf(chain(2, 'deltas', [1])), both.slice(1))
  for (const route of [chain(0), chain(2, 'whole'), full]) assert.deepEqual(manifestDeltasOf(route), [])
})

type Result = { readonly found: unknown; readonly asked: readonly string[]; readonly fault: FaultFinder['found'] }

async function fetching(
  route: ManifestWanted['route'],
  blobs: Readonly<Record<string, Uint8Array>>,
  { installed = packedFirst, update = record(3) }: { readonly installed?: Uint8Array; readonly update?: Update } = {},
): Promise<Result> {
  const session = await follower({ base: {} })
  await plant(session.disk, { [channelFile(amd64('base'), channelFiles.manifest)]: { kind: 'file', content: installed } })
  const { asked, fetchTarget } = bringing(session, blobs)
  const finder: FaultFinder = { found: undefined }
  const state: Partial<ReleaseState> = { manifest: { sha256: sha256(packedFirst), size: packedFirst.length } }
  const offer = offerOf('base', [], { installed: installedOf('base', 1, state) })
  const found = await fetchManifest(session, { offer, update, route, finder, fetchTarget }).catch((error: unknown) => error)
  return { found, asked, fault: finder.found }
}

test('a whole manifest is what its target holds', async () => {
  const { target } = record(3).manifest
  const bytes = await zstd(third)
  for (const route of [full, chain(2, 'whole')]) {
    const { found, asked, fault } = await fetching(route, { [target]: bytes })
    const { file, manifest, files } = found as FetchedManifest
    assert.deepEqual([manifest.value, asked, fault], [decodeManifest(third), [target], undefined])
    assert.deepEqual([file.value.sha256, files], [sha256(bytes), [file.value]])
  }
  const { found, fault } = await fetching(full, { [target]: await zstd(utf8('no manifest\n')) })
  assert.equal((await refused(Promise.reject(found as Error)))[0], 'bad-format')
  assert.equal(fault, undefined)
})

test('deltas make the manifest from the installed one, and all that came for it is told', async () => {
  const blobs = { [deltaTarget(1)]: await deltaBetween(first, second), [deltaTarget(2)]: await deltaBetween(second, third) }
  const { found, asked, fault } = await fetching(chain(2), blobs)
  const { file, manifest, files } = found as FetchedManifest
  assert.deepEqual([manifest.value, asked, fault], [decodeManifest(third), [deltaTarget(1), deltaTarget(2)], undefined])
  assert.equal(file.value.sha256, sha256(await zstd(third)))
  const [one, two] = Object.values(blobs).map(sha256)
  assert.deepEqual(
    files.map((each) => each.sha256),
    [file.value.sha256, one, two],
  )
})

test('a delta that leads to no manifest is to blame', async () => {
  const { found, fault } = await fetching(chain(1), { [deltaTarget(1)]: await deltaBetween(first, utf8('no manifest\n')) })
  assert.equal((await refused(Promise.reject(found as Error)))[0], 'bad-format')
  assert.deepEqual(fault, { kind: 'target', target: deltaTarget(1), error: found })
})

test('nothing is fetched for an installed manifest that is another one, and no target is to blame', async () => {
  const { found, asked, fault } = await fetching(chain(1), {}, { installed: await zstd(second) })
  assert.deepEqual(await refused(Promise.reject(found as Error)), ['bad-digest', channelFile(amd64('base'), channelFiles.manifest)])
  assert.deepEqual([asked, fault], [[], undefined])
})

// --- what is obsolete

const obsolete = { target: releaseTargets(releaseName('9')).obsolete, size: 7 }
const own = releaseTargets(releaseName('5'))

test('the list of what is obsolete is needed once, where a release before this one has had one', async () => {
  const cases: readonly (readonly [
    string,
    boolean,
    readonly string[],
    { readonly sequence?: number; readonly through?: number; readonly without?: true },
  ])[] = [
    ['nothing of the installed release is listed any more', true, [obsolete.target], {}],
    ['the installed release has a list', true, [obsolete.target, own.update, own.obsolete], {}],
    ['its list alone is left', true, [obsolete.target, own.obsolete], {}],
    ['the installed release had no list', false, [obsolete.target, own.update], {}],
    ['the next release has none', false, [obsolete.target], { without: true }],
    ['it was pruned', false, [own.obsolete], {}],
    ['the installed release is the first', false, [obsolete.target], { sequence: 1 }],
    ['the installed release is the second', true, [obsolete.target], { sequence: 2 }],
    ['it has been worked through before', false, [obsolete.target], { through: 1 }],
    ['it has been kept, not worked through', true, [obsolete.target], { through: 0 }],
  ]
  for (const [what, isNeeded, listed, { sequence = 5, through, without }] of cases) {
    const session = await follower({ base: {} })
    const content = encodeObsolete({ through: through ?? 0, items: [] })
    if (through !== undefined) await plant(session.disk, { [channelFile(amd64('base'), channelFiles.obsolete)]: { kind: 'file', content } })
    const installed = { ...installedOf('base', 5), sequence }
    const offer = offerOf('base', [], { installed, listed: new Map(listed.map((target) => [target, digestOf('').sha256])) })
    const update = record(9, without === true ? {} : { obsolete })
    assert.deepEqual(await neededList(session, offer, update), isNeeded ? obsolete : undefined, what)
  }
})

test('a list that is needed is fetched and read, and no other', async () => {
  const session = await follower({ base: {} })
  const list = { through: 9, items: [{ path: relPath('bin/uucp'), last: 3, kind: 'symlink', target: 'x' }] } as const
  const bytes = await zstd(encodeObsolete(list))
  const { asked, fetchTarget } = bringing(session, { [obsolete.target]: bytes })
  assert.deepEqual(await fetchObsolete(session, undefined, fetchTarget), { files: [] })
  assert.deepEqual(asked, [])
  const { list: found, files } = await fetchObsolete(session, obsolete, fetchTarget)
  assert.deepEqual([found?.value, files.map((file) => file.sha256), asked], [list, [sha256(bytes)], [obsolete.target]])
})

test('a list of more than 16 MiB is refused', async () => {
  const session = await follower({ base: {} })
  const { fetchTarget } = bringing(session, { [obsolete.target]: await zstd(new Uint8Array((16 << 20) + 1)) })
  assert.equal((await refused(fetchObsolete(session, obsolete, fetchTarget)))[0], 'over-limit')
})

// --- together

/** An offer of one release whose dists are served as zstd and gzip, the latter larger. */
async function coming(session: TestSession, product: string, zstdHolds: string | undefined): Promise<Offer> {
  const targets = releaseTargets(releaseName('2', { product }))
  const manifest = served(targets.manifest, await zstd(first))
  const tar = fromLatin1(`tar of ${product} 2`)
  const one = served(targets.full('zstd'), await zstd(fromLatin1(zstdHolds ?? '')))
  const other = served(targets.full('gzip'), (await collectBytes(compress(oneChunk(tar), 'gzip'), 1000)) as Uint8Array)
  const blobs: readonly Served[] = [manifest, one, other]
  serve(session.http as MemoryHttp, zstdHolds === undefined ? [manifest, other] : blobs)
  const fullWays = [one, other].map(
    ({ info }, i) => ({ target: info.path, size: 100 * (i + 1), codec: i === 0 ? 'zstd' : 'gzip' }) as const,
  )
  const update = record(2, { full: fullWays, manifest: { target: targets.manifest, size: manifest.bytes.length } }, product)
  return offerOf(product, [update], { trust: trustIn({ all: blobs }), listed: new Map(blobs.map(({ info }) => [info.path, info.sha256])) })
}

type Together = { readonly result: unknown; readonly broken: readonly string[]; readonly uses: readonly (readonly string[])[] }

/** What `use` is called with, and what comes of it: the tars of all. */
async function together(session: TestSession, offers: readonly Offer[]): Promise<Together> {
  const uses: (readonly string[])[] = []
  const use = async (all: readonly Incoming[]): Promise<readonly string[]> => {
    uses.push(all.map(({ channel }) => channel.product))
    const tars: string[] = []
    for (const incoming of all) tars.push(latin1((await collectBytes(incoming.tar(), 1000)) as Uint8Array))
    return tars
  }
  return { ...(await withAllIncoming(session, offers, use)), uses }
}

const zstdOf = (product: string): string => releaseTargets(releaseName('2', { product })).full('zstd')

test('channels that come by one plan are used together, in their order; one that has nothing new is no part of it', async () => {
  const session = await follower({ base: {}, comp: {}, x11: {} })
  assert.deepEqual(await together(session, []), { result: [], broken: [], uses: [[]] })
  const [base, comp] = [await coming(session, 'base', 'tar of base 2'), await coming(session, 'comp', 'tar of comp 2')]
  const both = { result: ['tar of comp 2', 'tar of base 2'], broken: [], uses: [['comp', 'base']] }
  assert.deepEqual(await together(session, [comp, base]), both)
  assert.deepEqual(await together(session, [comp, offerOf('x11', []), base]), both)
})

test('where a way of one is broken, all are used again, and each that is broken is told', async () => {
  const session = await follower({ base: {}, comp: {} })
  const [base, comp] = [await coming(session, 'base', undefined), await coming(session, 'comp', 'another tar')]
  const found = await together(session, [base, comp])
  assert.deepEqual(found.result, ['tar of base 2', 'tar of comp 2'])
  assert.deepEqual(found.broken, [zstdOf('base'), zstdOf('comp')])
  assert.deepEqual(found.uses, [
    ['base', 'comp'],
    ['base', 'comp'],
  ])
})
