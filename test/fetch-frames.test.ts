import assert from 'node:assert/strict'
import { test } from 'node:test'
import { collectBytes, concatBytes, fromLatin1, latin1, oneChunk, utf8 } from '../src/base/bytes.ts'
import { sha256 } from '../src/base/digest.ts'
import { BinderyError } from '../src/base/error.ts'
import { blobUrl } from '../src/engine/client/fetch/download-attempt.ts'
import { fetchFrames, planFrames, wholeDist } from '../src/engine/client/fetch/frames.ts'
import { mirrorOrder } from '../src/engine/client/fetch/mirror-order.ts'
import { compress } from '../src/engine/dist/wire.ts'
import { releaseTargets } from '../src/engine/update/compose.ts'
import { encodeFrames } from '../src/format/frames.ts'
import { address, digestOf, follower, record, serve, served, trustIn } from './helpers/listed-releases.ts'
import { relPath } from './helpers/plant.ts'
import { refused } from './helpers/refused.ts'
import { releaseName } from './helpers/repository.ts'
import type { ByteStream } from '../src/base/bytes.ts'
import type { Place } from '../src/engine/client/fetch/download.ts'
import type { FramePlan } from '../src/engine/client/fetch/frames.ts'
import type { Wanted } from '../src/engine/client/fetch/gather.ts'
import type { Session } from '../src/engine/client/fetch/session.ts'
import type { Frame } from '../src/format/frames.ts'
import type { Update } from '../src/format/update.ts'
import type { MemoryHttp, Page } from '../src/host/memory-http.ts'
import type { HttpClient } from '../src/port/http.ts'
import type { Served } from './helpers/listed-releases.ts'
import type { TestSession } from './helpers/client.ts'

/** Which frames of a dist are fetched, and from whom. */

const contents = ['the first of all. ', 'the second ', 'the third of them, and the last']
const starts = [0, 18, 29]
const targets = releaseTargets(releaseName('2'))

const packed = await Promise.all(
  contents.map(async (text) => (await collectBytes(compress(oneChunk(fromLatin1(text)), 'zstd'), 1000)) as Uint8Array),
)
const frames: readonly Frame[] = contents.map((text, i) => ({
  offset: packed.slice(0, i).reduce((sum, { length }) => sum + length, 0),
  size: (packed[i] as Uint8Array).length,
  sha256: sha256(packed[i] as Uint8Array),
  start: starts[i] as number,
  length: text.length,
}))
const dist = served(targets.full('zstd'), concatBytes(packed))
const index = served(targets.frames, encodeFrames(frames))
const tar = digestOf(contents.join(''))

const withFrames = (more: Partial<Update> = {}): Update =>
  record(2, {
    release: { name: releaseName('2'), tar },
    full: [
      { target: targets.full('gzip'), size: 10, codec: 'gzip' },
      { target: dist.info.path, size: dist.info.length, codec: 'zstd', frames: { target: index.info.path, size: index.info.length } },
    ],
    ...more,
  })

const wanted = (offset: number, size: number): Wanted => ({
  entry: { kind: 'file', path: relPath('f'), mode: 0, uid: 0, gid: 0, mtime: { sec: 0, nsec: 0 }, size, sha256: digestOf('').sha256 },
  offset,
})

type World = { readonly session: TestSession; readonly meter: readonly number[]; readonly place: Place }
type Site = { readonly blobs?: readonly Served[]; readonly urls?: readonly string[] }

async function world({ blobs = [dist, index], urls = [address], ...change }: Partial<Session> & Site = {}): Promise<World> {
  const session = await follower({}, {}, change)
  for (const url of urls) if (change.http === undefined) serve(session.http as MemoryHttp, blobs, url)
  const meter: number[] = []
  return { session, meter, place: { urls, meter: { advance: (bytes) => void meter.push(bytes), end: () => {} } } }
}

async function planned(
  all: readonly Wanted[],
  share?: number,
  more: Pick<Site, 'blobs'> & { readonly update?: Update } = {},
): Promise<FramePlan | undefined> {
  const { update = withFrames(), blobs = [dist, index] } = more
  const { session, place } = await world({ blobs })
  return await planFrames(session, place, trustIn({ 'base-amd64': blobs }), update, all, share)
}

const numbers = (plan: FramePlan | undefined): readonly number[] | undefined => plan?.frames.map(({ start }) => starts.indexOf(start))

test('those frames are fetched that hold some of what is wanted', async () => {
  const cases: readonly (readonly [readonly Wanted[], readonly number[]])[] = [
    [[], []],
    [[wanted(0, 18)], [0]],
    [[wanted(0, 19)], [0, 1]],
    [[wanted(17, 1)], [0]],
    [[wanted(18, 11)], [1]],
    [[wanted(17, 13)], [0, 1, 2]],
    [[wanted(29, 1)], [2]],
    [
      [wanted(0, 1), wanted(59, 1)],
      [0, 2],
    ],
    [
      [wanted(28, 2), wanted(19, 1)],
      [1, 2],
    ],
    [[wanted(5, 0)], [0]],
  ]
  for (const [all, expected] of cases) {
    const plan = await planned(all, 1)
    assert.deepEqual(numbers(plan), expected)
    const bytes = expected.reduce((sum, i) => sum + (frames[i] as Frame).size, 0)
    assert.deepEqual([plan?.bytes, plan?.indexBytes, plan?.dist], [bytes, index.bytes.length, dist.info])
  }
})

