import assert from 'node:assert/strict'
import { test } from 'node:test'
import { emptyBytes, oneChunk, utf8 } from '../src/base/bytes.ts'
import { sha256 } from '../src/base/digest.ts'
import { BinderyError } from '../src/base/error.ts'
import { markVerified } from '../src/base/verified.ts'
import { assembledRoute, checkTar, fetchRoute, targetsOf } from '../src/engine/client/fetch/fetch-route.ts'
import { channelFile, channelFiles } from '../src/engine/client/state.ts'
import { address, amd64, enrolledOf, follower, installedOf, serve, served, trustIn } from './helpers/listed-releases.ts'
import { noise } from './helpers/noise.ts'
import { refused } from './helpers/refused.ts'
import { deltaStep, digestOfBytes, fileOf, inCache, notingPlace, whole, wholeRelease } from './helpers/served-release.ts'
import type { ByteStream } from '../src/base/bytes.ts'
import type { Attempt, UsableRoute } from '../src/engine/client/fetch/fetch-route.ts'
import type { FaultFinder } from '../src/engine/client/fetch/fault.ts'
import type { FetchedRoute } from '../src/engine/client/fetch/next-base.ts'
import type { RouteStep } from '../src/engine/update/route.ts'
import type { Update } from '../src/format/update.ts'
import type { MemoryHttp } from '../src/host/memory-http.ts'
import type { Served } from './helpers/listed-releases.ts'
import type { WholeRelease } from './helpers/served-release.ts'

/** What comes of a way: the tar that the signed record says, or whose fault it is that it does not. */

const stays = noise(3000, 1)
const made = async (revision: number): Promise<WholeRelease> =>
  await wholeRelease(revision, { 'etc/version': `${revision}\n`, 'bin/sh': stays })
const [one, two, three] = [await made(1), await made(2), await made(3)]
const [oneTwo, twoThree] = [await deltaStep(one, two), await deltaStep(two, three)]

const fullRoute = ({ update }: WholeRelease, codec: 'zstd' | 'gzip' = 'zstd'): UsableRoute => {
  const [way] = update.full
  return { kind: 'full', update, way: { ...way, codec } as never, bytes: 0, left: 0 }
}
const chain = (...steps: readonly RouteStep[]): UsableRoute => ({ kind: 'deltas', steps, manifest: 'whole', bytes: 0, left: 0 })

const changed = (step: RouteStep, tar: Partial<Update['release']['tar']>): RouteStep => {
  const { release } = step.update
  return { ...step, update: { ...step.update, release: { ...release, tar: { ...release.tar, ...tar } } } }
}

function attemptOf(update: Update, finder: FaultFinder, more: Partial<Attempt> = {}): Attempt {
  const installed = installedOf('base', 1, { tar: one.update.release.tar, manifest: digestOfBytes(one.packed.bytes) })
  const empty = { goals: [], records: [], listed: new Map(), isHeld: false }
  const offer = { ...empty, enrolled: enrolledOf('base'), installed, trust: trustIn({ 'base-amd64': two.all }), updates: [] }
  const known = { broken: new Set<string>(), here: new Map<string, number>() }
  return { offer, update: markVerified(update), known, baseIsGood: true, mayAssemble: true, finder, ...more }
}

type Tried = {
  readonly fetched?: FetchedRoute
  readonly tar?: Uint8Array
  readonly error?: unknown
  readonly fault: FaultFinder['found']
  readonly asked: readonly string[]
}

/** Goes a way, with these as what its targets hold, and reads the tar that comes of it. */
async function tried(route: UsableRoute, blobs: readonly Served[], old: ByteStream = oneChunk(one.tar)): Promise<Tried> {
  const session = await follower({})
  const finder: FaultFinder = { found: undefined }
  const asked: string[] = []
  const fetchTarget = async (path: string): ReturnType<typeof inCache> => {
    asked.push(path)
    return await inCache(session.disk, blobs.find(({ info }) => info.path === path) as Served)
  }
  const update = route.kind === 'full' ? route.update : (route.steps.at(-1) as RouteStep).update
  let fetched: FetchedRoute | undefined
  try {
    fetched = await fetchRoute(session, attemptOf(update, finder), { route, old: { open: () => old, files: [] }, fetchTarget })
    return { fetched, tar: await whole(fetched.tar()), fault: finder.found, asked }
  } catch (error) {
    return { ...(fetched === undefined ? {} : { fetched }), error, fault: finder.found, asked }
  }
}

