import { BinderyError } from '../base/error.ts'
import { digestIn, fileName } from '../format/built.ts'
import { decodeBeat, decodeClaim, decodeEnd } from '../format/farm-work.ts'
import type { Desk } from '../engine/farm/remote/desk.ts'
import type { FarmAnswer } from '../format/farm-work.ts'

/** A call whose signature was good: the words of its path, its query, its body. */
export type BuilderCall = {
  readonly builder: string
  readonly words: Readonly<Record<string, string>>
  readonly query: URLSearchParams
  readonly body: Uint8Array
  /** Aborted where nobody waits for the answer any more. */
  readonly signal: AbortSignal
}

type Answering = (desk: Desk, call: BuilderCall) => Promise<FarmAnswer>

/** Paths as fastify writes them. Each throws `bad-format` for what cannot be read. */
export const builderCalls: readonly { readonly path: string; readonly answer: Answering }[] = [
  { path: 'claim', answer: async (desk, { builder, body, signal }) => await desk.claim(builder, decodeClaim(body), signal) },
  { path: 'lease/:lease/beat', answer: async (desk, call) => await desk.beat(call.builder, leaseOf(call), decodeBeat(call.body)) },
  {
    path: 'lease/:lease/log',
    answer: async (desk, call) => await desk.log(call.builder, leaseOf(call), { at: wholeIn(call, 'at'), bytes: call.body }),
  },
  {
    path: 'lease/:lease/file/:file',
    answer: async (desk, call) => {
      const sha256 = digestIn(call.query.get('sha256') ?? '')
      const whole = { file: fileName(call.words['file']), size: wholeIn(call, 'size'), sha256 }
      return await desk.file(call.builder, leaseOf(call), whole, { at: wholeIn(call, 'at'), bytes: call.body })
    },
  },
  { path: 'lease/:lease/end', answer: async (desk, call) => await desk.end(call.builder, leaseOf(call), decodeEnd(call.body)) },
]

function leaseOf({ words }: BuilderCall): number {
  return wholeOf(words['lease'] ?? '', 'the lease')
}

function wholeIn({ query }: BuilderCall, name: string): number {
  return wholeOf(query.get(name) ?? '', name)
}

function wholeOf(text: string, what: string): number {
  const number = Number(text)
  if (/^(?:0|[1-9][0-9]*)$/.test(text) && Number.isSafeInteger(number)) return number
  throw new BinderyError('bad-format', `${what} is no number`)
}
