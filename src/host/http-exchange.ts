import { BinderyError } from '../base/error.ts'
import type { Agent, ClientRequest, IncomingMessage, RequestOptions } from 'node:http'
import type { Socket } from 'node:net'
import type { ByteStream } from '../base/bytes.ts'

/**
 * Not `import`: making a namespace of node:http evaluates all of its exports, among them the web's WebSocket, and costs
 * more than the whole request.
 */
const builtin = process.getBuiltinModule

export type Exchange = {
  /** Default: GET. All but POST may be sent again. */
  readonly method?: 'GET' | 'PUT' | 'DELETE' | 'POST'
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  /** Opened for each attempt; the headers say how long it is. */
  readonly body?: () => Promise<ByteStream>
  /** How long the server may take nothing, and then say nothing. */
  readonly answerMs: number
  readonly signal: AbortSignal | undefined
  readonly proxy: URL | undefined
  /** Certificates (PEM) of those who are believed instead of the usual authorities. */
  readonly authorities?: Buffer | undefined
}

/** Sends one request and answers with the head of the response, or throws `network` with the URL as subject. */
export async function openExchange(exchange: Exchange): Promise<IncomingMessage> {
  try {
    return await attempt(exchange)
  } catch (error) {
    // The server may have closed a kept-alive connection while our request was on its way.
    if (!(error instanceof StaleConnection)) throw error
    if (exchange.method === 'POST') throw networkError(exchange.url, new Error('the connection was closed'))
    return await attempt(exchange)
  }
}

class StaleConnection extends Error {}

async function attempt(exchange: Exchange): Promise<IncomingMessage> {
  const { url, answerMs, signal } = exchange
  signal?.throwIfAborted()
  const silence = new AbortController()
  const timer = setTimeout(() => silence.abort(), answerMs)
  const either = signal === undefined ? silence.signal : AbortSignal.any([silence.signal, signal])
  try {
    const request = await startRequest(exchange, either)
    return await answerTo(request, either, async () => await send(request, exchange, () => timer.refresh()))
  } catch (cause) {
    signal?.throwIfAborted()
    if (cause instanceof BinderyError || cause instanceof StaleConnection) throw cause
    throw networkError(url, silence.signal.aborted ? new Error(`no answer within ${answerMs / 1000} s`) : cause)
  } finally {
    clearTimeout(timer)
  }
}

async function send(request: ClientRequest, { body }: Exchange, progress: () => void): Promise<void> {
  if (body === undefined) return void request.end()
  for await (const chunk of await body()) {
    // Answered before it was all sent, or broken: told by the events.
    if (request.destroyed || request.writableEnded) return
    await new Promise<void>((resolve) => request.write(chunk, () => resolve()))
    progress()
  }
  request.end()
}

async function answerTo(outgoing: ClientRequest, stopping: AbortSignal, sent: () => Promise<void>): Promise<IncomingMessage> {
  return await new Promise((resolve, reject) => {
    const stop = (): void => void outgoing.destroy(new Error('stopped'))
    if (stopping.aborted) stop()
    else stopping.addEventListener('abort', stop, { once: true })
    outgoing.on('error', (cause) => {
      stopping.removeEventListener('abort', stop)
      reject(outgoing.reusedSocket && isReset(cause) ? new StaleConnection() : cause)
    })
    outgoing.on('response', (message) => {
      stopping.removeEventListener('abort', stop)
      resolve(message)
    })
    sent().catch((error: unknown) => {
      outgoing.destroy()
      reject(error)
    })
  })
}

function isReset(cause: Error): boolean {
  return 'code' in cause && (cause.code === 'ECONNRESET' || cause.code === 'EPIPE')
}

function networkError(url: URL, cause: unknown): BinderyError {
  return new BinderyError('network', reasonOf(cause), { subject: url.href, hint: clockHint(cause), cause })
}

/** What a machine that comes up in 1970 or 2099 sees of every server. */
function clockHint(cause: unknown): string | undefined {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
  if (code !== 'CERT_NOT_YET_VALID' && code !== 'CERT_HAS_EXPIRED') return undefined
  return `this machine's clock says ${new Date().toISOString().slice(0, 19)}Z: if that is wrong, set it`
}