const isLike = (fault: unknown, expected: object): void => assert.partialDeepStrictEqual(fault, expected)

test('the targets of a way are its dist, or its deltas one after the other', () => {
  assert.deepEqual(targetsOf(fullRoute(two)), [two.dist.info.path])
  assert.deepEqual(targetsOf(chain(oneTwo.step, twoThree.step)), [oneTwo.delta.info.path, twoThree.delta.info.path])
  assert.deepEqual(targetsOf(chain()), [])
})

test('a dist is unpacked to the tar, and may be the next base', async () => {
  const { fetched, tar, fault, asked } = await tried(fullRoute(two), [two.dist])
  assert.deepEqual([tar, fault, asked], [two.tar, undefined, [two.dist.info.path]])
  assert.deepEqual(
    fetched?.files.map((file) => file.sha256),
    [two.dist.info.sha256],
  )
  assert.deepEqual([fetched?.dist, fetched?.route], [fetched?.files[0], fullRoute(two)])
})

test('a dist that unpacks to anything else is to blame', async () => {
  for (const [bytes, code] of [
    [three.dist.bytes, 'bad-digest'],
    [one.dist.bytes, 'bad-digest'],
    [two.dist.bytes.subarray(0, -9), 'bad-format'],
  ] as const) {
    const { error, fault, fetched } = await tried(fullRoute(two), [served(two.dist.info.path, bytes)])
    assert.equal((error as BinderyError).code, code)
    assert.ok(fetched !== undefined)
    assert.deepEqual(fault, { kind: 'target', target: two.dist.info.path, error })
  }
})

test('deltas are applied one after the other to the old tar', async () => {
  const { fetched, tar, fault, asked } = await tried(chain(oneTwo.step, twoThree.step), [oneTwo.delta, twoThree.delta])
  assert.deepEqual([tar, fault, asked], [three.tar, undefined, [oneTwo.delta.info.path, twoThree.delta.info.path]])
  assert.deepEqual(
    fetched?.files.map((file) => file.sha256),
    [oneTwo.delta.info.sha256, twoThree.delta.info.sha256],
  )
  assert.deepEqual([fetched?.dist, fetched?.route.kind], [undefined, 'deltas'])
  assert.deepEqual((await tried(chain(oneTwo.step), [oneTwo.delta])).tar, two.tar)
})

test('a delta that does not lead from and to what its record says is to blame before anything is applied', async () => {
  const other = digestOfBytes(utf8('other')).sha256
  const at = (step: RouteStep): string => step.delta.target
  const cases: readonly (readonly [string, readonly RouteStep[], readonly Served[], string])[] = [
    ['to another digest', [changed(oneTwo.step, { sha256: other })], [oneTwo.delta], at(oneTwo.step)],
    ['to another size', [changed(oneTwo.step, { size: two.tar.length + 1 })], [oneTwo.delta], at(oneTwo.step)],
    ['from another release than the installed one', [twoThree.step], [twoThree.delta], at(twoThree.step)],
    [
      'from another release than the step before leads to',
      [oneTwo.step, twoThree.step],
      [oneTwo.delta, served(at(twoThree.step), oneTwo.delta.bytes)],
      at(twoThree.step),
    ],
  ]
  for (const [name, steps, blobs, target] of cases) {
    const { error, fault, fetched } = await tried(chain(...steps), blobs)
    assert.deepEqual(await refused(Promise.reject(error as Error)), ['bad-digest', target], name)
    assert.deepEqual(fault, { kind: 'target', target, error }, name)
    assert.equal(fetched, undefined, name)
  }
})

test('of what fails while deltas are applied, it is told whose fault it is', async () => {
  async function* failing(): ByteStream {
    yield one.tar.subarray(0, 10)
    throw new BinderyError('bad-format', 'is no base')
  }
  isLike((await tried(chain(oneTwo.step), [oneTwo.delta], failing())).fault, { kind: 'base' })
  const broken = served(twoThree.delta.info.path, twoThree.delta.bytes.subarray(0, -9))
  isLike((await tried(chain(oneTwo.step, twoThree.step), [oneTwo.delta, broken])).fault, { kind: 'target', target: broken.info.path })
  const first = served(oneTwo.delta.info.path, oneTwo.delta.bytes.subarray(0, -9))
  isLike((await tried(chain(oneTwo.step, twoThree.step), [first, twoThree.delta])).fault, { kind: 'target', target: first.info.path })
})

