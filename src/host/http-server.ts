import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { sha256Hasher } from '../base/digest.ts'
import { BinderyError } from '../base/error.ts'
import { judge } from './http-conditions.ts'
import { isKey } from './store-key.ts'
import { systemError } from './system-error.ts'
import type { FileHandle } from 'node:fs/promises'
import type { IncomingMessage, OutgoingHttpHeaders, Server, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { ServerCertificate } from '../port/server-certificate.ts'
import type { Representation, Verdict } from './http-conditions.ts'

export type ServeOptions = FolderOptions & {
  readonly host: string
  /** 0 for any free port. */
  readonly port: number
  /** Absent: without TLS. */
  readonly tls?: ServerCertificate | undefined
}

type FolderOptions = {
  readonly folder: string
  /** One line per answer. */
  readonly log?: (line: string) => void
}

export type RunningServer = {
  readonly url: string
  /** Takes no more connections, lets answers that have begun end for at most `graceMs`. */
  close(graceMs?: number): Promise<void>
}

/**
 * A folder of static files over HTTP/1.1: GET and HEAD, single ranges, strong entity tags, precompressed twins
 * (`FILE.zst`, `FILE.gz`), no listing. Answers when it takes connections. Fails with `exists` when the port is taken.
 */
export async function serveFolder(options: ServeOptions): Promise<RunningServer> {
  const server = makeServer(options)
  // A reader that takes nothing for so long holds a file and a socket for nobody.
  server.timeout = 60_000
  const { address, family, port } = await listen(server, options)
  const url = `${options.tls === undefined ? 'http' : 'https'}://${family === 'IPv6' ? `[${address}]` : address}:${port}/`
  return { url, close: async (graceMs = 5_000) => await close(server, graceMs) }
}

function makeServer(options: ServeOptions): Server {
  const { tls } = options
  const limits = { requestTimeout: 30_000, headersTimeout: 15_000, keepAliveTimeout: 5_000 }
  const handler = folderHandler(options)
  if (tls === undefined) return process.getBuiltinModule('node:http').createServer(limits, handler)
  const { createServer } = process.getBuiltinModule('node:https')
  const server = createServer({ ...limits, ...tls.pair, handshakeTimeout: 15_000 }, handler)
  tls.keepNew(server)
  return server
}

/** The same for a server that has other things to serve, too. */
export function folderHandler(options: FolderOptions): (request: IncomingMessage, response: ServerResponse) => void {
  const tags = new Map<string, Tag>()
  return (request, response) => {
    answer(options, tags, request, response).catch(() => response.destroy())
  }
}

function listen(server: Server, { host, port }: ServeOptions): Promise<AddressInfo> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause) => reject(listenError(cause, `${host}:${port}`)))
    server.listen(port, host, () => resolve(server.address() as AddressInfo))
  })
}

function listenError(cause: NodeJS.ErrnoException, subject: string): unknown {
  if (cause.code === 'EADDRINUSE') return new BinderyError('exists', 'another program listens there', { subject, cause })
  if (cause.code === 'ENOTFOUND' || cause.code === 'EADDRNOTAVAIL')
    return new BinderyError('not-found', 'is no address of this machine', { subject, cause })
  return systemError(cause, subject)
}

async function close(server: Server, graceMs: number): Promise<void> {
  const timer = setTimeout(() => server.closeAllConnections(), graceMs)
  await new Promise<void>((resolve) => {
    server.close(() => resolve())
    server.closeIdleConnections()
  })
  clearTimeout(timer)
}

async function answer(options: FolderOptions, tags: Map<string, Tag>, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const started = performance.now()
  response.once('close', () => {
    const size = String(response.getHeader('content-length') ?? 0)
    const path = (request.url ?? '').replaceAll(/[^\x21-\x7e]/g, '?')
    options.log?.(`${request.method} ${path} ${response.statusCode} ${size} ${Math.round(performance.now() - started)} ms`)
  })
  if (request.method !== 'GET' && request.method !== 'HEAD') return sendStatus(response, 405, { allow: 'GET, HEAD' })
  const key = keyOf(request.url ?? '')
  const variant = key === undefined ? undefined : await openVariant(options.folder, key, request)
  if (key === undefined || variant === undefined) return sendStatus(response, 404, { 'cache-control': 'no-cache' })
  try {
    await sendFile(request, response, key, variant, tags)
  } finally {
    await variant.handle.close()
  }
}

function sendStatus(response: ServerResponse, status: number, headers: OutgoingHttpHeaders): void {
  const text = `${status}\n`
  sendHead(response, status, { 'content-type': 'text/plain', 'content-length': text.length, ...headers })
  response.end(text)
}

function sendHead(response: ServerResponse, status: number, headers: OutgoingHttpHeaders): void {
  response.statusCode = status
  for (const [name, value] of Object.entries(headers)) if (value !== undefined) response.setHeader(name, value)
}

/** The path after the host as a key of the store; undefined for whatever could lead elsewhere. */
function keyOf(url: string): string | undefined {
  try {
    const key = decodeURIComponent((url.split('?')[0] as string).slice(1))
    return url.startsWith('/') && isKey(key) ? key : undefined
  } catch {
    return undefined
  }
}

type Variant = {
  readonly handle: FileHandle
  readonly file: string
  readonly encoding: 'zstd' | 'gzip' | undefined
  readonly varies: boolean
}

