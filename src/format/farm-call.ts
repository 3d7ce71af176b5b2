import { base64, fromBase64, fromLatin1 } from '../base/bytes.ts'
import { parseSha256 } from '../base/digest.ts'
import { BinderyError } from '../base/error.ts'
import type { Sha256 } from '../base/digest.ts'

/**
 * What a builder signs of each call to the controller, and the controller of each answer (doc/spec/farm-builders.md): texts of a few lines,
 * and the headers that carry them.
 */

export type CallHead = {
  /** What the server sees: path and query. */
  readonly target: string
  /** Milliseconds since the epoch. */
  readonly time: number
  /** 32 hex digits, new for each call. */
  readonly nonce: string
  /** Of the body. */
  readonly digest: Sha256
}

export type SignedCall = CallHead & { readonly keynum: string; readonly signature: Uint8Array }

export type AnswerHead = {
  /** Of the call, or `-` where it had none that could be read. */
  readonly nonce: string
  readonly status: number
  readonly time: number
  readonly digest: Sha256
}

export type SignedAnswer = Omit<AnswerHead, 'nonce' | 'status'> & { readonly keynum: string; readonly signature: Uint8Array }

/** A call to one farm is none to another: the text names the controller by the number of its key. */
export function callText({ target, time, nonce, digest }: CallHead, controller: string): Uint8Array {
  return fromLatin1(`bindery-farm-call 1\n${controller}\n${target}\n${time}\n${nonce}\n${digest}\n`)
}

/** An answer belongs to one call. */
export function answerText({ nonce, status, time, digest }: AnswerHead): Uint8Array {
  return fromLatin1(`bindery-farm-answer 1\n${nonce}\n${status}\n${time}\n${digest}\n`)
}

export type Headers = Readonly<Record<string, string | readonly string[] | undefined>>

export function callHeaders({ keynum, time, nonce, digest, signature }: SignedCall): Readonly<Record<string, string>> {
  return { ...answerHeaders({ keynum, time, digest, signature }), 'bindery-nonce': nonce }
}

export function answerHeaders({ keynum, time, digest, signature }: SignedAnswer): Readonly<Record<string, string>> {
  return {
    'bindery-key': keynum,
    'bindery-time': String(time),
    'bindery-digest': digest,
    'bindery-signature': base64(signature),
  }
}

/** Throws `bad-format`. */
export function decodeCallHeaders(headers: Headers, target: string): SignedCall {
  if (!/^\/[\x21-\x7e]{0,2000}$/.test(target)) throw new BinderyError('bad-format', 'is called by no path of printable ASCII')
  return { ...decodeAnswerHeaders(headers), target, nonce: matched(headers, 'bindery-nonce', /^[0-9a-f]{32}$/) }
}

/** Throws `bad-format`. */
export function decodeAnswerHeaders(headers: Headers): SignedAnswer {
  const signature = fromBase64(matched(headers, 'bindery-signature', /^[A-Za-z0-9+/]{86}==$/)) as Uint8Array
  return {
    keynum: matched(headers, 'bindery-key', /^[0-9a-f]{16}$/),
    time: Number(matched(headers, 'bindery-time', /^[1-9][0-9]{0,15}$/)),
    digest: parseSha256(matched(headers, 'bindery-digest', /^[0-9a-f]{64}$/)) as Sha256,
    signature,
  }
}

/** The nonce of a call that may be wrong in all else, so that its answer can belong to it. */
export function nonceOf(headers: Headers): string {
  const value = headers['bindery-nonce']
  return typeof value === 'string' && /^[0-9a-f]{32}$/.test(value) ? value : '-'
}

function matched(headers: Headers, name: string, pattern: RegExp): string {
  const value = headers[name]
  if (typeof value === 'string' && pattern.test(value)) return value
  throw new BinderyError('bad-format', value === undefined ? `has no ${name}` : `has a ${name} that is none`)
}
