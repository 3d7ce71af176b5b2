import assert from 'node:assert/strict'
import { test } from 'node:test'
import { collectBytes, oneChunk, utf8 } from '../src/base/bytes.ts'
import { sha256 } from '../src/base/digest.ts'
import { markVerified } from '../src/base/verified.ts'
import { defaultConfig } from '../src/format/conf.ts'
import { cachePath, partPath, readPartOrigin, sweepCache } from '../src/engine/client/fetch/cache.ts'
import { blobUrl } from '../src/engine/client/fetch/download-attempt.ts'
import { downloadBlob, downloadSmall, readBlob, silentMeter } from '../src/engine/client/fetch/download.ts'
import { measure } from '../src/engine/repo/blob.ts'
import { encodePieces } from '../src/format/pieces.ts'
import { throttle } from '../src/engine/client/fetch/throttle.ts'
import { statePaths } from '../src/engine/client/state.ts'
import { memoryDisk } from '../src/host/memory-disk.ts'
import { testSession } from './helpers/client.ts'
import { answers, cutsAfter, drips, hangs, hostileServer, neverEnds, portal, stallsAfter } from './helpers/hostile-server.ts'
import { serveSite } from './helpers/site.ts'
import type { ErrorCode } from '../src/base/error.ts'
import type { Pieces } from '../src/format/pieces.ts'
import type { Page } from '../src/host/memory-http.ts'
import type { TargetInfo } from '../src/engine/repo/trust-types.ts'
import type { Session } from '../src/engine/client/fetch/session.ts'
import type { HostileServer, Mischief } from './helpers/hostile-server.ts'
import type { TestSession } from './helpers/client.ts'
import type { Site } from './helpers/site.ts'

const content = new Uint8Array(1_000_000).map((_, i) => (i * 2_654_435_761) >>> 13)
const info: TargetInfo = { path: 'base/amd64/base-1.0-20260101-amd64.tar.zst', length: content.length, sha256: sha256(content) }
const target = markVerified(info)
const page = `/${blobUrl('', info)}`

test('a blob lies below blobs/ with its digest before its name', () => {
  assert.equal(page, `/blobs/base/amd64/${info.sha256}.base-1.0-20260101-amd64.tar.zst`)
})

async function goodSite(change: Partial<Page> = {}): Promise<Site> {
  return await serveSite(new Map([[page, { bytes: content, etag: '"v1"', ...change }]]))
}

/** Downloads from these addresses and looks at what is in the cache then. */
async function download(session: Session, ...bases: readonly string[]): Promise<void> {
  const blob = await downloadBlob(session, { urls: bases.map((base) => `${base}/`), meter: silentMeter }, target)
  const bytes = await collectBytes(session.disk.read(blob.value.path), content.length)
  assert.equal(Buffer.compare(bytes as Uint8Array, content), 0)
  assert.deepEqual(await session.disk.readdir(statePaths.cache), [info.sha256])
}

async function withPart(bytes: Uint8Array): Promise<TestSession> {
  const session = await testSession()
  await session.disk.create(partPath(info.sha256), oneChunk(bytes))
  return session
}

const transferred = (site: Site): number => site.seen.reduce((sum, { bytes }) => sum + bytes, 0)

test('a download comes once; the second time it is there', async () => {
  const [session, site] = [await testSession(), await goodSite()]
  await download(session, site.base)
  await download(session, site.base)
  assert.deepEqual([site.seen.length, transferred(site)], [1, content.length])
  await site.close()
})

test('a damaged file of the cache is fetched again', async () => {
  const [session, site] = [await testSession(), await goodSite()]
  await download(session, site.base)
  await session.disk.unlink(cachePath(info.sha256))
  await session.disk.create(cachePath(info.sha256), oneChunk(content.map((byte) => byte ^ 1)))
  await download(session, site.base)
  assert.equal(site.seen.length, 2)
  await site.close()
})

