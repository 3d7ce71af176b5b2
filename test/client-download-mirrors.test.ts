import assert from 'node:assert/strict'
import { test } from 'node:test'
import { collectBytes, concatBytes, equalBytes, oneChunk, utf8 } from '../src/base/bytes.ts'
import { sha256 } from '../src/base/digest.ts'
import { BinderyError } from '../src/base/error.ts'
import { markVerified } from '../src/base/verified.ts'
import { cachePath, partPath, writePartOrigin } from '../src/engine/client/fetch/cache.ts'
import { blobUrl } from '../src/engine/client/fetch/download-attempt.ts'
import { downloadBlob, downloadSmall, isIntact, readBlob, silentMeter, streamBlob } from '../src/engine/client/fetch/download.ts'
import { statePaths } from '../src/engine/client/state.ts'
import { measure } from '../src/engine/repo/blob.ts'
import { encodePieces } from '../src/format/pieces.ts'
import { memoryDisk } from '../src/host/memory-disk.ts'
import { testSession } from './helpers/client.ts'
import { faultyDisk } from './helpers/faulty-disk.ts'
import { noise } from './helpers/noise.ts'
import { refused } from './helpers/refused.ts'
import type { CachedBlob } from '../src/engine/client/fetch/download.ts'
import type { Session } from '../src/engine/client/fetch/session.ts'
import type { Pieces } from '../src/format/pieces.ts'
import type { HttpRequest, HttpResponse } from '../src/port/http.ts'
import type { Disk } from '../src/port/disk.ts'
import type { TargetInfo } from '../src/engine/repo/trust-types.ts'
import type { TestSession } from './helpers/client.ts'

/** Which mirror is asked for a file, from where on and how often, until it is in the cache as it is signed. */

const worthwhile = 64 << 10
const { content } = noise(4 * worthwhile, 3)
const info: TargetInfo = { path: 'base/amd64/base-1.0.tar.zst', length: content.length, sha256: sha256(content) }
const [path, part] = [cachePath(info.sha256), partPath(info.sha256)]
const damaged = content.map((byte, i) => (i === content.length - 1 ? byte ^ 1 : byte))

/** What a mirror does when it is asked for the bytes from `from` on. */
type Mirror = (from: number, request: HttpRequest) => HttpResponse

function answer(from: number, bytes: Uint8Array, end?: BinderyError): HttpResponse {
  async function* body(): AsyncGenerator<Uint8Array> {
    yield bytes
    if (end !== undefined) throw end
  }
  const headers = from === 0 ? {} : { 'content-range': `bytes ${from}-${content.length - 1}/${content.length}` }
  return { status: from === 0 ? 200 : 206, headers: { ...headers, 'content-length': String(content.length - from) }, body: body() }
}

const fine: Mirror = (from) => answer(from, content.subarray(from))
const wrong: Mirror = (from) => answer(from, damaged.subarray(from))
const away: Mirror = (_, { url }) => {
  throw new BinderyError('network', 'refused', { subject: url })
}
/** Breaks off after so many bytes, each time. */
const breaking =
  (bytes: number): Mirror =>
  (from) =>
    answer(from, content.subarray(from, Math.min(content.length, from + bytes)))
/** Ignores ranges, and breaks off if that is said. */
const anew =
  (bytes = content.length): Mirror =>
  () =>
    answer(0, content.subarray(0, bytes))
/** One after the other, each time it is asked; the last one from then on. */
const first = (...mirrors: readonly Mirror[]): Mirror => {
  const left = [...mirrors]
  return (from, request) => ((left.length > 1 ? left.shift() : left[0]) as Mirror)(from, request)
}
/** All bytes and one more, of which nothing says how many come. */
const more =
  (bytes: Uint8Array): Mirror =>
  () => ({ status: 200, headers: {}, body: oneChunk(concatBytes([bytes, utf8('x')])) })
const nowhere: Mirror = () => ({ status: 404, headers: {}, body: oneChunk(utf8('not found')) })

type World = {
  readonly session: TestSession
  /** Who was asked, and from where on. */
  readonly asked: string[]
  readonly urls: readonly string[]
}

