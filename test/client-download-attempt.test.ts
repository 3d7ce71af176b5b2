import assert from 'node:assert/strict'
import { test } from 'node:test'
import { collectBytes, concatBytes, emptyBytes, oneChunk, utf8 } from '../src/base/bytes.ts'
import { sha256 } from '../src/base/digest.ts'
import { BinderyError } from '../src/base/error.ts'
import { partPath, readPartOrigin, writePartOrigin } from '../src/engine/client/fetch/cache.ts'
import { attemptDownload, blobUrl, wrongDigest } from '../src/engine/client/fetch/download-attempt.ts'
import { checkerBehind, keepGoodPieces } from '../src/engine/client/fetch/download-pieces.ts'
import { measure } from '../src/engine/repo/blob.ts'
import { encodePieces } from '../src/format/pieces.ts'
import { noise } from './helpers/noise.ts'
import { testSession } from './helpers/client.ts'
import { withLinkSizes } from './helpers/link-sizes.ts'
import { plant } from './helpers/plant.ts'
import type { Attempt, Outcome } from '../src/engine/client/fetch/download-attempt.ts'
import type { Session } from '../src/engine/client/fetch/session.ts'
import type { Pieces } from '../src/format/pieces.ts'
import type { HttpRequest, HttpResponse } from '../src/port/http.ts'
import type { TargetInfo } from '../src/engine/repo/trust-types.ts'

/** One try with one mirror: what is asked of it, what of its answer is taken, and what is known of the part then. */

const piece = 64 << 10
/** Three pieces and a bit. */
const { content } = noise(3 * piece + 100, 7)
const plain: TargetInfo = { path: 'base/amd64/base-1.0.tar.zst', length: content.length, sha256: sha256(content) }
const inPieces: TargetInfo = { ...plain, custom: encodePieces((await measure(oneChunk(content), content.length)).pieces as Pieces) }
const part = partPath(plain.sha256)
const base = 'http://a.test/'
const url = blobUrl(base, plain)

/** So that a difference is not told byte by byte. */
const shown = (bytes: Uint8Array | undefined): string | undefined => bytes && `${bytes.length} bytes, ${sha256(bytes)}`

const damagedAt = (...places: readonly number[]): Uint8Array => content.map((byte, i) => (places.includes(i) ? byte ^ 1 : byte))

/** What the mirror answers: status, headers, chunks, and how the body ends. */
type Answer = {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  readonly chunks?: readonly Uint8Array[]
  readonly end?: Error
}

type Tried = {
  readonly outcome: Outcome
  /** What the part holds then, as `shown`. */
  readonly bytes: string | undefined
  readonly asked: readonly HttpRequest[]
  /** How many bytes the meter was told, and whether the body was left before its end. */
  readonly metered: number
  readonly left: boolean
  readonly read: number
  readonly session: Session
}

type Situation = {
  /** What is there already, and where it is said to come from. */
  readonly have?: Uint8Array
  readonly origin?: { readonly url: string; readonly validator: string }
  readonly attempt?: Partial<Attempt>
  readonly session?: Partial<Session>
}

async function attempted(answer: Answer | Error, { have, origin, attempt = {}, session: change }: Situation = {}): Promise<Tried> {
  const asked: HttpRequest[] = []
  let [metered, left, read] = [0, false, 0]
  const chunks = answer instanceof Error ? [] : [...(answer.chunks ?? [])]
  const body: HttpResponse['body'] = {
    [Symbol.asyncIterator]: () => ({
      next: async () => {
        const value = chunks.shift()
        if (value === undefined && !(answer instanceof Error) && answer.end !== undefined) throw answer.end
        if (value !== undefined) read++
        return value === undefined ? { done: true, value } : { done: false, value }
      },
      return: async () => {
        left = true
        return { done: true, value: undefined }
      },
    }),
  }
  const get = async (request: HttpRequest): Promise<HttpResponse> => {
    asked.push(request)
    if (answer instanceof Error) throw answer
    return { status: answer.status ?? 200, headers: answer.headers ?? {}, body }
  }
  const session = await testSession({ http: { get }, ...change })
  if (have !== undefined) await session.disk.create(part, oneChunk(have))
  if (origin !== undefined) await writePartOrigin(session.disk, plain.sha256, origin)
  const meter = { advance: (bytes: number) => void (metered += bytes), end: () => {} }
  const since = session.clock.now()
  const outcome = await attemptDownload(session, { base, info: plain, meter, since, mayRestart: true, ...attempt })
  const isThere = (await session.disk.lstat(part)) !== undefined
  const bytes = isThere ? await collectBytes(session.disk.read(part), 1 << 20) : undefined
  return { outcome, bytes: shown(bytes), asked, metered, left, read, session }
}