const encodings = [
  { encoding: 'zstd', suffix: '.zst' },
  { encoding: 'gzip', suffix: '.gz' },
] as const

/** The precompressed twin that the client takes, else the file itself. A range is always one of the file itself. */
async function openVariant(folder: string, key: string, request: IncomingMessage): Promise<Variant | undefined> {
  const file = join(folder, key)
  if (isBlob(key)) return await openPlain(file, false)
  for (const { encoding, suffix } of encodings) {
    if (request.headers.range !== undefined || !accepts(request, encoding)) continue
    const handle = await openRegular(file + suffix)
    if (handle !== undefined) return { handle, file: file + suffix, encoding, varies: true }
  }
  return await openPlain(file, true)
}

async function openPlain(file: string, varies: boolean): Promise<Variant | undefined> {
  const handle = await openRegular(file)
  return handle && { handle, file, encoding: undefined, varies }
}

/** Named by its digest: immutable, and compressed already where that helps. */
function isBlob(key: string): boolean {
  return blobDigest(key) !== undefined
}

function blobDigest(key: string): string | undefined {
  return /^blobs\/(?:[^/]+\/)*([0-9a-f]{64})\.[^/]+$/.exec(key)?.[1]
}

function accepts(request: IncomingMessage, encoding: string): boolean {
  const asked = (request.headers['accept-encoding'] ?? '').split(',')
  return asked.some((item) => {
    const [name, ...parameters] = item.split(';').map((part) => part.trim().toLowerCase())
    return name === encoding && !parameters.some((parameter) => /^q=0(\.0*)?$/.test(parameter))
  })
}

async function openRegular(file: string): Promise<FileHandle | undefined> {
  let handle: FileHandle | undefined
  try {
    handle = await open(file, 'r')
    if ((await handle.stat()).isFile()) return handle
  } catch {
    // Missing, a directory or not ours to read: for a client it is not there.
  }
  await handle?.close()
  return undefined
}

async function sendFile(
  request: IncomingMessage,
  response: ServerResponse,
  key: string,
  variant: Variant,
  tags: Map<string, Tag>,
): Promise<void> {
  const file = await represent(key, variant, tags)
  const verdict = judge(
    { method: request.method as string, headers: request.headers as Readonly<Record<string, string | undefined>> },
    file,
  )
  sendHead(response, statusOf[verdict.kind], headersOf(key, variant, file, verdict))
  if (request.method === 'HEAD' || verdict.kind === 'not-modified' || verdict.kind === 'unsatisfiable') return void response.end()
  const { start, end } = verdict.kind === 'part' ? verdict : { start: 0, end: file.size }
  if (end === start) return void response.end()
  await pipeline(variant.handle.createReadStream({ start, end: end - 1, autoClose: false, highWaterMark: 256 << 10 }), response)
}

const statusOf = { whole: 200, part: 206, 'not-modified': 304, unsatisfiable: 416 } as const

function headersOf(key: string, variant: Variant, file: Representation, verdict: Verdict): OutgoingHttpHeaders {
  const shared: OutgoingHttpHeaders = {
    etag: file.etag,
    'last-modified': new Date(file.modified * 1000).toUTCString(),
    'accept-ranges': variant.encoding === undefined ? 'bytes' : 'none',
    'cache-control': isBlob(key) ? 'public, max-age=31536000, immutable' : 'no-cache',
    'x-content-type-options': 'nosniff',
    ...(variant.varies ? { vary: 'accept-encoding' } : {}),
  }
  if (verdict.kind === 'not-modified') return shared
  if (verdict.kind === 'unsatisfiable') return { ...shared, 'content-range': `bytes */${file.size}`, 'content-length': 0 }
  const content = {
    'content-type': key.endsWith('.json') ? 'application/json' : 'application/octet-stream',
    ...(variant.encoding === undefined ? {} : { 'content-encoding': variant.encoding }),
  }
  if (verdict.kind === 'whole') return { ...shared, ...content, 'content-length': file.size }
  const { start, end } = verdict
  return { ...shared, ...content, 'content-range': `bytes ${start}-${end - 1}/${file.size}`, 'content-length': end - start }
}

/** An entity tag and the file that it was made for. */
type Tag = { readonly identity: string; readonly etag: string }

async function represent(key: string, { handle, file, encoding }: Variant, tags: Map<string, Tag>): Promise<Representation> {
  const status = await handle.stat({ bigint: true })
  const size = Number(status.size)
  const modified = Number(status.mtimeMs / 1000n)
  const digest = encoding === undefined ? blobDigest(key) : undefined
  if (digest !== undefined) return { etag: `"${digest}"`, modified, size }
  const identity = `${status.dev}:${status.ino}:${status.size}:${status.mtimeNs}`
  const known = tags.get(file)
  if (known?.identity === identity) return { etag: known.etag, modified, size }
  const etag = `"${(await hashOf(handle)).slice(0, 32)}"`
  tags.set(file, { identity, etag })
  return { etag, modified, size }
}

/** By its content, not its time: a second mirror gives the same tag. */
async function hashOf(handle: FileHandle): Promise<string> {
  const hasher = sha256Hasher()
  for await (const chunk of handle.createReadStream({ start: 0, autoClose: false })) hasher.update(chunk as Uint8Array)
  return hasher.digest()
}