async function world(mirrors: readonly Mirror[], change: Partial<Session> = {}): Promise<World> {
  const asked: string[] = []
  const get = async (request: HttpRequest): Promise<HttpResponse> => {
    const name = new URL(request.url).hostname
    const from = Number(/[0-9]+/.exec(request.headers?.['range'] ?? '')?.[0] ?? 0)
    asked.push(`${name} ${from}`)
    return (mirrors['abc'.indexOf(name)] as Mirror)(from, request)
  }
  return { session: await testSession({ http: { get }, ...change }), asked, urls: mirrors.map((_, i) => `http://${'abc'[i] as string}/`) }
}

async function download({ session, urls }: World, of: TargetInfo = info): Promise<CachedBlob> {
  const { value } = await downloadBlob(session, { urls, meter: silentMeter }, markVerified(of))
  assert.ok(equalBytes((await collectBytes(session.disk.read(path), 1 << 20)) as Uint8Array, content))
  assert.deepEqual(await session.disk.readdir(statePaths.cache), [info.sha256])
  return value
}

const put = async (disk: Disk, at: typeof path, bytes: Uint8Array): Promise<void> => void (await disk.create(at, oneChunk(bytes)))

test('a file comes durably under its own name, and is known then', async () => {
  const it = await world([fine])
  const faulty = faultyDisk(it.session.disk, { kind: 'none' })
  const blob = { target: info.path, path, size: content.length, sha256: info.sha256 }
  assert.deepEqual(await download({ ...it, session: { ...it.session, disk: faulty.disk } }), blob)
  assert.deepEqual(faulty.calls, [`append ${part}`, `sync ${part}`, `rename ${part}`, 'sync var/db/bindery/cache'])
  assert.deepEqual(await download(it), blob)
  assert.deepEqual(it.asked, ['a 0'])
  assert.equal(it.session.mirrors.of(['http://a/', 'http://b/'])[0], 'http://a/')
})

test('where the rest came from is of no interest once it is here', async () => {
  const it = await world([fine])
  await put(it.session.disk, part, content.subarray(0, 10))
  await writePartOrigin(it.session.disk, info.sha256, { url: blobUrl('http://a/', info), validator: '"v1"' })
  await download(it)
  assert.deepEqual(it.asked, ['a 10'])
})

test('a file of the cache that is not as it is signed comes again', async () => {
  for (const bytes of [damaged, content.subarray(1), concatBytes([content, utf8('x')])]) {
    const it = await world([fine])
    await put(it.session.disk, path, bytes)
    await download(it)
    assert.deepEqual(it.asked, ['a 0'])
  }
})

test('a file is intact when it is one, as long as it is signed and with that digest', async () => {
  const { disk } = await testSession()
  const blob = { path, size: content.length, sha256: info.sha256 }
  assert.equal(await isIntact({ disk }, blob), false)
  await put(disk, path, content)
  assert.equal(await isIntact({ disk }, blob), true)
  assert.equal(await isIntact({ disk }, { ...blob, size: content.length - 1 }), false)
  assert.equal(await isIntact({ disk }, { ...blob, sha256: sha256(utf8('x')) }), false)
  await disk.unlink(path)
  await disk.symlink(path, 'x'.repeat(content.length))
  assert.equal(await isIntact({ disk }, blob), false)
})

for (const [name, have, free, isEnough] of [
  ['just enough', 0, content.length, true],
  ['a byte too little', 0, content.length - 1, false],
  ['enough for what is missing', 1000, content.length - 1000, true],
  ['a byte too little for what is missing', 1000, content.length - 1001, false],
] as const)
  test(`of free space there is ${name}`, async () => {
    const disk = memoryDisk()
    const space: Disk['space'] = async (at) => ({ ...(await disk.space(at)), freeBytes: free })
    const it = await world([fine], { disk: { ...disk, space } })
    await put(disk, part, content.subarray(0, have))
    if (isEnough) await download(it)
    else
      await assert.rejects(download(it), {
        code: 'no-space',
        message: `no space for ${info.path}: ${content.length - have} bytes are needed, ${free} are free`,
        subject: 'var/db/bindery/cache',
      })
    assert.equal(it.asked.length, isEnough ? 1 : 0)
  })

const [half, little] = [2 * worthwhile, worthwhile - 1]
const digest = 'does not have the digest that is signed'

