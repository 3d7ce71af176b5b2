import { collectBytes, oneChunk } from '../base/bytes.ts'
import { BinderyError } from '../base/error.ts'
import { bodyOf } from './http.ts'
import { openExchange } from './http-exchange.ts'
import { proxyFor } from './http-proxy.ts'
import type { FarmPost } from '../port/farm-post.ts'
import type { ProxyEnvironment } from './http-proxy.ts'

const maxAnswer = 4 << 20
const idleMs = 30_000

/** Calls the controller at this URL; over TLS it is known by the usual authorities, or by these alone. */
export function hostFarmPost(base: string, environment: ProxyEnvironment = process.env, authorities?: Buffer): FarmPost {
  const farm = parseBase(base)
  return async ({ target, headers, body, answerMs, signal }) => {
    const url = new URL(farm.href.replace(/\/$/, '') + target)
    const sent = { 'user-agent': 'bindery', 'content-type': 'application/octet-stream', 'content-length': String(body.length), ...headers }
    const message = await openExchange({
      method: 'POST',
      url,
      headers: sent,
      body: async () => await Promise.resolve(oneChunk(body)),
      answerMs,
      signal,
      proxy: proxyFor(url, environment),
      authorities,
    })
    const answer = await collectBytes(bodyOf(message, { url: url.href, idleMs, signal }), maxAnswer)
    if (answer === undefined) throw new BinderyError('network', `answers with more than ${maxAnswer} bytes`, { subject: farm.href })
    return { status: message.statusCode ?? 0, headers: message.headers as Readonly<Record<string, string>>, body: answer }
  }
}

function parseBase(text: string): URL {
  const url = URL.parse(text)
  if (url !== null && ['http:', 'https:'].includes(url.protocol) && url.search === '' && url.hash === '') return url
  throw new BinderyError('usage', 'is no http or https URL of a farm', { subject: text })
}
