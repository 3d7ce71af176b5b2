import { closeStream, collectBytes, concatBytes, latin1 } from '../../../base/bytes.ts'
import { BinderyError } from '../../../base/error.ts'
import { decodeIndexTxt } from '../../../format/openbsd/index-txt.ts'
import { namesInListing } from '../../../format/openbsd/listing-page.ts'
import { headBytes } from './head-bytes.ts'
import type { ByteStream } from '../../../base/bytes.ts'
import type { HttpClient, HttpResponse } from '../../../port/http.ts'
import type { MirrorFile, OpenedHead, PackageMirror } from '../../../port/package-mirror.ts'

/** A folder of packages behind HTTP: `index.txt` says what is there, else the server's own page; of packages only the beginning is asked for. */
export type HttpMirrorOptions = {
  /** With a slash at its end. */
  readonly url: string
  readonly http: HttpClient
  /** Ends one exchange that takes too long, and all of them on a stop. */
  readonly deadline: () => AbortSignal
}

const maxListing = 64 << 20
const maxPage = 32 << 20

export function httpMirror(options: HttpMirrorOptions): PackageMirror {
  const { url } = options
  const get = async (name: string, headers: Readonly<Record<string, string>> = {}): Promise<HttpResponse> =>
    await options.http.get({ url: `${url}${name}`, headers, signal: options.deadline() })
  const read = async (name: string, limit: number): Promise<Uint8Array | undefined> => {
    const answer = await get(name)
    if (answer.status === 200) return await whole(answer.body, limit, `${url}${name}`)
    await closeStream(answer.body)
    if (answer.status === 404) return undefined
    throw unexpected(answer.status, `${url}${name}`)
  }
  return {
    place: url,
    read,
    list: async () => {
      const index = await read('index.txt', maxListing)
      if (index !== undefined)
        return decodeIndexTxt(index).map(({ name, size, time }) => ({ name, size, stamp: size === undefined ? undefined : time }))
      const page = await read('', maxPage)
      if (page === undefined) throw new BinderyError('not-found', 'has neither an index.txt nor a listing', { subject: url })
      return namesInListing(latin1(page)).map((name) => ({ name, size: undefined, stamp: undefined }))
    },
    open: async (file, former) => await openHead({ get, url: `${url}${file.name}`, path: escapeName(file.name) }, file, former),
  }
}

/** What means something in a URL, or may not stand there. */
function escapeName(name: string): string {
  return name.replaceAll(/[%#?"<>\\^`{|}]/g, encodeURIComponent)
}

async function whole(body: ByteStream, limit: number, subject: string): Promise<Uint8Array> {
  const bytes = await collectBytes(body, limit)
  if (bytes === undefined) throw new BinderyError('over-limit', `is larger than ${limit} bytes`, { subject })
  return bytes
}

function unexpected(status: number, subject: string): BinderyError {
  return new BinderyError(status === 404 ? 'not-found' : 'network', `the server answered ${status}`, { subject })
}

type Place = {
  readonly url: string
  readonly path: string
  get(path: string, headers: Readonly<Record<string, string>>): Promise<HttpResponse>
}

async function openHead(place: Place, file: MirrorFile, former: string | undefined): Promise<OpenedHead | 'unchanged'> {
  const wanted = headBytes(file.size ?? 0)
  const conditions: Readonly<Record<string, string>> = former === undefined ? {} : { 'if-none-match': former }
  const answer = await place.get(place.path, { range: `bytes=0-${wanted - 1}`, ...conditions })
  if (answer.status === 304 && former !== undefined) {
    await closeStream(answer.body)
    return 'unchanged'
  }
  const first = await pieceOf(answer, place.url, 0, wanted)
  const tag = answer.headers['etag']
  let held = first.bytes
  return {
    size: first.total,
    tag: tag !== undefined && tag.startsWith('"') ? tag : undefined,
    upTo: async (count) => {
      while (held.length < count && held.length < (first.total ?? Infinity)) {
        const next = await place.get(place.path, {
          range: `bytes=${held.length}-${count - 1}`,
          ...(tag?.startsWith('"') === true ? { 'if-range': tag } : {}),
        })
        const piece = await pieceOf(next, place.url, held.length, count - held.length)
        if (piece.total !== first.total || next.headers['etag'] !== tag)
          throw new BinderyError('network', 'was changed while it was read', { subject: place.url })
        if (piece.bytes.length === 0) break
        held = concatBytes([held, piece.bytes])
      }
      return held.subarray(0, count)
    },
    close: async () => {},
  }
}

type Piece = { readonly bytes: Uint8Array; /** Of the whole file. */ readonly total: number | undefined }

/** The bytes [start, start + count), fewer at the end of the file; of a server that sends all, whatever was asked for, too. */
async function pieceOf(answer: HttpResponse, url: string, start: number, count: number): Promise<Piece> {
  if (answer.status === 206) {
    const [, first, total] = /^bytes ([0-9]{1,15})-[0-9]{1,15}\/([0-9]{1,15}|\*)$/.exec(answer.headers['content-range'] ?? '') ?? []
    if (first === undefined || Number(first) !== start) {
      await closeStream(answer.body)
      throw new BinderyError('network', 'the server answered with another range than it was asked for', { subject: url })
    }
    return { bytes: await atMost(answer.body, 0, count), total: total === '*' ? undefined : Number(total) }
  }
  if (answer.status === 200) {
    const length = answer.headers['content-length']
    return {
      bytes: await atMost(answer.body, start, count),
      total: length !== undefined && /^[0-9]{1,15}$/.test(length) ? Number(length) : undefined,
    }
  }
  await closeStream(answer.body)
  throw unexpected(answer.status, url)
}

/** What stands between `skip` and `skip + count`; the rest is not waited for. */
async function atMost(body: ByteStream, skip: number, count: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  let passed = 0
  for await (const bytes of body) {
    parts.push(bytes.subarray(Math.max(0, skip - passed), Math.max(0, skip + count - passed)))
    passed += bytes.length
    if (passed > skip + count) break
    // Whoever sends exactly what was asked for keeps the connection.
  }
  return concatBytes(parts)
}