for (const [name, change] of [
  ['an ETag', {}],
  ['Last-Modified alone', { etag: undefined, lastModified: 'Sat, 01 Aug 2026 10:00:00 GMT' }],
  ['no validator', { etag: undefined }],
] as const) {
  test(`after a cut, the rest is fetched by range, with ${name}`, async () => {
    const session = await testSession()
    const pages = new Map<string, Page>([[page, { bytes: content, etag: '"v1"', breakAfter: 600_000, ...(change as Partial<Page>) }]])
    const site = await serveSite(pages)
    // 600 kB are worth another try, in which the server still breaks off after as much.
    await download(session, site.base)
    assert.deepEqual(
      site.seen.map(({ headers }) => headers['range']),
      [undefined, 'bytes=600000-'],
    )
    assert.ok(transferred(site) <= content.length * 1.02)
    await site.close()
  })
}

test('If-Range goes to the server that gave the first part, and only to it', async () => {
  const session = await testSession()
  const first = await hostileServer(cutsAfter(content, 500_000))
  await assert.rejects(download(session, first.base), { code: 'network' })
  assert.deepEqual(await readPartOrigin(session.disk, info.sha256), { url: first.base + page, validator: '"x"' })
  const other = await goodSite()
  await download(session, first.base, other.base)
  assert.equal(first.requests.at(-1)?.headers.get('if-range'), '"x"')
  assert.deepEqual(
    other.seen.map(({ headers }) => [headers['range'], headers['if-range']]),
    [['bytes=500000-', undefined]],
  )
  await first.close()
  await other.close()
})

test('a server that ignores ranges begins anew', async () => {
  const session = await withPart(content.subarray(0, 400_000))
  const site = await goodSite({ ranges: 'ignored' })
  await download(session, site.base)
  assert.equal(transferred(site), content.length)
  await site.close()
})

test('a part that is wrong is thrown away once, and the file comes whole', async () => {
  const [session, site] = [await withPart(new Uint8Array(300_000)), await goodSite()]
  await download(session, site.base)
  assert.deepEqual(
    site.seen.map(({ headers }) => headers['range']),
    ['bytes=300000-', undefined],
  )
  await site.close()
})

test('a part with all bytes needs no request; one with too many is none', async () => {
  const site = await goodSite()
  await download(await withPart(content), site.base)
  assert.equal(site.seen.length, 0)
  await download(await withPart(new Uint8Array(content.length + 1)), site.base)
  assert.equal(site.seen.length, 1)
  await site.close()
})

async function downloadInPieces(session: Session, ...sites: readonly Site[]): Promise<readonly unknown[]> {
  const { pieces } = await measure(oneChunk(content), content.length)
  const inPieces = markVerified({ ...info, custom: encodePieces(pieces as Pieces) })
  const urls = sites.map(({ base }) => `${base}/`)
  const blob = await downloadBlob(session, { urls, meter: silentMeter }, inPieces)
  assert.equal(Buffer.compare((await collectBytes(session.disk.read(blob.value.path), content.length)) as Uint8Array, content), 0)
  return sites.flatMap(({ seen }) => seen.map(({ headers }) => headers['range']))
}

const damagedAt = (at: number): Uint8Array => content.map((byte, i) => (i === at ? byte ^ 1 : byte))

test('a bad piece is known when it has come, and the next mirror goes on before it', async () => {
  for (const [at, behind] of [
    [500_000, 458_752],
    [content.length - 1, 983_040],
  ] as const) {
    const [bad, good] = [await goodSite({ bytes: damagedAt(at) }), await goodSite()]
    assert.deepEqual(await downloadInPieces(await testSession(), bad, good), [undefined, `bytes=${behind}-`])
    for (const site of [bad, good]) await site.close()
  }
})

test('of a part from an earlier run, what is before its first bad piece is kept', async () => {
  const site = await goodSite()
  const part = damagedAt(100_000).subarray(0, 400_000)
  assert.deepEqual(await downloadInPieces(await withPart(part), site), ['bytes=65536-'])
  await site.close()
})

test('a part that ends within a piece is gone on with, and that piece is checked as a whole', async () => {
  const [bad, good] = [await goodSite({ bytes: damagedAt(410_000) }), await goodSite()]
  const part = content.subarray(0, 400_000)
  assert.deepEqual(await downloadInPieces(await withPart(part), bad, good), ['bytes=400000-', 'bytes=393216-'])
  for (const site of [bad, good]) await site.close()
})

