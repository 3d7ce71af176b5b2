import { BinderyError } from '../../base/error.ts'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { RouteInput } from '../dashboard.ts'
import type { Caller } from '../access.ts'
import type { PageContext } from '../page/frame.ts'

/** Undefined when the answer was sent: whoever may not read is shown where to log in, or told so. */
export async function reader({ access }: RouteInput, request: FastifyRequest, reply: FastifyReply): Promise<Caller | undefined> {
  const caller = await access.callerOf(request)
  reply.header('cache-control', 'no-store').header('vary', 'cookie, authorization')
  if (access.mayRead(caller)) return caller
  if (wantsHtml(request)) await reply.redirect(`/login?to=${encodeURIComponent(request.url)}`, 303)
  else await reply.code(401).header('www-authenticate', 'Basic realm="bindery", charset="UTF-8"').send('a token is needed\n')
  return undefined
}

function wantsHtml(request: FastifyRequest): boolean {
  return (request.headers.accept ?? '').includes('text/html')
}

export function contextOf({ options, access }: RouteInput, caller: Caller): PageContext {
  const { title, farm, channels, clock } = options
  return {
    site: { title, hasFarm: farm !== undefined, hasRepository: channels !== undefined },
    visitor: access.visitorOf(caller),
    now: clock.now(),
  }
}

export function queryOf(request: FastifyRequest): Readonly<Record<string, string | undefined>> {
  const given = request.query as Readonly<Record<string, string | string[] | undefined>>
  // An empty field of a form is one that was left out.
  return Object.fromEntries(Object.entries(given).map(([name, value]) => [name, Array.isArray(value) ? value[0] : value || undefined]))
}

/** A whole number that a URL names. */
export function wholeOf(text: string): number {
  if (!/^[0-9]{1,15}$/.test(text)) throw new BinderyError('not-found', 'there is no such thing')
  return Number(text)
}