test('a tar is passed on as it comes, and has the size and the digest of its record at the end', async () => {
  async function* parts(): ByteStream {
    yield utf8('a tar ')
    yield emptyBytes
    yield utf8('in parts')
  }
  const right = digestOfBytes(utf8('a tar in parts'))
  const passed: string[] = []
  for await (const bytes of checkTar(parts(), right)) passed.push(Buffer.from(bytes).toString())
  assert.deepEqual(passed, ['a tar ', '', 'in parts'])
  for (const wrong of [
    { ...right, size: 13 },
    { ...right, size: 15 },
    { ...right, sha256: sha256(utf8('another')) },
  ])
    assert.deepEqual(await refused(whole(checkTar(parts(), wrong))), ['bad-digest', undefined])
})

// --- instead of a whole release

async function assembledOf({
  here = 0,
  route = fullRoute(two),
  ...more
}: Partial<Attempt> & { readonly here?: number; readonly route?: UsableRoute } = {}): Promise<{
  readonly found: Awaited<ReturnType<typeof assembledRoute>>
  readonly meter: readonly number[]
  readonly finder: FaultFinder
}> {
  const manifestPath = channelFile(amd64('base'), channelFiles.manifest)
  const session = await follower({}, { 'bin/sh': stays, [manifestPath]: { kind: 'file', content: one.packed.bytes } })
  serve(session.http as MemoryHttp, two.all)
  const finder: FaultFinder = { found: undefined }
  const known = { broken: new Set<string>(), here: new Map([[two.dist.info.path, here]]) }
  const { meter, place } = notingPlace([address])
  const attempt = attemptOf(two.update, finder, { ...(here === 0 ? {} : { known }), ...more })
  const found = await assembledRoute(session, attempt, { route, manifest: two.manifest, meter: place.meter })
  return { found, meter, finder }
}

test('a whole release is put together from what is here and from frames, where that is less than is left of it', async () => {
  const { found, meter, finder } = await assembledOf()
  assert.deepEqual(await whole(found?.fetched.tar() as ByteStream), two.tar)
  assert.deepEqual([found?.fetched.route, found?.fetched.dist, finder.found], [fullRoute(two), undefined, undefined])
  const { sha256: version } = fileOf(two, 'etc/version')
  assert.deepEqual(
    found?.fetched.files.map((file) => file.sha256),
    [version],
  )
  // The meter goes all the way: what need not come counts as if it had.
  const sum = meter.reduce((all, bytes) => all + bytes, 0)
  const index = two.frames.bytes.length
  assert.equal(sum, two.dist.bytes.length + index)
  const frames = (found?.bytes ?? 0) - index
  assert.ok(frames > 0 && frames < two.dist.bytes.length)
  const left = await assembledOf({ here: 7 })
  assert.equal(
    left.meter.reduce((all, bytes) => all + bytes, 0),
    sum - 7,
  )
  assert.equal((await assembledOf({ here: two.dist.bytes.length - frames })).found, undefined)
  assert.equal((await assembledOf({ here: two.dist.bytes.length - frames - 1 })).found?.bytes, found?.bytes)
  for (const here of [two.dist.bytes.length, two.dist.bytes.length + 1]) assert.equal((await assembledOf({ here })).found, undefined)
})

test('what does not come whole, and what was put together in vain before, is not put together', async () => {
  assert.equal((await assembledOf({ route: chain(oneTwo.step) })).found, undefined)
  assert.equal((await assembledOf({ mayAssemble: false })).found, undefined)
})

test('what is put together and is not the release is told to be so', async () => {
  const { release } = two.update
  const other = { ...two.update, release: { ...release, tar: { ...release.tar, sha256: sha256(utf8('other')) } } }
  const route = { ...fullRoute(two), update: other } as UsableRoute
  const { found, finder } = await assembledOf({ route })
  assert.equal((await refused(whole(found?.fetched.tar() as ByteStream)))[0], 'bad-digest')
  isLike(finder.found, { kind: 'assembled' })
})