type Case = {
  readonly name: string
  readonly mirrors: readonly Mirror[]
  readonly have?: Uint8Array
  readonly asked: readonly string[]
  /** Code and message where it fails. */
  readonly fails?: readonly [string, string]
  readonly pieces?: true
}

const cases: readonly Case[] = [
  { name: 'the next one is asked for what the first has not', mirrors: [nowhere, fine], asked: ['a 0', 'b 0'] },
  { name: 'the next one goes on where the first broke off', mirrors: [breaking(little), fine], asked: ['a 0', `b ${little}`] },
  {
    name: 'who brought it further by as much as is worthwhile is asked again, behind the others',
    mirrors: [breaking(half), away],
    asked: ['a 0', `b ${half}`, `a ${half}`],
  },
  {
    name: 'the least that is worthwhile',
    mirrors: [breaking(worthwhile)],
    asked: ['a 0', `a ${worthwhile}`, `a ${2 * worthwhile}`, `a ${3 * worthwhile}`],
  },
  { name: 'less is not', mirrors: [breaking(little)], asked: ['a 0'], fails: ['network', 'broken off'] },
  {
    name: 'what was there before does not count as brought',
    mirrors: [breaking(little)],
    have: content.subarray(0, half),
    asked: [`a ${half}`],
    fails: ['network', 'broken off'],
  },
  {
    name: 'it counts from where all others have brought it',
    mirrors: [breaking(half), breaking(little), breaking(worthwhile)],
    asked: ['a 0', `b ${half}`, `c ${half + little}`, `a ${3 * worthwhile + little}`],
  },
  { name: 'wrong bytes of one are not gone on with by the next', mirrors: [wrong, fine], asked: ['a 0', 'b 0'] },
  { name: 'wrong bytes of the only one are not asked for again', mirrors: [wrong], asked: ['a 0'], fails: ['bad-digest', digest] },
  {
    name: 'wrong bytes that were there before are its chance with a fresh file',
    mirrors: [fine],
    have: damaged.subarray(0, 10).map((byte) => byte ^ 1),
    asked: ['a 10', 'a 0'],
  },
  {
    name: 'which it has once',
    mirrors: [wrong],
    have: content.subarray(0, 10),
    asked: ['a 10', 'a 0'],
    fails: ['bad-digest', digest],
  },
  { name: 'wrong bytes that are all there go', mirrors: [fine], have: damaged, asked: ['a 0'] },
  {
    name: 'who ignores ranges is asked when nobody goes on from the part',
    mirrors: [anew(), nowhere],
    have: content.subarray(0, half),
    asked: [`a ${half}`, `b ${half}`, `a ${half}`],
  },
  {
    name: 'and not when somebody does',
    mirrors: [anew(), fine],
    have: content.subarray(0, half),
    asked: [`a ${half}`, `b ${half}`],
  },
  {
    name: 'who ignores ranges and breaks off is not asked for ever',
    mirrors: [anew(half)],
    asked: ['a 0', `a ${half}`],
    fails: ['network', 'broken off'],
  },
  {
    name: 'a bad piece that had begun before is the only one’s chance with a fresh piece',
    mirrors: [fine],
    have: content.map((byte, i) => (i === half + 5 ? byte ^ 1 : byte)).subarray(0, half + 10),
    asked: [`a ${half + 10}`, `a ${half}`],
    pieces: true,
  },
  {
    name: 'a bad piece of an earlier run goes before anybody is asked',
    mirrors: [fine],
    have: content.map((byte, i) => (i === half + 5 ? byte ^ 1 : byte)).subarray(0, 3 * worthwhile + 10),
    asked: [`a ${half}`],
    pieces: true,
  },
  {
    name: 'where all ignore ranges, the first of them is asked again and begins anew',
    mirrors: [anew(), anew()],
    have: content.subarray(0, half),
    asked: [`a ${half}`, `b ${half}`, `a ${half}`],
  },
  {
    name: 'who begins to ignore ranges waits until the others have gone on',
    mirrors: [first(breaking(half), anew()), breaking(worthwhile), away],
    asked: ['a 0', `b ${half}`, `c ${half + worthwhile}`, `a ${half + worthwhile}`, `b ${half + worthwhile}`],
  },
  {
    name: 'how far wrong bytes went does not count',
    mirrors: [first(wrong, breaking(half))],
    have: content.subarray(0, 10),
    asked: ['a 10', 'a 0', `a ${half}`],
  },
  {
    name: 'nor of who sends more than that',
    mirrors: [more(damaged), breaking(half)],
    asked: ['a 0', 'b 0', `b ${half}`],
  },
  {
    name: 'who sends wrong bytes and more is not asked again',
    mirrors: [more(damaged)],
    asked: ['a 0'],
    fails: ['over-limit', `sends more than the ${content.length} bytes that are signed`],
  },
  { name: 'without any there is no way', mirrors: [], asked: [], fails: ['no-way', 'no mirror is known'] },
]

