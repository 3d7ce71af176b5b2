import { timingSafeEqual } from 'node:crypto'
import { utf8 } from '../base/bytes.ts'
import { sha256 } from '../base/digest.ts'
import { BinderyError } from '../base/error.ts'
import { failureLimit } from './failure-limit.ts'
import { openSessions } from './session.ts'
import type { Clock, Random } from '../port/ambient.ts'
import type { Operator } from '../port/farm-catalog.ts'
import type { FastifyRequest } from 'fastify'
import type { Visitor } from './page/frame.ts'
import type { Session } from './session.ts'

export type AccessOptions = {
  /** Whether whoever can connect may read. */
  readonly read: 'public' | 'token'
  readonly operators: () => Promise<readonly Operator[]>
  readonly clock: Clock
  readonly random: Random
}

/** Who asks, and by what it is known. */
export type Caller =
  | { readonly kind: 'nobody' }
  /** By a header that a browser sends only where a script of ours says so. */
  | { readonly kind: 'bearer'; readonly operator: Operator }
  /** A browser sends these along by itself, also from a foreign page: for reading only. */
  | { readonly kind: 'basic'; readonly operator: Operator }
  | { readonly kind: 'session'; readonly operator: Operator; readonly session: Session }

export type Access = {
  /** Throws `permission` for a token that nobody has, and for whoever tries too many. */
  callerOf(request: FastifyRequest): Promise<Caller>
  mayRead(caller: Caller): boolean
  /** The name for the audit trail. Throws `permission` unless this caller may act, and meant to. */
  actorOf(caller: Caller, request: FastifyRequest, csrf: string | undefined): string
  visitorOf(caller: Caller): Visitor
  /** Undefined where the token is nobody's. */
  login(request: FastifyRequest, token: string): Promise<{ readonly cookie: string; readonly name: string } | undefined>
  logout(caller: Caller): void
}

export const sessionCookie = 'bindery-session'

export function openAccess(options: AccessOptions): Access {
  const sessions = openSessions(options)
  const limit = failureLimit(options.clock)
  const byToken = async (request: FastifyRequest, token: string): Promise<Operator | undefined> => {
    limit.check(request.ip)
    const operator = await operatorOf(options, token)
    if (operator === undefined) limit.note(request.ip)
    return operator
  }
  return {
    callerOf: async (request) => {
      const given = credentialsOf(request)
      if (given.kind === 'none') return { kind: 'nobody' }
      if (given.kind === 'cookie') return await bySession(options, sessions.find(given.value))
      const operator = await byToken(request, given.value)
      if (operator === undefined) throw new BinderyError('permission', 'nobody has this token')
      return { kind: given.kind, operator }
    },
    mayRead: (caller) => options.read === 'public' || caller.kind !== 'nobody',
    actorOf: (caller, request, csrf) => {
      if (caller.kind === 'nobody' || caller.kind === 'basic') throw new BinderyError('permission', 'log in first')
      if (caller.operator.may !== 'act') throw new BinderyError('permission', `${caller.operator.name} may only read`)
      if (caller.kind === 'session') checkMeant(request, caller.session, csrf)
      return caller.operator.name
    },
    visitorOf: (caller) => {
      if (caller.kind === 'nobody') return undefined
      const csrf = caller.kind === 'session' && caller.operator.may === 'act' ? caller.session.csrf : undefined
      return { name: caller.operator.name, csrf }
    },
    login: async (request, token) => {
      if (isFromElsewhere(request)) throw new BinderyError('permission', 'the form is of another site')
      const operator = await byToken(request, token)
      return operator && { cookie: sessions.open(operator), name: operator.name }
    },
    logout: (caller) => {
      if (caller.kind === 'session') sessions.close(caller.session)
    },
  }
}

type Credentials = { readonly kind: 'none' } | { readonly kind: 'cookie' | 'bearer' | 'basic'; readonly value: string }

function credentialsOf(request: FastifyRequest): Credentials {
  const [scheme, value = ''] = (request.headers.authorization ?? '').split(' ')
  if (scheme?.toLowerCase() === 'bearer') return { kind: 'bearer', value }
  if (scheme?.toLowerCase() === 'basic') return { kind: 'basic', value: passwordOf(value) }
  const cookies = (request.headers.cookie ?? '').split(';').map((cookie) => cookie.trim())
  const ours = cookies.find((cookie) => cookie.startsWith(`${sessionCookie}=`))
  return ours === undefined ? { kind: 'none' } : { kind: 'cookie', value: ours.slice(sessionCookie.length + 1) }
}

/** Feed readers ask for a name and a password: the token is the password. */
function passwordOf(value: string): string {
  const text = Buffer.from(value, 'base64').toString('latin1')
  return text.slice(text.indexOf(':') + 1)
}

async function operatorOf({ operators }: AccessOptions, token: string): Promise<Operator | undefined> {
  const hash = sha256(utf8(token))
  return (await operators()).find(({ tokenHash }) => sameText(tokenHash, hash))
}

/** A token that was taken back ends its sessions. */
async function bySession({ operators }: AccessOptions, session: Session | undefined): Promise<Caller> {
  if (session === undefined) return { kind: 'nobody' }
  const operator = (await operators()).find(({ tokenHash }) => tokenHash === session.tokenHash)
  return operator === undefined ? { kind: 'nobody' } : { kind: 'session', operator, session }
}

/** That the form is one of ours: it holds what only our pages to this session hold. */
function checkMeant(request: FastifyRequest, session: Session, csrf: string | undefined): void {
  if (isFromElsewhere(request) || csrf === undefined || !sameText(csrf, session.csrf))
    throw new BinderyError('permission', 'the form is of another site or of an earlier login: load the page again')
}

function isFromElsewhere(request: FastifyRequest): boolean {
  const site = request.headers['sec-fetch-site']
  return site !== undefined && site !== 'same-origin' && site !== 'none'
}

/** In a time that tells nothing of where they differ. */
function sameText(a: string, b: string): boolean {
  const [left, right] = [utf8(a), utf8(b)]
  return left.length === right.length && timingSafeEqual(left, right)
}