test('where the begun piece of an earlier run was bad, the only mirror is asked for it anew', async () => {
  const site = await goodSite()
  const part = damagedAt(395_000).subarray(0, 400_000)
  assert.deepEqual(await downloadInPieces(await withPart(part), site), ['bytes=400000-', 'bytes=393216-'])
  await site.close()
})

test('where every mirror has the same bad piece, that is said', async () => {
  const sites = [await goodSite({ bytes: damagedAt(500_000) }), await goodSite({ bytes: damagedAt(500_000) })]
  await assert.rejects(downloadInPieces(await testSession(), ...sites), {
    code: 'bad-digest',
    message: 'does not have the digest that is signed',
  })
  for (const site of sites) await site.close()
})

const wrongContent = content.map((byte, i) => (i === 999_999 ? byte ^ 0x80 : byte))

const badMirrors: Readonly<Record<string, Mischief>> = {
  'hangs before the answer': hangs,
  'stalls in the middle': stallsAfter(content, 10_000),
  'breaks off': cutsAfter(content, 20_000),
  'answers 404': answers(404, {}, utf8('not found')),
  'answers 500 with a body': answers(500, {}, content),
  'is a portal': portal,
  'is a portal without a length': (_, socket) => void socket.end('HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<html>'),
  'has one bit wrong': answers(200, {}, wrongContent),
  'has a shorter file': answers(200, {}, content.subarray(1)),
  'has a longer file': answers(200, {}, new Uint8Array(content.length + 1)),
  'never ends': neverEnds(),
  'redirects in a circle': answers(302, { Location: page }),
  'redirects to a file': answers(302, { Location: 'file:///etc/passwd' }),
  'answers with another part': answers(206, { 'Content-Range': `bytes 5-${content.length - 1}/${content.length}` }, content.subarray(5)),
  'speaks no HTTP': (_, socket) => void socket.end('SSH-2.0-OpenSSH_9.9\r\n'),
}

const codes: Readonly<Record<string, ErrorCode>> = {
  'answers 404': 'incomplete',
  'has one bit wrong': 'bad-digest',
  'never ends': 'over-limit',
}

for (const [name, mischief] of Object.entries(badMirrors)) {
  const code = codes[name] ?? 'network'
  test(`a mirror that ${name} costs no more than itself`, async () => {
    const session = await testSession()
    const [bad, good]: [HostileServer, Site] = [await hostileServer(mischief), await goodSite()]
    await download(session, bad.base, good.base)
    assert.ok(transferred(good) <= content.length)
    await bad.close()
    await good.close()
  })

  test(`alone, a mirror that ${name} is an error and leaves no file`, async () => {
    const session = await testSession()
    const bad = await hostileServer(mischief)
    await assert.rejects(download(session, bad.base), { code })
    assert.equal(await session.disk.lstat(cachePath(info.sha256)), undefined)
    assert.ok(bad.requests.length <= 7, `${bad.requests.length} requests`)
    await bad.close()
  })
}

test('of three mirrors the first good one is taken, and the wrong digest is said aloud', async () => {
  const session = await testSession()
  const servers = [await hostileServer(answers(503)), await hostileServer(answers(200, {}, wrongContent))]
  const good = await goodSite()
  await download(session, ...servers.map(({ base }) => base), good.base)
  assert.equal(session.said.length, 1)
  assert.match(session.said[0] as string, /does not have the digest that is signed; going on with/)
  for (const server of [...servers, good]) await server.close()
})

test('where every mirror is bad, each is told once, and the last one is the error', async () => {
  const session = await testSession()
  const servers = [await hostileServer(answers(200, {}, wrongContent)), await hostileServer(answers(503))]
  await assert.rejects(download(session, ...servers.map(({ base }) => base)), { code: 'bad-digest', message: 'answered 503' })
  assert.deepEqual([session.said.length, session.explained.length], [1, 0])
  for (const server of servers) await server.close()
})