const failed = ({ outcome }: Tried): readonly unknown[] => {
  assert.ok(outcome.kind === 'failed')
  const { error, reached, wouldRestart, wasBegun } = outcome
  return [
    error.code,
    error.message,
    error.subject,
    reached,
    ...(wouldRestart === true ? ['again'] : []),
    ...(wasBegun === true ? ['begun'] : []),
  ]
}

const length = String(content.length)
const whole = { 'content-length': length }
/** The answer to a request from `from` on. */
const rest = (from: number, bytes: Uint8Array = content): Answer => ({
  status: 206,
  headers: { 'content-range': `bytes ${from}-${content.length - 1}/${length}`, 'content-length': String(content.length - from) },
  chunks: [bytes.subarray(from)],
})

test('the address of a blob keeps the plus sign of its name, and quotes what no URL holds', () => {
  assert.equal(blobUrl(base, { ...plain, path: 'a+b/c d+e%2B.tar' }), `${base}blobs/a+b/${plain.sha256}.c%20d+e%252B.tar`)
  assert.deepEqual([wrongDigest(base, plain).code, wrongDigest(base, plain).subject], ['bad-digest', url])
})

test('the whole comes, is counted, and can be gone on with where the server says what it has', async () => {
  for (const [headers, origin] of [
    [{ etag: '"v1"' }, '"v1"'],
    [{ 'last-modified': 'Sat, 01 Aug 2026 10:00:00 GMT' }, 'Sat, 01 Aug 2026 10:00:00 GMT'],
    // A weak tag, and none.
    [{ etag: 'W/"v1"' }, undefined],
    [{}, undefined],
  ] as const) {
    const tried = await attempted({ headers: { ...whole, ...headers }, chunks: [content.subarray(0, 1000), content.subarray(1000)] })
    assert.deepEqual(tried.outcome, { kind: 'complete', resumedAt: 0 })
    assert.deepEqual([tried.bytes, tried.metered], [shown(content), content.length])
    assert.deepEqual(
      tried.asked.map((request) => [request.url, request.headers]),
      [[url, {}]],
    )
    const kept = await readPartOrigin(tried.session.disk, plain.sha256)
    assert.deepEqual(kept, origin === undefined ? undefined : { url, validator: origin })
  }
})

test('what is there needs no request; what is too long, or no file, is nothing', async () => {
  const there = await attempted(new Error('not to be asked'), { have: content })
  assert.deepEqual([there.outcome, there.asked], [{ kind: 'complete', resumedAt: content.length }, []])
  const long = await attempted({ chunks: [content] }, { have: concatBytes([content, utf8('x')]), origin: { url, validator: '"v1"' } })
  assert.deepEqual([long.outcome, long.bytes, long.asked[0]?.headers], [{ kind: 'complete', resumedAt: 0 }, shown(content), {}])
  assert.equal(await readPartOrigin(long.session.disk, plain.sha256), undefined)
  const { disk } = await testSession()
  await disk.symlink(part, '/etc/passwd')
  const link = await attempted({ chunks: [content] }, { session: { disk: withLinkSizes(disk) } })
  assert.deepEqual([link.outcome, link.bytes, link.asked[0]?.headers], [{ kind: 'complete', resumedAt: 0 }, shown(content), {}])
})

for (const [name, origin, condition] of [
  ['of the same server', { url, validator: '"v1"' }, { 'if-range': '"v1"' }],
  ['of another one', { url: url.replace('a.test', 'b.test'), validator: '"v1"' }, {}],
  ['of nobody knows whom', undefined, {}],
] as const)
  test(`the rest is asked for, and goes behind the part ${name}`, async () => {
    const tried = await attempted(rest(1000), { have: content.subarray(0, 1000), ...(origin === undefined ? {} : { origin }) })
    assert.deepEqual(tried.asked[0]?.headers, { range: 'bytes=1000-', ...condition })
    assert.deepEqual(
      [tried.outcome, tried.bytes, tried.metered],
      [{ kind: 'complete', resumedAt: 1000 }, shown(content), content.length - 1000],
    )
    assert.deepEqual(await readPartOrigin(tried.session.disk, plain.sha256), origin)
  })