test('more than a share of the dist is better fetched whole: a half where nothing else is said', async () => {
  const [first, second] = frames as readonly [Frame, Frame, Frame]
  const one = [wanted(0, 1)]
  assert.deepEqual(numbers(await planned(one, first.size / dist.info.length)), [0])
  assert.equal(await planned(one, (first.size - 0.5) / dist.info.length), undefined)
  const both = [wanted(0, 1), wanted(20, 1)]
  const half = (size: number): Update =>
    withFrames({ full: withFrames().full.map((way) => (way.codec === 'zstd' ? { ...way, size } : way)) })
  const bytes = first.size + second.size
  assert.deepEqual(numbers(await planned(both, undefined, { update: half(bytes * 2) })), [0, 1])
  assert.equal(await planned(both, undefined, { update: half(bytes * 2 - 1) }), undefined)
})

test('a release without frames, and one whose dist or index was pruned, comes otherwise', async () => {
  assert.equal(await planned([wanted(0, 1)], 1, { update: record(2) }), undefined)
  assert.equal(await planned([wanted(0, 1)], 1, { blobs: [dist] }), undefined)
  assert.equal(await planned([wanted(0, 1)], 1, { blobs: [index] }), undefined)
})

test('an index that is not that of its dist is refused', async () => {
  const [first, second, third] = frames as readonly [Frame, Frame, Frame]
  const wrong: readonly (readonly Frame[])[] = [
    [],
    [first, second],
    [first, second, { ...third, size: third.size - 1 }],
    [first, second, { ...third, size: third.size + 1 }],
    [first, second, { ...third, offset: third.offset + 1 }],
    [first, second, { ...third, length: third.length - 1 }],
    [first, { ...second, length: second.length + 1 }, third],
  ]
  for (const all of wrong) {
    const other = served(index.info.path, encodeFrames(all))
    assert.deepEqual(await refused(planned([wanted(0, 1)], 1, { blobs: [dist, other] })), ['bad-format', index.info.path])
  }
})

test('an index is no larger than 16 MiB', async () => {
  for (const [length, code] of [
    [16 << 20, 'network'],
    [(16 << 20) + 1, 'over-limit'],
  ] as const)
    assert.equal((await refused(planned([], 1, { blobs: [dist, { ...index, info: { ...index.info, length } }] })))[0], code)
})

// --- from whom

const plan: FramePlan = { dist: dist.info, frames: [frames[0] as Frame, frames[2] as Frame], bytes: 0, indexBytes: 0 }

async function fetched({ session, place }: World, of: FramePlan = plan): Promise<readonly (readonly [number, string])[]> {
  const pieces: (readonly [number, string])[] = []
  for await (const { at, bytes } of fetchFrames(session, place, of)) pieces.push([at, latin1(bytes)])
  return pieces
}

const whole = [
  [0, contents[0]],
  [29, contents[2]],
]
const [a, b] = ['http://a/', 'http://b/']
const page = ({ session }: World, url: string, change: Page): void => {
  ;(session.http as MemoryHttp).pages.set(blobUrl(url, dist.info), { bytes: dist.bytes, ...change })
}

test('frames come by range, unpacked, each at its place of the tar', async () => {
  const on = await world()
  assert.deepEqual(await fetched(on), whole)
  const [first, , third] = frames as readonly [Frame, Frame, Frame]
  const asked = (on.session.http as MemoryHttp).requests.map(({ url, headers }) => [url, headers?.['range']])
  const url = blobUrl(address, dist.info)
  assert.deepEqual(asked, [
    [url, `bytes=0-${first.size - 1}`],
    [url, `bytes=${third.offset}-${dist.bytes.length - 1}`],
  ])
  assert.deepEqual([on.meter, on.session.said, on.session.explained], [[first.size, third.size], [], []])
})

