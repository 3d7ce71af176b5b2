import { oneChunk, utf8 } from '../base/bytes.ts'
import { BinderyError } from '../base/error.ts'
import { openExchange } from './http-exchange.ts'
import { proxyFor } from './http-proxy.ts'
import type { ProxyEnvironment } from './http-proxy.ts'

type HookWorld = { readonly environment: ProxyEnvironment; readonly signal: AbortSignal }

/** Posts a record as JSON. Throws `network` where nobody takes it. */
export async function hostHook(address: string, record: object, { environment, signal }: HookWorld): Promise<void> {
  const url = URL.parse(address)
  if (url === null || !['http:', 'https:'].includes(url.protocol))
    throw new BinderyError('usage', 'is no http or https URL', { subject: address })
  const body = utf8(`${JSON.stringify(record)}\n`)
  const headers = { 'user-agent': 'bindery', 'content-type': 'application/json', 'content-length': String(body.length) }
  const message = await openExchange({
    method: 'POST',
    url,
    headers,
    body: async () => await Promise.resolve(oneChunk(body)),
    answerMs: 30_000,
    signal,
    proxy: proxyFor(url, environment),
  })
  message.resume()
  const status = message.statusCode ?? 0
  // The address may hold a secret.
  if (status < 200 || status > 299) throw new BinderyError('network', `answers with status ${status}`, { subject: url.origin })
}