test('a server that would begin anew does so where nobody else is left, and otherwise leaves the part', async () => {
  const [have, answer] = [content.subarray(0, 1000), { headers: { ...whole, etag: '"v2"' }, chunks: [content] }]
  const origin = { url, validator: '"v1"' }
  const other = await attempted(answer, { have, origin, attempt: { mayRestart: false } })
  assert.deepEqual(failed(other), ['network', 'would begin anew', url, 1000, 'again'])
  assert.deepEqual([other.bytes, other.left, await readPartOrigin(other.session.disk, plain.sha256)], [shown(have), true, origin])
  const alone = await attempted(answer, { have, origin })
  assert.deepEqual([alone.outcome, alone.bytes], [{ kind: 'complete', resumedAt: 0 }, shown(content)])
  assert.deepEqual(await readPartOrigin(alone.session.disk, plain.sha256), { url, validator: '"v2"' })
  // Where nothing is there, everybody begins.
  assert.equal((await attempted(answer, { attempt: { mayRestart: false } })).outcome.kind, 'complete')
})

const last = content.length - 1
const other = 'answered with another part than was asked for'
const unasked = 'answered with a part that was not asked for'
const part206 = (range: string | undefined): Answer => ({
  status: 206,
  headers: range === undefined ? {} : { 'content-range': range },
  chunks: [content.subarray(1000)],
})

for (const [name, answer, fault, code = 'network'] of [
  ['is no page', { headers: { 'content-type': 'text/html' } }, 'answered with a page of HTML'],
  ['is no page in UTF-8', { headers: { 'content-type': 'text/html; charset=utf-8', ...whole } }, 'answered with a page of HTML'],
  ['is not shorter', { headers: { 'content-length': '5' } }, `has 5 bytes instead of ${length}`],
  ['is not longer', { headers: { 'content-length': `${length}0` } }, `has ${length}0 bytes instead of ${length}`],
  ['is there', { status: 404 }, 'answered 404', 'incomplete'],
  ['is given', { status: 500, headers: whole }, 'answered 500'],
  ['is within what there is', { status: 416 }, 'answered 416'],
  ['says which part it is', part206(undefined), unasked],
  ['says it in bytes', part206(`lines 1000-${last}/${length}`), unasked],
  ['says it alone', part206(`x bytes 1000-${last}/${length}`), unasked],
  ['says nothing behind it', part206(`bytes 1000-${last}/${length} `), unasked],
  ['says it in numbers', part206(`bytes 1000-${last}/x`), unasked],
  ['says it in numbers that can be', part206(`bytes 1000-${'0'.repeat(11)}${last}/${length}`), unasked],
  ['begins where it was asked to', part206(`bytes 999-${last}/${length}`), other],
  ['ends where it was asked to', part206(`bytes 1000-${last - 1}/${length}`), other],
  ['is of what is signed', part206(`bytes 1000-${last}/${length}0`), `has ${length}0 bytes instead of ${length}`],
] as readonly (readonly [string, Answer, string, string?])[])
  test(`of an answer, the part stays as it is unless it ${name}`, async () => {
    const have = content.subarray(0, 1000)
    const tried = await attempted({ chunks: [content], ...answer }, { have })
    assert.deepEqual(failed(tried), [code, fault, url, 1000])
    assert.deepEqual([tried.bytes, tried.left, tried.metered], [shown(have), true, 0])
  })

for (const [name, answer] of [
  ['has another type', { headers: { 'content-type': 'application/text/html' }, chunks: [content] }],
  ['says its length with zeros', { headers: { 'content-length': `0${length}` }, chunks: [content] }],
] as const)
  test(`a whole that ${name} is one`, async () => {
    assert.equal((await attempted(answer)).bytes, shown(content))
  })

test('a whole that says no length has come when all of it is there', async () => {
  const tried = await attempted({ chunks: [content.subarray(0, 1000), content.subarray(1000)] })
  assert.deepEqual([tried.outcome, tried.bytes], [{ kind: 'complete', resumedAt: 0 }, shown(content)])
  const short = await attempted({ chunks: [content.subarray(0, 1000)] })
  assert.deepEqual(failed(short), ['network', 'broken off', url, 1000])
})