for (const { name, mirrors, have, asked, fails, pieces } of cases)
  test(`of the mirrors of a file: ${name}`, async () => {
    const it = await world(mirrors)
    if (have !== undefined) await put(it.session.disk, part, have)
    const measured = await measure(oneChunk(content), content.length)
    const target = pieces === undefined ? info : { ...info, custom: encodePieces(measured.pieces as Pieces) }
    if (fails === undefined) await download(it, target)
    else await assert.rejects(download(it, target), { code: fails[0], message: fails[1] })
    assert.deepEqual(it.asked, asked)
    assert.equal(await it.session.disk.lstat(path).then((stat) => stat === undefined), fails !== undefined)
  })

test('who sends all bytes and more has sent the file', async () => {
  const it = await world([more(content), away])
  await download(it)
  assert.deepEqual([it.asked, it.session.said], [['a 0'], []])
})

test('who fails is told with who is next, and asked last from then on; who would begin anew has not failed', async () => {
  const it = await world([anew(), away, fine])
  await put(it.session.disk, part, content.subarray(0, half))
  await download(it)
  const told = (name: string, what: string, next: string): string =>
    `${blobUrl(`http://${name}/`, info)}: ${what}; going on with http://${next}/`
  assert.deepEqual(it.session.explained, [told('a', 'would begin anew', 'b'), told('b', 'refused', 'c')])
  assert.deepEqual(it.session.mirrors.of(it.urls), ['http://a/', 'http://c/', 'http://b/'])
})

test('wrong bytes are told to everybody, and what they are of', async () => {
  const it = await world([wrong, fine])
  await download(it)
  assert.deepEqual(it.session.said, [`${blobUrl('http://a/', info)}: ${digest}; going on with http://b/`])
})

test('whoever stops asks for nothing more', async () => {
  const controller = new AbortController()
  const it = await world([fine], { signal: controller.signal })
  controller.abort(new Error('stopped by the person'))
  await assert.rejects(download(it), /stopped by the person/)
  assert.deepEqual(it.asked, [])
})

test('who breaks off again and again has no more time for a file than the others', async () => {
  let now = 1_000_000
  const slow: Mirror = (from, request) => {
    now += 4 * 3_600_000
    return breaking(worthwhile)(from, request)
  }
  const it = await world([slow], { clock: { now: () => now } })
  await assert.rejects(download(it), { code: 'too-slow' })
  assert.deepEqual(it.asked, ['a 0', `a ${worthwhile}`])
})

const small = utf8('a small record')
const smallInfo: TargetInfo = { path: 'base/amd64/x.update', length: small.length, sha256: sha256(small) }
const decode = (bytes: Uint8Array): string => Buffer.from(bytes).toString()

async function decoded({ session, urls }: World, limit = 1000, target = smallInfo): Promise<string> {
  return (await downloadSmall(session, { urls, meter: silentMeter }, markVerified(target), limit, decode)).value
}

const page =
  (bytes: Uint8Array, status = 200): Mirror =>
  () => ({ status, headers: {}, body: oneChunk(bytes) })

test('a small file comes through the cache of who may write it, and from there the second time', async () => {
  const it = await world([page(small)])
  for (let i = 0; i < 2; i++) assert.equal(await decoded(it), 'a small record')
  assert.deepEqual([it.asked, await it.session.disk.readdir(statePaths.cache)], [['a 0'], [smallInfo.sha256]])
})

test('who may only read has it in memory, and asks again', async () => {
  const it = await world([page(small)], { access: 'read' })
  for (let i = 0; i < 2; i++) assert.equal(await decoded(it), 'a small record')
  assert.deepEqual([it.asked, await it.session.disk.readdir(statePaths.cache)], [['a 0', 'a 0'], []])
})