test("the configuration's mirrors come first", async () => {
  const [lan, far] = [await goodSite(), await goodSite()]
  const session = await testSession({ config: { ...defaultConfig, mirrors: [{ url: `${lan.base}/`, priority: 50 }] } })
  await download(session, far.base)
  assert.deepEqual([lan.seen.length, far.seen.length], [1, 0])
  await lan.close()
  await far.close()
})

test('a mirror that failed is asked last from then on', async () => {
  const [hanging, good] = [await hostileServer(hangs), await goodSite()]
  const session = await testSession()
  for (let i = 0; i < 3; i++) {
    await download(session, hanging.base, good.base)
    await sweepCache(session.disk, new Set())
  }
  assert.deepEqual([hanging.requests.length, good.seen.length], [1, 3])
  await hanging.close()
  await good.close()
})

test('a mirror that drips is left when it stays below the floor', async () => {
  const session = await testSession()
  const [slow, good] = [await hostileServer(drips(content, 10)), await goodSite()]
  const network = { ...session.config.network, minimumRate: 10_000, rateWindowMs: 200 }
  await download({ ...session, config: { ...session.config, network } }, slow.base, good.base)
  assert.match(session.explained.join('\n'), /slower than 10000 bytes a second/)
  await slow.close()
  await good.close()
})

test('no file takes longer than its deadline', async () => {
  const session = await testSession()
  const slow = await hostileServer(drips(content, 10))
  const network = { ...session.config.network, minimumRate: 0, deadlineMs: 200 }
  await assert.rejects(download({ ...session, config: { ...session.config, network } }, slow.base), {
    code: 'too-slow',
    message: 'not done within 0.2 s',
  })
  await slow.close()
})

test('a mirror that would begin anew is asked when no other goes on from the part', async () => {
  const session = await testSession()
  const first = await hostileServer(cutsAfter(content, 600_000))
  await assert.rejects(download(session, first.base), { code: 'network' })
  await first.close()
  // Both know the whole only, the first breaks off early; the third goes on.
  const [short, whole, good] = [
    await hostileServer(cutsAfter(content, 1000)),
    await hostileServer(answers(200, {}, Buffer.from(content))),
    await goodSite(),
  ]
  await download(session, short.base, whole.base, good.base)
  assert.deepEqual([short.requests.length, whole.requests.length, good.seen.length], [1, 1, 1])
  assert.match(session.explained.join('\n'), /would begin anew; going on with/)
  await good.close()
  const other = await testSession()
  const again = await hostileServer(cutsAfter(content, 600_000))
  await assert.rejects(download(other, again.base), { code: 'network' })
  await download(other, short.base, whole.base)
  for (const server of [short, whole, again]) await server.close()
})

test('whoever hangs up again and again gets no more time than the others', async () => {
  const session = await testSession()
  const slow = await hostileServer(({ headers }, socket) => {
    const from = Number(/[0-9]+/.exec(headers.get('range') ?? '')?.[0] ?? 0)
    const head = from === 0 ? '200 OK' : `206 Partial Content\r\nContent-Range: bytes ${from}-${content.length - 1}/${content.length}`
    setTimeout(() => {
      socket.write(`HTTP/1.1 ${head}\r\nContent-Length: ${content.length - from}\r\n\r\n`)
      socket.end(content.subarray(from, from + (64 << 10)))
    }, 50)
  })
  const network = { ...session.config.network, minimumRate: 0, deadlineMs: 100 }
  await assert.rejects(download({ ...session, config: { ...session.config, network } }, slow.base), {
    code: 'too-slow',
    message: 'not done within 0.1 s',
  })
  await slow.close()
})

test('whoever has sent all bytes is not waited for', async () => {
  const session = await testSession()
  const silent = await hostileServer((_, socket) => {
    socket.write('HTTP/1.1 200 OK\r\n\r\n')
    socket.write(content)
  })
  await download(session, silent.base)
  assert.equal(silent.requests.length, 1)
  assert.equal(session.mirrors.of([`${silent.base}/`, 'http://other.test/'])[0], `${silent.base}/`, 'it did not fail')
  await silent.close()
})