test('how long the whole is need not be known to who gives the rest', async () => {
  const tried = await attempted(part206(`bytes 1000-${last}/*`), { have: content.subarray(0, 1000) })
  assert.deepEqual([tried.outcome, tried.bytes], [{ kind: 'complete', resumedAt: 1000 }, shown(content)])
})

test('a part is no answer where the whole was asked for', async () => {
  const tried = await attempted(part206(`bytes 0-${last}/${length}`))
  assert.deepEqual([failed(tried), tried.bytes], [['network', unasked, url, 0], undefined])
})

test('what came before the connection broke is kept, and how far it goes is told', async () => {
  const reset = new BinderyError('network', 'reset', { subject: url })
  for (const [end, code] of [
    [undefined, ['network', 'broken off', url]],
    [reset, ['network', 'reset', url]],
  ] as const) {
    const answer = { headers: whole, chunks: [content.subarray(0, 700)], ...(end === undefined ? {} : { end }) }
    const tried = await attempted(answer)
    assert.deepEqual([failed(tried), tried.bytes, tried.metered], [[...code, 700], shown(content.subarray(0, 700)), 700])
    const more = await attempted(
      { ...rest(1000), ...answer, headers: rest(1000).headers ?? {}, status: 206 },
      { have: content.subarray(0, 1000) },
    )
    assert.deepEqual(failed(more), [...code, 1700])
  }
})

test('a mirror that does not answer leaves the part, and what is no mirror’s fault ends the run', async () => {
  const have = content.subarray(0, 1000)
  const away = await attempted(new BinderyError('network', 'refused', { subject: url }), { have })
  assert.deepEqual([failed(away), away.bytes], [['network', 'refused', url, 1000], shown(have)])
  await assert.rejects(attempted(new BinderyError('io', 'cannot read')), { code: 'io' })
  await assert.rejects(attempted({ end: new Error('a bug') }), /a bug/)
})

test('a stop in the middle ends the run with its reason', async () => {
  const controller = new AbortController()
  const meter = { advance: () => controller.abort(new Error('stopped')), end: () => {} }
  const session = { signal: controller.signal }
  const answer = { headers: whole, chunks: [content.subarray(0, 700), content.subarray(700)] }
  await assert.rejects(attempted(answer, { session, attempt: { meter } }), /stopped/)
})

test('the time a mirror has for a file begins when it was first asked for it', async () => {
  const session = await testSession()
  const { deadlineMs } = session.config.network
  const since = session.clock.now() - deadlineMs - 1000
  const tried = await attempted({ headers: whole, chunks: [content] }, { attempt: { since } })
  assert.equal(failed(tried)[0], 'too-slow')
  const late = await attempted(rest(1000), { have: content.subarray(0, 1000), attempt: { since } })
  assert.equal(failed(late)[0], 'too-slow')
})

const more = `sends more than the ${length} bytes that are signed`

for (const [name, headers, chunks, fault] of [
  ['more in the same chunk', {}, [concatBytes([content, utf8('x')])], more],
  ['more in the same chunk as announced', whole, [concatBytes([content, utf8('x')])], more],
  ['more in another chunk, announced otherwise', whole, [content, utf8('x')], more],
  // Nobody waits for what comes then.
  ['more in another chunk, without a length', {}, [content, utf8('x')], undefined],
  ['nothing in another chunk', whole, [content, emptyBytes], undefined],
] as const)
  test(`behind the signed bytes, of ${name} none is kept`, async () => {
    const tried = await attempted({ headers, chunks })
    assert.deepEqual([tried.bytes, tried.metered], [shown(content), content.length])
    if (fault === undefined) assert.deepEqual(tried.outcome, { kind: 'complete', resumedAt: 0 })
    else assert.deepEqual(failed(tried), ['over-limit', fault, url, content.length])
    assert.equal(tried.read, name.includes('without') ? 1 : chunks.length)
  })

test('behind the signed bytes of a rest, none is kept either', async () => {
  const tried = await attempted(
    { ...rest(1000), chunks: [content.subarray(1000, 2000), concatBytes([content.subarray(2000), utf8('x')])] },
    {
      have: content.subarray(0, 1000),
    },
  )
  assert.deepEqual([failed(tried), tried.bytes], [['over-limit', more, url, content.length], shown(content)])
})

