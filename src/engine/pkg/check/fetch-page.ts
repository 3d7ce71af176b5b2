import { closeStream } from '../../../base/bytes.ts'
import { BinderyError, toldOf } from '../../../base/error.ts'
import type { ByteStream } from '../../../base/bytes.ts'
import type { HttpClient } from '../../../port/http.ts'
import type { CachedPage, PageCache, Validators } from '../../../port/page-cache.ts'

export type Fetching = { readonly http: HttpClient; readonly cache: PageCache; readonly signal: AbortSignal }

export type Page =
  /** `version` is what the server calls it; undefined where it does not tell one from another. */
  | { readonly kind: 'page'; readonly size: number; readonly content: () => Uint8Array; readonly version: string | undefined }
  | { readonly kind: 'other'; readonly status: number }

export type PageRequest = {
  readonly url: string
  /** What is made of the body, and kept. It need not read to the end. */
  readonly make: (body: ByteStream) => Promise<Uint8Array>
  /** Only so many bytes are needed; a server may send more. */
  readonly firstBytes?: number
  /** Which part of the page is kept, where there are several. */
  readonly part?: string
}

/** Asks on condition where the page was fetched before, so that an unchanged one is one answer without a body. */
export async function fetchPage(fetching: Fetching, { url, make, firstBytes, part }: PageRequest): Promise<Page> {
  const key = part === undefined ? url : `${url}#${part}`
  const cached = fetching.cache.load(key)
  const { status, headers, body } = await fetching.http.get({
    url,
    headers: { ...conditions(cached), ...(firstBytes === undefined ? {} : { range: `bytes=0-${firstBytes - 1}` }) },
    signal: fetching.signal,
  })
  const isBody = status === 200 || (status === 206 && firstBytes !== undefined)
  if (!isBody) {
    await closeStream(body)
    return status === 304 && cached !== undefined ? knownPage(cached, url) : { kind: 'other', status }
  }
  const content = await made(make, body, url)
  const page = { etag: headers['etag'], lastModified: headers['last-modified'], content }
  const version = versionOf(page)
  if (version !== undefined) fetching.cache.save(key, page)
  return { kind: 'page', size: content.length, content: () => content, version }
}

function knownPage(cached: CachedPage, url: string): Page {
  const content = (): Uint8Array => {
    const bytes = cached.content()
    if (bytes === undefined) throw new BinderyError('network', 'changed while it was read', { subject: url, hint: 'try again' })
    return bytes
  }
  return { kind: 'page', size: cached.size, content, version: versionOf(cached) }
}

function versionOf({ etag, lastModified }: Validators): string | undefined {
  return etag === undefined && lastModified === undefined ? undefined : `${etag ?? ''} ${lastModified ?? ''}`
}

/** The cache of a proxy on the way may answer for the server, but only after asking it. */
function conditions(cached: CachedPage | undefined): Record<string, string> {
  return {
    'cache-control': 'max-age=0',
    ...(cached?.etag === undefined ? {} : { 'if-none-match': cached.etag }),
    ...(cached?.lastModified === undefined ? {} : { 'if-modified-since': cached.lastModified }),
  }
}

async function made(make: PageRequest['make'], body: ByteStream, url: string): Promise<Uint8Array> {
  try {
    return await make(body)
  } catch (error) {
    throw toldOf(error, url)
  } finally {
    await closeStream(body)
  }
}
