import { emptyBytes, utf8 } from '../base/bytes.ts'
import { BinderyError } from '../base/error.ts'
import { parseRange } from './http-range.ts'
import type { ByteStream } from '../base/bytes.ts'
import type { HttpClient, HttpRequest, HttpResponse } from '../port/http.ts'

/** What a site of the twin answers at a path. */
export type Page = {
  readonly bytes?: Uint8Array
  readonly status?: number
  readonly etag?: string
  readonly lastModified?: string
  /** Whether Range is understood; it is unless this says `ignored`. */
  readonly ranges?: 'ignored'
  /** A Location: absolute, or a path of the same site. */
  readonly redirect?: string
  /** The body breaks off after this many bytes. */
  readonly breakAfter?: number
}

/** The twin: pages by URL, which a test may change at any time, and every request that was made. */
export type MemoryHttp = HttpClient & { readonly pages: Map<string, Page>; readonly requests: HttpRequest[] }

const maxRedirects = 5
const chunkBytes = 16 << 10

export function memoryHttp(pages: Map<string, Page> = new Map()): MemoryHttp {
  const requests: HttpRequest[] = []
  return { pages, requests, get: async (request) => follow(pages, requests, request, maxRedirects) }
}

function follow(pages: ReadonlyMap<string, Page>, requests: HttpRequest[], request: HttpRequest, redirectsLeft: number): HttpResponse {
  request.signal?.throwIfAborted()
  requests.push(request)
  const page = pages.get(request.url) ?? { status: 404, bytes: utf8('not found') }
  if (page.redirect === undefined) return answer(page, request)
  const next = new URL(page.redirect, request.url)
  if (redirectsLeft === 0) throw new BinderyError('network', `more than ${maxRedirects} redirects`, { subject: request.url })
  const isDowngrade = request.url.startsWith('https:') ? next.protocol !== 'https:' : !next.protocol.startsWith('http')
  if (isDowngrade) throw new BinderyError('network', `redirected to ${next.protocol}`, { subject: request.url })
  return follow(pages, requests, { ...request, url: next.href }, redirectsLeft - 1)
}

function answer(page: Page, request: HttpRequest): HttpResponse {
  const bytes = page.bytes ?? emptyBytes
  const validators = {
    ...(page.etag === undefined ? {} : { etag: page.etag }),
    ...(page.lastModified === undefined ? {} : { 'last-modified': page.lastModified }),
  }
  const asked = request.headers ?? {}
  if (isUnchanged(page, asked)) return { status: 304, headers: validators, body: body(emptyBytes, undefined, request.url) }
  const range = page.ranges === 'ignored' || !mayResume(page, asked) ? 'whole' : parseRange(asked['range'], bytes.length)
  if (range === 'unsatisfiable')
    return { status: 416, headers: { 'content-range': `bytes */${bytes.length}` }, body: body(emptyBytes, undefined, request.url) }
  const part = range === 'whole' ? bytes : bytes.subarray(range.start, range.end)
  const rangeHeader = range === 'whole' ? {} : { 'content-range': `bytes ${range.start}-${range.end - 1}/${bytes.length}` }
  const status = page.status ?? (range === 'whole' ? 200 : 206)
  return {
    status,
    headers: { ...validators, ...rangeHeader, 'content-length': String(part.length) },
    body: body(part, page.breakAfter, request.url),
  }
}

/** If-None-Match wins over If-Modified-Since (RFC 9110, 13.2.2). */
function isUnchanged(page: Page, asked: Readonly<Record<string, string>>): boolean {
  if (asked['if-none-match'] !== undefined) return page.etag !== undefined && asked['if-none-match'] === page.etag
  return page.lastModified !== undefined && Date.parse(asked['if-modified-since'] ?? '') >= Date.parse(page.lastModified)
}

function mayResume(page: Page, asked: Readonly<Record<string, string>>): boolean {
  const condition = asked['if-range']
  return condition === undefined || condition === page.etag || condition === page.lastModified
}

async function* body(bytes: Uint8Array, breakAfter: number | undefined, url: string): ByteStream {
  const end = Math.min(bytes.length, breakAfter ?? bytes.length)
  for (let at = 0; at < end; at += chunkBytes) yield bytes.subarray(at, Math.min(end, at + chunkBytes))
  if (end < bytes.length) throw new BinderyError('network', 'broken off', { subject: url })
}