test('where one mirror does not have a frame as it is signed, or knows no ranges, the next one is asked, and first from then on', async () => {
  const spoilt = dist.bytes.map((byte) => byte ^ 1)
  const faults: readonly (readonly [Page, 'said' | 'explained', RegExp])[] = [
    [{ ranges: 'ignored' }, 'explained', /ignores ranges; going on with http:\/\/b\/$/],
    [{ status: 404 }, 'explained', /answered 404; going on with http:\/\/b\/$/],
    [{ status: 503 }, 'explained', /answered 503; going on/],
    [{ bytes: spoilt }, 'said', /does not have the digest that is signed; going on with http:\/\/b\/$/],
    [{ bytes: dist.bytes.subarray(0, 5) }, 'said', /does not have the digest/],
  ]
  for (const [change, where, told] of faults) {
    const on = await world({ urls: [a, b], mirrors: mirrorOrder([]) })
    page(on, a, change)
    assert.deepEqual(await fetched(on), whole)
    const other = where === 'said' ? 'explained' : 'said'
    assert.deepEqual([on.session[where].length, on.session[other].length], [1, 0])
    assert.match(on.session[where][0] as string, told)
    assert.ok(on.session[where][0]?.startsWith(`${blobUrl(a, dist.info)}: `))
    const asked = (on.session.http as MemoryHttp).requests.map(({ url }) => url.slice(0, 9))
    assert.deepEqual(asked, [a, b, b])
  }
})

test('where no mirror has it, the last one’s failure is told', async () => {
  const on = await world({ urls: [a, b] })
  page(on, a, { status: 404 })
  page(on, b, { ranges: 'ignored' })
  assert.deepEqual(await refused(fetched(on)), ['not-supported', blobUrl(b, dist.info)])
  page(on, b, { bytes: dist.bytes.map((byte) => byte ^ 1) })
  assert.deepEqual(await refused(fetched(on)), ['bad-digest', blobUrl(b, dist.info)])
  const none = await world({ urls: [] })
  assert.deepEqual(await refused(fetched(none)), ['no-way', dist.info.path])
})

/** A server that answers each range with this, and how many chunks of it were taken. */
function answering(status: number, chunks: readonly Uint8Array[]): { readonly http: HttpClient; readonly taken: number[] } {
  const taken: number[] = []
  async function* body(): ByteStream {
    for (const [i, chunk] of chunks.entries()) {
      taken.push(i)
      yield chunk
    }
  }
  return { taken, http: { get: async () => ({ status, headers: {}, body: body() }) } }
}

test('of an answer no more is read than the frame has', async () => {
  const ones = Array.from({ length: 1000 }, () => new Uint8Array(1))
  for (const [status, code, most] of [
    [206, 'bad-digest', (frames[0] as Frame).size + 1],
    [200, 'not-supported', 1],
    [404, 'incomplete', 1],
  ] as const) {
    const { http, taken } = answering(status, ones)
    assert.equal((await refused(fetched(await world({ http }))))[0], code)
    assert.equal(taken.length, most, String(status))
  }
})

test('what is no mirror’s fault ends it at once, and so does a stop', async () => {
  let asked = 0
  const failing: HttpClient = {
    get: async () => {
      asked++
      throw new BinderyError('stopped', 'was stopped')
    },
  }
  assert.deepEqual(await refused(fetched(await world({ urls: [a, b], http: failing }))), ['stopped', undefined])
  assert.equal(asked, 1)
  const controller = new AbortController()
  const on = await world({ signal: controller.signal })
  const { http } = on.session
  // A repository on a disk answers so fast that it does not look at it.
  const deaf: HttpClient = { get: async ({ url, headers = {} }) => await http.get({ url, headers }) }
  const pieces = fetchFrames({ ...on.session, http: deaf }, on.place, plan)[Symbol.asyncIterator]()
  await pieces.next()
  controller.abort(new BinderyError('interrupted', 'was interrupted'))
  assert.deepEqual(await refused(pieces.next()), ['interrupted', undefined])
  assert.equal((http as MemoryHttp).requests.length, 1)
})

test('a frame that unpacks to another length than the index says is refused', async () => {
  const first = frames[0] as Frame
  const of = (length: number): FramePlan => ({ ...plan, frames: [{ ...first, length }] })
  assert.deepEqual(await refused(fetched(await world(), of(first.length + 1))), ['bad-format', dist.info.path])
  assert.equal((await refused(fetched(await world(), of(first.length - 1))))[0], 'over-limit')
})

test('the smallest dist that is listed holds a release as a whole', async () => {
  const [zstd, gzip, none] = (['zstd', 'gzip', 'none'] as const).map((codec) => served(targets.full(codec), utf8(codec)))
  const all = [zstd, gzip, none] as readonly Served[]
  const ways = [
    { target: targets.full('none'), size: 300, codec: 'none' },
    { target: targets.full('zstd'), size: 100, codec: 'zstd' },
    { target: targets.full('gzip'), size: 200, codec: 'gzip' },
  ] as const
  const chosen = async (...listed: readonly Served[]): Promise<unknown> => {
    const found = await wholeDist(trustIn({ 'base-amd64': listed }), record(2, { full: ways }))
    assert.equal(found?.way.target, found?.target.value.path)
    return found?.way.codec
  }
  assert.equal(await chosen(...all), 'zstd')
  assert.equal(await chosen(...all.slice(1)), 'gzip')
  assert.equal(await chosen(...all.slice(2)), 'none')
  assert.equal(await chosen(), undefined)
})