/** A host with several addresses fails with one error for each: the first tells enough. */
function reasonOf(cause: unknown): string {
  if (cause instanceof AggregateError && cause.errors[0] instanceof Error) return cause.errors[0].message
  return cause instanceof Error && cause.message !== '' ? cause.message : 'failed'
}

async function startRequest(exchange: Exchange, stopping: AbortSignal): Promise<ClientRequest> {
  const { url, headers, method = 'GET', proxy, authorities } = exchange
  if (url.protocol === 'http:') return plainRequest(exchange)
  const https = builtin('node:https')
  const trust = authorities === undefined ? {} : { ca: authorities }
  if (proxy === undefined) return https.request(url, { method, headers, agent: secureAgent(), ...trust })
  const socket = await tunnel(url, proxy, stopping)
  const { connect } = builtin('node:tls')
  // No agent: one that is given would open its own connection past the tunnel.
  const options: RequestOptions = { method, headers, createConnection: () => connect({ socket, ...serverName(url), ...trust }) }
  return https.request(url, options)
}

/** Plain HTTP goes through a proxy by naming the whole URL in the request line (RFC 9112, 3.2.2). */
function plainRequest({ method = 'GET', url, headers, proxy }: Exchange): ClientRequest {
  const http = builtin('node:http')
  const agent = plainAgent()
  if (proxy === undefined) return http.request(url, { method, headers, agent })
  return http.request({
    ...hostAndPort(proxy),
    method,
    path: url.href,
    headers: { host: url.host, ...proxyHeaders(proxy), ...headers },
    agent,
  })
}

/** A connection to the host of `url` through the proxy (RFC 9110, 9.3.6). */
async function tunnel(url: URL, proxy: URL, stopping: AbortSignal): Promise<Socket> {
  const http = builtin('node:http')
  const authority = `${url.hostname}:${url.port === '' ? 443 : url.port}`
  const request = http.request({
    ...hostAndPort(proxy),
    method: 'CONNECT',
    path: authority,
    headers: { host: authority, ...proxyHeaders(proxy) },
    agent: false,
    signal: stopping,
  })
  return await new Promise((resolve, reject) => {
    request.on('error', reject)
    request.on('connect', (answer, socket) => {
      if (answer.statusCode === 200) return resolve(socket)
      socket.destroy()
      reject(networkError(url, new Error(`the proxy ${proxy.host} answered ${answer.statusCode}`)))
    })
    request.end()
  })
}

function hostAndPort(proxy: URL): { host: string; port: number } {
  return { host: bareHost(proxy), port: proxy.port === '' ? 80 : Number(proxy.port) }
}

/** Without the brackets that a URL puts around an IPv6 address. */
function bareHost(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, '')
}

/** SNI names hosts only, never addresses (RFC 6066, 3). */
function serverName(url: URL): { host: string; servername?: string } {
  const host = bareHost(url)
  return /^[0-9.]+$|:/.test(host) ? { host } : { host, servername: host }
}

function proxyHeaders(proxy: URL): Record<string, string> {
  if (proxy.username === '') return {}
  const credentials = [proxy.username, proxy.password].map((part) => decodedPart(proxy, part)).join(':')
  return { 'proxy-authorization': `Basic ${Buffer.from(credentials).toString('base64')}` }
}

function decodedPart(proxy: URL, part: string): string {
  try {
    return decodeURIComponent(part)
  } catch (cause) {
    const hint = 'in its URL a % is written %25'
    throw new BinderyError('usage', 'the name or the password for the proxy is no UTF-8', { subject: proxy.host, hint, cause })
  }
}

const agents: { plain?: Agent; secure?: Agent } = {}

function plainAgent(): Agent {
  return (agents.plain ??= new (builtin('node:http').Agent)({ keepAlive: true, maxSockets: 4 }))
}

function secureAgent(): Agent {
  return (agents.secure ??= new (builtin('node:https').Agent)({ keepAlive: true, maxSockets: 4 }))
}