test('without space nothing is asked for', async () => {
  const disk = memoryDisk({ mounts: { '.': { freeBytes: 10_000 } } })
  const [session, site] = [await testSession({ disk }), await goodSite()]
  await assert.rejects(download(session, site.base), { code: 'no-space' })
  assert.equal(site.seen.length, 0)
  await site.close()
})

test('a stop keeps the part for the next run', async () => {
  const controller = new AbortController()
  const session = await testSession({ signal: controller.signal })
  const site = await goodSite()
  const meter = { advance: () => controller.abort(new Error('stopped')), end: () => {} }
  await assert.rejects(downloadBlob(session, { urls: [`${site.base}/`], meter }, target), /stopped/)
  assert.ok(((await session.disk.lstat(partPath(info.sha256)))?.size ?? 0) > 0)
  await download({ ...session, signal: new AbortController().signal }, site.base)
  assert.match(String(site.seen.at(-1)?.headers['range']), /^bytes=[1-9]/)
  await site.close()
})

test('a reader downloads small files into memory and keeps nothing', async () => {
  const small = utf8('a small record')
  const smallInfo = { path: 'base/amd64/x.update', length: small.length, sha256: sha256(small) }
  const site = await serveSite(new Map([[`/${blobUrl('', smallInfo)}`, { bytes: small }]]))
  const session = await testSession({ access: 'read' })
  const place = { urls: [`${site.base}/`], meter: silentMeter }
  const decoded = await downloadSmall(session, place, markVerified(smallInfo), 1000, (bytes) => bytes.length)
  assert.equal(decoded.value, small.length)
  assert.deepEqual(await session.disk.readdir(statePaths.cache), [])
  await assert.rejects(
    downloadSmall(session, place, markVerified(smallInfo), 10, (bytes) => bytes),
    { code: 'over-limit' },
  )
  const other = markVerified({ ...smallInfo, length: small.length - 1 })
  await assert.rejects(
    downloadSmall(session, place, other, 1000, (bytes) => bytes),
    { code: 'over-limit' },
  )
  await site.close()
})

test('a blob that changes in the cache after it was verified is noticed', async () => {
  const [session, site] = [await testSession(), await goodSite()]
  const blob = await downloadBlob(session, { urls: [`${site.base}/`], meter: silentMeter }, target)
  await session.disk.unlink(blob.value.path)
  await session.disk.create(blob.value.path, oneChunk(wrongContent))
  await assert.rejects(
    readBlob(session, blob, 1 << 30, (bytes) => bytes),
    { code: 'bad-digest' },
  )
  await site.close()
})

test('the cache is swept down to what is needed', async () => {
  const session = await testSession()
  const [a, b] = [sha256(utf8('a')), sha256(utf8('b'))]
  for (const path of [cachePath(a), partPath(a), cachePath(b), partPath(b)]) await session.disk.create(path, oneChunk(utf8('x')))
  await sweepCache(session.disk, new Set([a]))
  assert.deepEqual([...(await session.disk.readdir(statePaths.cache))].sort(), [a, `${a}.part`])
})

test('a rate limit holds over all requests of a run, and makes no mirror slow', async () => {
  let now = 0
  let waited = 0
  const signal = new AbortController().signal
  const wait = async (milliseconds: number): Promise<void> => {
    waited += milliseconds
    now += milliseconds
  }
  const clock = { now: () => now }
  const rate = 400
  const config = { ...defaultConfig, network: { ...defaultConfig.network, rateLimit: rate } }
  const session = await testSession({ clock, config, throttle: throttle(rate, { clock, wait, signal }) })
  const site = await goodSite()
  try {
    await download(session, site.base)
  } finally {
    await site.close()
  }
  assert.ok(Math.abs(waited - (content.length * 1000) / rate) < 1000, `${waited}`)
  assert.equal(site.seen.length, 1)
  const again = throttle(rate, { clock, wait, signal })
  await again(rate)
  now -= 3_600_000
  waited = 0
  await again(rate)
  assert.equal(waited, 1000)
})
