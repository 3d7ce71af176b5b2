import { BinderyError } from '../base/error.ts'
import { loadOptional } from '../base/optional-package.ts'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type * as Fastify from 'fastify'
import type { FastifyError, FastifyInstance, FastifyRequest } from 'fastify'
import type { ServerCertificate, TlsServer } from '../port/server-certificate.ts'

/**
 * Routes that belong together, in a scope of their own: content types and hooks of one module reach no other. What is
 * open for long (a live feed, a long poll) ends in a `preClose` hook of the module.
 */
export type RouteModule = (server: FastifyInstance) => Promise<void> | void

export type WebServerOptions = {
  readonly host: string
  /** 0 for any free port. */
  readonly port: number
  readonly modules: readonly RouteModule[]
  /** One line per answer, without what may be secret. */
  readonly log?: ((line: string) => void) | undefined
  /** Answers what no module has a route for. */
  readonly otherwise?: ((request: IncomingMessage, response: ServerResponse) => void) | undefined
  /** Addresses of proxies whose X-Forwarded-For is believed. */
  readonly proxies?: readonly string[] | undefined
  /** Absent: without TLS. */
  readonly tls?: ServerCertificate | undefined
}

export type RunningWebServer = {
  readonly url: string
  /** Takes no more connections, ends what is live, lets answers that have begun end for at most `graceMs`. */
  close(graceMs?: number): Promise<void>
}

/** Answers when it takes connections. `exists` when the port is taken, `not-supported` where fastify is not installed. */
export async function startWebServer(options: WebServerOptions): Promise<RunningWebServer> {
  const { fastify } = await loadOptional(async () => await import('fastify'))
  const server = makeServer(fastify, options)
  server.setErrorHandler<FastifyError>(async (error, request, reply) => {
    const status = statusOf(error)
    if (status >= 500) options.log?.(`${lineOf(request, status)}: ${error.message}`)
    await reply
      .code(status)
      .type('text/plain; charset=utf-8')
      .send(`${status >= 500 ? 'failed' : error.message}\n`)
  })
  server.addHook('onSend', async (_request, reply, payload) => {
    for (const [name, value] of Object.entries(safeHeaders)) if (!reply.hasHeader(name)) reply.header(name, value)
    return payload
  })
  server.addHook('onResponse', async (request, reply) => options.log?.(lineOf(request, reply.statusCode)))
  const { otherwise } = options
  if (otherwise !== undefined)
    server.setNotFoundHandler((request, reply) => {
      reply.hijack()
      otherwise(request.raw, reply.raw)
    })
  for (const module of options.modules) await server.register(async (scope) => await module(scope))
  return await listen(server, options)
}

/** Not async: a server that is awaited takes no more routes. */
function makeServer(fastify: typeof Fastify.fastify, { proxies = [], tls }: WebServerOptions): FastifyInstance {
  const shared = {
    logger: false,
    bodyLimit: 1 << 20,
    connectionTimeout: 90_000,
    forceCloseConnections: 'idle',
    trustProxy: proxies.length === 0 ? false : [...proxies],
    routerOptions: { maxParamLength: 1000 },
  } as const
  const limits = { headersTimeout: 15_000 }
  if (tls === undefined) return fastify({ ...shared, http: limits })
  const server = fastify({ ...shared, https: { ...limits, ...tls.pair, handshakeTimeout: 15_000 } })
  tls.keepNew(server.server satisfies TlsServer)
  return server
}

/** Nothing from elsewhere, nothing inline: what a hostile name could smuggle into a page would not run. */
const safeHeaders = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'same-origin',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
} as const

const statusOfCode: Readonly<Partial<Record<BinderyError['code'], number>>> = {
  'not-found': 404,
  usage: 400,
  'bad-format': 400,
  'over-limit': 413,
  'bad-signature': 403,
  'wrong-key': 403,
  permission: 403,
  conflict: 409,
  exists: 409,
  downgrade: 409,
  'no-space': 507,
}

function statusOf(error: FastifyError | BinderyError): number {
  if (error instanceof BinderyError) return statusOfCode[error.code] ?? 500
  return error.statusCode ?? 500
}

/** The path alone: what stands behind it may be a token. */
function lineOf(request: FastifyRequest, status: number): string {
  const path = (request.url.split('?')[0] as string).replaceAll(/[^\x21-\x7e]/g, '?')
  return `${request.method} ${path} ${status}`
}

async function listen(server: FastifyInstance, { host, port, tls }: WebServerOptions): Promise<RunningWebServer> {
  try {
    await server.listen({ host, port })
  } catch (cause) {
    throw listenError(cause, `${host}:${port}`)
  }
  const url = urlOf(tls === undefined ? 'http' : 'https', server.server.address() as AddressInfo)
  return { url, close: async (graceMs = 5_000) => await close(server, graceMs) }
}

function urlOf(scheme: string, { family, address, port }: AddressInfo): string {
  return `${scheme}://${family === 'IPv6' ? `[${address}]` : address}:${port}/`
}

function listenError(cause: unknown, subject: string): unknown {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
  if (code === 'EADDRINUSE') return new BinderyError('exists', 'another program listens there', { subject, cause })
  if (code === 'ENOTFOUND' || code === 'EADDRNOTAVAIL')
    return new BinderyError('not-found', 'is no address of this machine', { subject, cause })
  if (code === 'EACCES') return new BinderyError('permission', 'may not be listened on', { subject, cause })
  return cause
}

async function close(server: FastifyInstance, graceMs: number): Promise<void> {
  const timer = setTimeout(() => server.server.closeAllConnections(), graceMs)
  await server.close()
  clearTimeout(timer)
}