/** As it comes over a network. */
function chunksOf(bytes: Uint8Array, size = 10_000): readonly Uint8Array[] {
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => bytes.subarray(i * size, (i + 1) * size))
}

const digest = 'does not have the digest that is signed'

for (const [name, damaged, good] of [
  ['the first piece', 0, 0],
  ['the second', piece, piece],
  ['the third', 3 * piece - 1, 2 * piece],
  ['the last, which is shorter', last, 3 * piece],
] as const)
  test(`a bad piece is known when it has come, and what is before it is kept: ${name}`, async () => {
    const tried = await attempted({ headers: whole, chunks: chunksOf(damagedAt(damaged)) }, { attempt: { info: inPieces } })
    assert.deepEqual(failed(tried), ['bad-digest', digest, url, good])
    assert.equal(tried.bytes, shown(content.subarray(0, good)))
    assert.equal(tried.read, Math.min(Math.ceil((good + piece) / 10_000), Math.ceil(content.length / 10_000)))
  })

test('pieces that are as they are signed come through', async () => {
  const tried = await attempted({ headers: whole, chunks: chunksOf(content) }, { attempt: { info: inPieces } })
  assert.deepEqual([tried.outcome, tried.bytes], [{ kind: 'complete', resumedAt: 0 }, shown(content)])
})

for (const [name, from, damaged, expected] of [
  ['all is good', piece + 7, [], undefined],
  ['the piece that had begun is bad before the part’s end', piece + 7, [piece + 3], [piece, 'begun']],
  ['and behind it', piece + 7, [piece + 9], [piece, 'begun']],
  ['the next one is bad', piece + 7, [2 * piece], [2 * piece]],
  ['the part ends with a piece, and the next is bad', piece, [piece], [piece]],
  // Whoever has it asked first.
  ['a piece before is bad', 2 * piece + 7, [piece], undefined],
] as readonly (readonly [string, number, readonly number[], readonly unknown[] | undefined])[])
  test(`behind a part, pieces are checked from the one on that it ends in: ${name}`, async () => {
    const bytes = damagedAt(...damaged)
    const tried = await attempted(
      { ...rest(from, bytes), chunks: chunksOf(bytes.subarray(from)) },
      {
        have: bytes.subarray(0, from),
        attempt: { info: inPieces },
      },
    )
    if (expected === undefined) assert.deepEqual([tried.outcome, tried.bytes], [{ kind: 'complete', resumedAt: from }, shown(bytes)])
    else {
      assert.deepEqual(failed(tried), ['bad-digest', digest, url, ...expected])
      assert.equal(tried.bytes, shown(bytes.subarray(0, expected[0] as number)))
    }
  })

test('a target that is listed without pieces has nothing to check them by', async () => {
  assert.equal(await checkerBehind(await testSession(), plain, 7), undefined)
})

for (const [name, info, have, kept] of [
  ['good ones', inPieces, content.subarray(0, 2 * piece + 7), 2 * piece + 7],
  ['all of them', inPieces, content, content.length],
  ['those before the first bad one', inPieces, damagedAt(piece + 1, 2 * piece).subarray(0, 3 * piece), piece],
  ['none, where the first is bad', inPieces, damagedAt(5), 0],
  // What has not ended is not known yet.
  ['one that is bad and has not ended', inPieces, damagedAt(piece + 1).subarray(0, piece + 10), piece + 10],
  ['a part without them', plain, damagedAt(5), content.length],
] as const)
  test(`of the pieces of an earlier run are kept: ${name}`, async () => {
    const { disk } = await testSession()
    await disk.create(part, oneChunk(have))
    await keepGoodPieces({ disk } as Session, info)
    assert.equal(shown(await collectBytes(disk.read(part), 1 << 20)), shown(have.subarray(0, kept)))
  })

test('where no part is there, or none that is a file, nothing is kept and nothing fails', async () => {
  const { disk } = await testSession()
  await keepGoodPieces({ disk } as Session, inPieces)
  assert.equal(await disk.lstat(part), undefined)
  await plant(disk, { [part]: { kind: 'dir' } })
  await keepGoodPieces({ disk } as Session, inPieces)
  assert.equal((await disk.lstat(part))?.kind, 'dir')
})
