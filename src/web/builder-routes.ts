import { emptyBytes, hex } from '../base/bytes.ts'
import { sha256 } from '../base/digest.ts'
import { isBinderyError } from '../base/error.ts'
import { callChecker } from '../engine/farm/remote/check-call.ts'
import { callsPath } from '../engine/farm/remote/targets.ts'
import { answerHeaders, answerText, decodeCallHeaders, nonceOf } from '../format/farm-call.ts'
import { encodeAnswer } from '../format/farm-work.ts'
import { builderCalls } from './builder-calls.ts'
import type { CallChecks, CheckedCall } from '../engine/farm/remote/check-call.ts'
import type { Desk } from '../engine/farm/remote/desk.ts'
import type { Signer } from '../engine/repo/key-file.ts'
import type { SignedCall } from '../format/farm-call.ts'
import type { FarmAnswer, Refusal } from '../format/farm-work.ts'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { BuilderCall } from './builder-calls.ts'
import type { RouteModule } from './server.ts'

/** Where builders call (doc/spec/farm-builders.md): who calls is looked at before a byte of the body is read, and every answer is signed. */
export type BuilderRoutes = Omit<CallChecks, 'controller'> & {
  readonly desk: Desk
  /** The controller's own key. */
  readonly signer: Signer
  readonly tell: (line: string) => void
}

const maxBody = 8 << 20

export function builderRoutes(routes: BuilderRoutes): RouteModule {
  const check = callChecker({ ...routes, controller: hex(routes.signer.keynum) })
  const callers = new WeakMap<FastifyRequest, Caller>()
  const stopping = new AbortController()
  const refuse = refuser(routes.tell)
  return (server) => {
    server.removeAllContentTypeParsers()
    server.addContentTypeParser('*', { parseAs: 'buffer', bodyLimit: maxBody }, (_request, body, done) => done(null, body))
    server.addHook('onRequest', async (request, reply) => {
      const head = stopping.signal.aborted ? refusal('later', 'is stopping') : await checkedHead(check, request)
      if (head.kind === 'refused') return await send(routes, request, reply, head)
      callers.set(request, head)
      return undefined
    })
    server.addHook('preClose', async () => stopping.abort())
    server.setErrorHandler(async (error, request, reply) => await send(routes, request, reply, refuse(error)))
    for (const { path, answer } of builderCalls)
      server.post(`${callsPath}/${path}`, async (request, reply) => {
        const call = callOf(request, reply, callers.get(request) as Caller, stopping.signal)
        return await send(routes, request, reply, call === undefined ? damaged : await answer(routes.desk, call))
      })
  }
}

type Caller = { readonly builder: string; readonly call: SignedCall }

type CheckedHead = ({ readonly kind: 'admitted' } & Caller) | Extract<CheckedCall, { readonly kind: 'refused' }>

async function checkedHead(check: (call: SignedCall) => Promise<CheckedCall>, request: FastifyRequest): Promise<CheckedHead> {
  try {
    const call = decodeCallHeaders(request.headers, request.raw.url ?? '')
    const checked = await check(call)
    return checked.kind === 'refused' ? checked : { ...checked, call }
  } catch (error) {
    if (!isBinderyError(error, 'bad-format')) throw error
    return refusal('wrong', error.message)
  }
}

function refusal(why: Refusal, message: string): Extract<CheckedCall, { readonly kind: 'refused' }> {
  return { kind: 'refused', why, message }
}

const damaged = refusal('damaged', 'the body is not the one that was signed')

/** Undefined where the body is not what was signed. */
function callOf(request: FastifyRequest, reply: FastifyReply, { builder, call }: Caller, stopping: AbortSignal): BuilderCall | undefined {
  const body = request.body instanceof Uint8Array ? request.body : emptyBytes
  if (sha256(body) !== call.digest) return undefined
  const gone = new AbortController()
  reply.raw.once('close', () => gone.abort())
  const { searchParams } = new URL(call.target, 'http://farm')
  const words = request.params as Readonly<Record<string, string>>
  return { builder, words, query: searchParams, body, signal: AbortSignal.any([gone.signal, stopping]) }
}

/** What went wrong here is told here, once until it is something else; the builder tries again. */
function refuser(tell: (line: string) => void): (error: unknown) => FarmAnswer {
  let told = ''
  return (error) => {
    const message = error instanceof Error ? error.message : String(error)
    if (isBinderyError(error, 'bad-format') || isBinderyError(error, 'over-limit')) return refusal('wrong', message)
    if (isTooLarge(error)) return refusal('wrong', `has a body of more than ${maxBody} bytes`)
    const subject = isBinderyError(error) && error.subject !== undefined ? `${error.subject}: ` : ''
    const line = `cannot take what a builder sends: ${subject}${message}`
    if (line !== told) tell(line)
    told = line
    return isBinderyError(error, 'no-space') ? refusal('no-space', 'has no space left') : refusal('later', 'has failed, its log says why')
  }
}

function isTooLarge(error: unknown): boolean {
  return error instanceof Error && 'statusCode' in error && error.statusCode === 413
}

async function send(
  { signer, clock }: BuilderRoutes,
  request: FastifyRequest,
  reply: FastifyReply,
  answer: FarmAnswer,
): Promise<FastifyReply> {
  const body = encodeAnswer(answer)
  const head = { nonce: nonceOf(request.headers), status: statusOf(answer), time: clock.now(), digest: sha256(body) }
  const signature = signer.sign(answerText(head))
  reply.headers(answerHeaders({ ...head, keynum: hex(signer.keynum), signature }))
  return await reply.code(head.status).type('application/json').send(Buffer.from(body))
}

/** For who watches the traffic: builders read the body. */
function statusOf(answer: FarmAnswer): number {
  if (answer.kind === 'lost') return 410
  if (answer.kind === 'altered') return 422
  return answer.kind === 'refused' ? statusOfRefusal[answer.why] : 200
}

const statusOfRefusal: Readonly<Record<Refusal, number>> = {
  unknown: 401,
  signature: 401,
  clock: 401,
  replayed: 401,
  damaged: 400,
  wrong: 400,
  'no-space': 507,
  later: 503,
}