for (const access of ['read', 'write'] as const)
  test(`a file that is signed as larger than we take is not asked for, to ${access}`, async () => {
    const it = await world([page(small)], { access })
    await assert.rejects(decoded(it, small.length - 1), {
      code: 'over-limit',
      message: `has ${small.length} bytes, more than ${small.length - 1}`,
      subject: smallInfo.path,
    })
    assert.deepEqual(it.asked, [])
    assert.equal(await decoded(it, small.length), 'a small record')
  })

const smallUrl = blobUrl('http://a/', smallInfo)

for (const [name, mirror, code, message] of [
  ['has it not', page(utf8('no'), 404), 'incomplete', 'answered 404'],
  ['fails', page(small, 500), 'network', 'answered 500'],
  ['has a part of it', page(small, 206), 'network', 'answered 206'],
  ['has more', page(utf8('a small record.')), 'over-limit', `sends more than the ${small.length} bytes that are signed`],
  ['has less', page(utf8('a small recor')), 'bad-digest', digest],
  ['has something else', page(utf8('a small recorD')), 'bad-digest', digest],
] as const)
  test(`a reader goes on behind a mirror that ${name}`, async () => {
    const it = await world([mirror, page(small)], { access: 'read' })
    assert.equal(await decoded(it), 'a small record')
    assert.deepEqual(it.asked, ['a 0', 'b 0'])
    assert.deepEqual([...it.session.said, ...it.session.explained], [`${smallUrl}: ${message}; going on with http://b/`])
    assert.deepEqual(it.session.mirrors.of(it.urls), ['http://b/', 'http://a/'])
    const alone = await world([mirror], { access: 'read' })
    await assert.rejects(decoded(alone), { code, message, subject: smallUrl })
    assert.deepEqual([alone.session.said, alone.session.explained], [[], []])
  })

test('the digest alone does not make up for the length that is signed', async () => {
  const it = await world([page(small)], { access: 'read' })
  assert.deepEqual(await refused(decoded(it, 1000, { ...smallInfo, length: small.length + 1 })), ['bad-digest', smallUrl])
})

test('what is no mirror’s fault ends a reader’s run, and so does what cannot be decoded', async () => {
  const bug: Mirror = () => {
    throw new Error('a bug')
  }
  const it = await world([bug, page(small)], { access: 'read' })
  await assert.rejects(decoded(it), /a bug/)
  assert.deepEqual(it.asked, ['a 0'])
  const { session, urls } = await world([page(small), page(small)], { access: 'read' })
  const broken = async (): Promise<never> => await Promise.reject(new BinderyError('bad-format', 'is no record'))
  assert.deepEqual(await refused(downloadSmall(session, { urls, meter: silentMeter }, markVerified(smallInfo), 1000, broken)), [
    'bad-format',
    undefined,
  ])
})

test('without a mirror there is no way for a reader', async () => {
  assert.deepEqual(await refused(decoded(await world([], { access: 'read' }))), ['no-way', smallInfo.path])
})

test('a blob is read once more as it was signed, and no further than it may be', async () => {
  const { disk } = await testSession()
  await put(disk, path, content)
  const blob = markVerified({ target: info.path, path, size: content.length, sha256: info.sha256 })
  const size = (bytes: Uint8Array): number => bytes.length
  assert.equal((await readBlob({ disk }, blob, content.length, size)).value, content.length)
  assert.ok(equalBytes((await collectBytes(streamBlob({ disk }, blob), 1 << 20)) as Uint8Array, content))
  const larger = { code: 'over-limit', message: `has ${content.length} bytes, more than ${content.length - 1}`, subject: info.path }
  await assert.rejects(readBlob({ disk }, blob, content.length - 1, size), larger)
  await disk.unlink(path)
  await put(disk, path, damaged)
  await assert.rejects(readBlob({ disk }, blob, 1 << 20, size), { code: 'bad-digest', message: 'changed in the cache', subject: path })
  await disk.append(path, oneChunk(utf8('x')))
  await assert.rejects(readBlob({ disk }, blob, 1 << 20, size), { code: 'over-limit', subject: info.path })
})
