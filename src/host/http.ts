import { BinderyError, isBinderyError } from '../base/error.ts'
import { closeStream } from '../base/bytes.ts'
import { readLocal } from './http-local.ts'
import { openExchange } from './http-exchange.ts'
import { proxyFor } from './http-proxy.ts'
import type { ByteStream } from '../base/bytes.ts'
import type { IncomingMessage } from 'node:http'
import type { HttpClient, HttpRequest, HttpResponse } from '../port/http.ts'
import type { ProxyEnvironment } from './http-proxy.ts'

const maxRedirects = 5
const defaultTimeouts = { answerMs: 30_000, idleMs: 30_000 }
const redirectStatus: readonly (number | undefined)[] = [301, 302, 303, 307, 308]

/**
 * node:http and node:https with kept-alive connections, loaded at the first request for the sake of start-up; file:
 * URLs from the disk. Proxies come from http_proxy, https_proxy, all_proxy and no_proxy. (The runtime's own fetch
 * cannot be used: it adds `cache-control: no-cache`, so that no server ever answers 304.)
 */
export function hostHttp(environment: ProxyEnvironment = process.env): HttpClient {
  return { get: async (request) => await follow(request, environment, maxRedirects) }
}

async function follow(request: HttpRequest, environment: ProxyEnvironment, redirectsLeft: number): Promise<HttpResponse> {
  const url = parseUrl(request.url)
  if (url.protocol === 'file:') return await readLocal(url, request)
  const { answerMs, idleMs } = request.timeouts ?? defaultTimeouts
  const headers = { 'accept-encoding': 'identity', 'user-agent': 'bindery', ...request.headers }
  const message = await openExchange({ url, headers, answerMs, signal: request.signal, proxy: proxyFor(url, environment) })
  const response = responseOf(message, { url: request.url, idleMs, signal: request.signal })
  const location = response.headers['location']
  if (!redirectStatus.includes(response.status) || location === undefined) return response
  await closeStream(response.body)
  if (redirectsLeft === 0) throw new BinderyError('network', `more than ${maxRedirects} redirects`, { subject: request.url })
  return await follow({ ...request, url: redirectTarget(url, location) }, environment, redirectsLeft - 1)
}

function parseUrl(text: string): URL {
  const url = URL.parse(text)
  if (url === null || !['http:', 'https:', 'file:'].includes(url.protocol)) {
    throw new BinderyError('usage', 'is no http, https or file URL', { subject: text })
  }
  return url
}

/** Never to a weaker protocol, and never from the network to a local file. */
function redirectTarget(from: URL, location: string): string {
  const next = URL.parse(location, from.href)
  if (next === null) throw new BinderyError('network', 'redirected to what is no URL', { subject: from.href })
  const allowed = from.protocol === 'https:' ? ['https:'] : ['http:', 'https:']
  if (!allowed.includes(next.protocol)) {
    throw new BinderyError('network', `redirected from ${from.protocol} to ${next.protocol}`, { subject: from.href })
  }
  return next.href
}

type Reading = { readonly url: string; readonly idleMs: number; readonly signal: AbortSignal | undefined }

function responseOf(message: IncomingMessage, reading: Reading): HttpResponse {
  const headers: Record<string, string> = {}
  for (const [name, value] of Object.entries(message.headers)) headers[name] = Array.isArray(value) ? value.join(', ') : (value ?? '')
  return { status: message.statusCode ?? 0, headers, body: bodyOf(message, reading) }
}

/** Not a generator: `return()` before the first `next()` must close the connection too. */
export function bodyOf(message: IncomingMessage, reading: Reading): ByteStream {
  const chunks = message[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>
  let broken: BinderyError | undefined
  const next = async (): Promise<IteratorResult<Uint8Array>> => {
    if (broken !== undefined) throw broken
    try {
      return await nextChunk(chunks, message, reading)
    } catch (error) {
      if (!isBinderyError(error, 'network')) throw error
      const rest = leftOf(message)
      if (rest === undefined) throw error
      broken = error
      return { done: false, value: rest }
    }
  }
  return {
    [Symbol.asyncIterator]: () => ({
      next,
      return: async () => {
        message.destroy()
        return { done: true, value: undefined }
      },
    }),
  }
}

/** The clock runs only while we wait: a consumer that takes its time is not the server's silence. */
async function nextChunk(
  chunks: AsyncIterator<Uint8Array>,
  message: IncomingMessage,
  { url, idleMs, signal }: Reading,
): Promise<IteratorResult<Uint8Array>> {
  signal?.throwIfAborted()
  const stop = (): void => void message.destroy()
  signal?.addEventListener('abort', stop, { once: true })
  const timer = setTimeout(() => message.destroy(new Error(`silent for ${idleMs / 1000} s`)), idleMs)
  try {
    return await chunks.next()
  } catch (cause) {
    signal?.throwIfAborted()
    const reason = cause instanceof Error && cause.message !== 'aborted' ? cause.message : 'broken off'
    throw new BinderyError('network', reason, { subject: url, cause })
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', stop)
  }
}

/** What had come before the connection broke, and has not been read: the iterator does not ask for it any more. It counts when a download goes on. */
function leftOf(message: IncomingMessage): Uint8Array | undefined {
  const rest: unknown = message.read()
  return rest instanceof Uint8Array && rest.length > 0 ? rest : undefined
}
