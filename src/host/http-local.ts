import { fileURLToPath } from 'node:url'
import { BinderyError } from '../base/error.ts'
import { emptyBytes, oneChunk } from '../base/bytes.ts'
import { parseRange } from './http-range.ts'
import type { FileHandle } from 'node:fs/promises'
import type { ByteStream } from '../base/bytes.ts'
import type { HttpRequest, HttpResponse } from '../port/http.ts'

const chunkBytes = 256 << 10

/** A file: URL answered as a web server would: 404, 304 by ETag, 206 for one range. */
export async function readLocal(url: URL, request: HttpRequest): Promise<HttpResponse> {
  const handle = await openLocal(url)
  if (handle === undefined) return emptyAnswer(404, {})
  const stat = await handle.stat({ bigint: true })
  const size = Number(stat.size)
  const etag = `"${stat.size.toString(16)}-${stat.mtimeNs.toString(16)}"`
  const headers = { etag, 'accept-ranges': 'bytes' }
  const wanted = stat.isFile() ? wantedPart(request.headers ?? {}, size, etag) : { kind: 'absent' as const }
  if (wanted.kind === 'part') {
    const { start, end, status } = wanted
    const range = status === 206 ? { 'content-range': `bytes ${start}-${end - 1}/${size}` } : {}
    return { status, headers: { ...headers, ...range, 'content-length': String(end - start) }, body: fileBody(handle, start, end, url) }
  }
  await handle.close()
  if (wanted.kind === 'absent') return emptyAnswer(404, {})
  return wanted.kind === 'unchanged' ? emptyAnswer(304, headers) : emptyAnswer(416, { ...headers, 'content-range': `bytes */${size}` })
}

async function openLocal(url: URL): Promise<FileHandle | undefined> {
  const { open } = process.getBuiltinModule('node:fs/promises')
  try {
    return await open(fileURLToPath(url), 'r')
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && (cause.code === 'ENOENT' || cause.code === 'ENOTDIR')) return undefined
    throw new BinderyError('network', 'cannot be read', { subject: url.href, cause })
  }
}

function emptyAnswer(status: number, headers: Readonly<Record<string, string>>): HttpResponse {
  return { status, headers, body: oneChunk(emptyBytes) }
}

type Wanted =
  | { readonly kind: 'unchanged' | 'unsatisfiable' | 'absent' }
  | { readonly kind: 'part'; readonly status: 200 | 206; readonly start: number; readonly end: number }

function wantedPart(headers: Readonly<Record<string, string>>, size: number, etag: string): Wanted {
  if (headers['if-none-match'] === etag) return { kind: 'unchanged' }
  const isSame = headers['if-range'] === undefined || headers['if-range'] === etag
  const range = isSame ? parseRange(headers['range'], size) : 'whole'
  if (range === 'unsatisfiable') return { kind: 'unsatisfiable' }
  return range === 'whole' ? { kind: 'part', status: 200, start: 0, end: size } : { kind: 'part', status: 206, ...range }
}

/** Closes the file when it is left early, also before the first byte. */
function fileBody(handle: FileHandle, start: number, end: number, url: URL): ByteStream {
  let at = start
  const close = async (): Promise<IteratorResult<Uint8Array>> => {
    await handle.close()
    return { done: true, value: undefined }
  }
  const next = async (): Promise<IteratorResult<Uint8Array>> => {
    if (at >= end) return await close()
    const chunk = new Uint8Array(Math.min(chunkBytes, end - at))
    const { bytesRead } = await handle.read(chunk, 0, chunk.length, at)
    if (bytesRead === 0) throw new BinderyError('network', 'broken off', { subject: url.href })
    at += bytesRead
    return { done: false, value: chunk.subarray(0, bytesRead) }
  }
  return { [Symbol.asyncIterator]: () => ({ next, return: close }) }
}
