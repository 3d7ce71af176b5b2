import assert from 'node:assert/strict'
import { test } from 'node:test'
import { closeStream, collectBytes, fromUtf8, utf8 } from '../../src/base/bytes.ts'
import type { HttpClient, HttpResponse } from '../../src/port/http.ts'
import type { Page } from '../../src/host/memory-http.ts'

/** A site at `base` (without a last `/`) with the pages by path. */
export type HttpMaker = (pages: Map<string, Page>) => Promise<{ readonly http: HttpClient; readonly base: string; close(): Promise<void> }>

const date = 'Sat, 01 Aug 2026 10:00:00 GMT'

/** The contract of port/http.ts; `localOnly` for adapters of file: URLs, which have no redirects and dates. */
export function httpConformance(name: string, maker: HttpMaker, localOnly = false): void {
  const site = async (pages: Record<string, Page>, use: (http: HttpClient, base: string) => Promise<void>): Promise<void> => {
    const { http, base, close } = await maker(new Map(Object.entries(pages)))
    try {
      await use(http, base)
    } finally {
      await close()
    }
  }
  const networkTest = (title: string, check: () => Promise<void>): void => {
    if (!localOnly) test(title, check)
  }

  test(`${name}: a page is read whole, with its length`, async () => {
    await site({ '/a': { bytes: utf8('hello') } }, async (http, base) => {
      const response = await http.get({ url: `${base}/a` })
      assert.deepEqual([response.status, response.headers['content-length'], await text(response)], [200, '5', 'hello'])
    })
  })

  test(`${name}: an empty page is empty`, async () => {
    await site({ '/a': { bytes: utf8('') } }, async (http, base) => {
      const response = await http.get({ url: `${base}/a` })
      assert.deepEqual([response.status, await text(response)], [200, ''])
    })
  })

  test(`${name}: what is not there is status 404, not an error`, async () => {
    await site({}, async (http, base) => {
      const response = await http.get({ url: `${base}/missing` })
      await closeStream(response.body)
      assert.equal(response.status, 404)
    })
  })

  test(`${name}: a large page comes in chunks and complete`, async () => {
    const bytes = new Uint8Array(3_000_000).map((_, i) => i * 7)
    await site({ '/big': { bytes } }, async (http, base) => {
      const response = await http.get({ url: `${base}/big` })
      const got = await collectBytes(response.body, 4_000_000)
      assert.equal(Buffer.compare(got as Uint8Array, bytes), 0)
    })
  })

  test(`${name}: a body that is left early does no harm to the next request`, async () => {
    await site({ '/big': { bytes: new Uint8Array(3_000_000) }, '/a': { bytes: utf8('a') } }, async (http, base) => {
      const unread = await http.get({ url: `${base}/big` })
      await closeStream(unread.body)
      for await (const chunk of (await http.get({ url: `${base}/big` })).body) if (chunk.length > 0) break
      assert.equal(await text(await http.get({ url: `${base}/a` })), 'a')
    })
  })

  test(`${name}: a range is answered with 206 and its place`, async () => {
    await site({ '/a': { bytes: utf8('0123456789') } }, async (http, base) => {
      const response = await http.get({ url: `${base}/a`, headers: { range: 'bytes=3-5' } })
      assert.deepEqual([response.status, response.headers['content-range'], await text(response)], [206, 'bytes 3-5/10', '345'])
      const rest = await http.get({ url: `${base}/a`, headers: { range: 'bytes=8-' } })
      assert.deepEqual([rest.status, await text(rest)], [206, '89'])
      const beyond = await http.get({ url: `${base}/a`, headers: { range: 'bytes=10-' } })
      await closeStream(beyond.body)
      assert.equal(beyond.status, 416)
    })
  })

  test(`${name}: a known ETag is answered with 304, and If-Range keeps a range to the same version`, async () => {
    await site({ '/a': { bytes: utf8('0123456789'), etag: '"v1"' } }, async (http, base) => {
      const first = await http.get({ url: `${base}/a` })
      await closeStream(first.body)
      const etag = first.headers['etag'] as string
      const again = await http.get({ url: `${base}/a`, headers: { 'if-none-match': etag } })
      assert.deepEqual([again.status, await text(again)], [304, ''])
      const part = await http.get({ url: `${base}/a`, headers: { range: 'bytes=9-', 'if-range': etag } })
      assert.deepEqual([part.status, await text(part)], [206, '9'])
      const other = await http.get({ url: `${base}/a`, headers: { range: 'bytes=9-', 'if-range': '"v0"' } })
      assert.deepEqual([other.status, await text(other)], [200, '0123456789'])
    })
  })

  networkTest(`${name}: a known Last-Modified is answered with 304`, async () => {
    await site({ '/a': { bytes: utf8('a'), lastModified: date } }, async (http, base) => {
      const response = await http.get({ url: `${base}/a`, headers: { 'if-modified-since': date } })
      assert.deepEqual([response.status, await text(response)], [304, ''])
    })
  })

  networkTest(`${name}: five redirects are followed, with the headers; six are an error`, async () => {
    const pages: Record<string, Page> = { '/0': { bytes: utf8('end') } }
    for (let i = 1; i <= 6; i++) pages[`/${i}`] = { redirect: `/${i - 1}` }
    await site(pages, async (http, base) => {
      const response = await http.get({ url: `${base}/5`, headers: { range: 'bytes=1-' } })
      assert.deepEqual([response.status, await text(response)], [206, 'nd'])
      await assert.rejects(http.get({ url: `${base}/6` }), { code: 'network' })
    })
  })

  networkTest(`${name}: a redirect to a local file is refused`, async () => {
    await site({ '/a': { redirect: 'file:///etc/passwd' } }, async (http, base) => {
      await assert.rejects(http.get({ url: `${base}/a` }), { code: 'network' })
    })
  })

  networkTest(`${name}: a body that ends early is a network error after the bytes that came`, async () => {
    await site({ '/a': { bytes: new Uint8Array(100_000), breakAfter: 40_000 } }, async (http, base) => {
      const response = await http.get({ url: `${base}/a` })
      let got = 0
      const read = async (): Promise<void> => {
        for await (const chunk of response.body) got += chunk.length
      }
      await assert.rejects(read(), { code: 'network', subject: `${base}/a` })
      assert.ok(got <= 40_000)
    })
  })
}

async function text(response: HttpResponse): Promise<string> {
  return fromUtf8((await collectBytes(response.body, 1 << 20)) as Uint8Array)
}
