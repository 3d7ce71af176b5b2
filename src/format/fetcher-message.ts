import { concatBytes, utf8 } from '../base/bytes.ts'
import { BinderyError, exitStatusOf, isBinderyError } from '../base/error.ts'
import type { ErrorCode } from '../base/error.ts'

/** What bindery and its fetcher say to each other over two pipes (doc/spec/fetcher.md). */
export type Message = { readonly call: number; readonly kind: MessageKind; readonly fields: readonly Uint8Array[] }

/** In the order of their numbers. */
const kinds = [
  'get',
  'head',
  'next',
  'chunk',
  'end',
  'leave',
  'failed',
  'look',
  'ask',
  'answer',
  'role',
  'target',
  'done',
  'become',
] as const
export type MessageKind = (typeof kinds)[number]

export type Field = string | number | Uint8Array

export function message(call: number, kind: MessageKind, ...fields: readonly Field[]): Message {
  return { call, kind, fields: fields.map((field) => (field instanceof Uint8Array ? field : utf8(String(field)))) }
}

export function encodeMessage({ call, kind, fields }: Message): Uint8Array {
  const bytes = new Uint8Array(fields.reduce((size, field) => size + 4 + field.length, 9))
  const view = new DataView(bytes.buffer)
  view.setUint32(0, bytes.length - 4)
  view.setUint8(4, kinds.indexOf(kind))
  view.setUint32(5, call)
  let at = 9
  for (const field of fields) {
    view.setUint32(at, field.length)
    bytes.set(field, at + 4)
    at += 4 + field.length
  }
  return bytes
}

/** Takes bytes as they come, and answers the messages that they complete. Throws `over-limit` for one of more than `limit` bytes, `bad-format`. */
export function messageReader(limit: number): (bytes: Uint8Array) => readonly Message[] {
  let held: Uint8Array[] = []
  let size = 0
  // Up to here nothing can be done with what is held.
  let wanted = 4
  return (bytes) => {
    held.push(bytes)
    size += bytes.length
    if (size < wanted) return []
    const messages: Message[] = []
    let rest = concatBytes(held)
    for (wanted = wantedOf(rest, limit); rest.length >= wanted; wanted = wantedOf(rest, limit)) {
      if (wanted > 4) messages.push(decodeMessage(rest.subarray(4, wanted)))
      rest = rest.subarray(wanted > 4 ? wanted : 0)
    }
    held = [rest]
    size = rest.length
    return messages
  }
}

/** How long what begins here is with its length, or 4 while that is not known. */
function wantedOf(bytes: Uint8Array, limit: number): number {
  if (bytes.length < 4) return 4
  const length = viewOf(bytes).getUint32(0)
  if (length > limit) throw new BinderyError('over-limit', `a message has ${length} bytes, more than ${limit}`)
  if (length < 5) throw malformed()
  return 4 + length
}

function decodeMessage(bytes: Uint8Array): Message {
  const view = viewOf(bytes)
  const kind = kinds[view.getUint8(0)]
  if (kind === undefined) throw malformed()
  const fields: Uint8Array[] = []
  for (let at = 5; at < bytes.length;) {
    if (at + 4 > bytes.length) throw malformed()
    const start = at + 4
    at = start + view.getUint32(at)
    if (at > bytes.length) throw malformed()
    fields.push(bytes.subarray(start, at))
  }
  return { call: view.getUint32(1), kind, fields }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

function malformed(): BinderyError {
  return new BinderyError('bad-format', 'is no message of a fetcher')
}

/** The text of a field; undefined where there is none. What is not UTF-8 is shown as such. */
export function textOf({ fields }: Message, index: number): string | undefined {
  const field = fields[index]
  return field === undefined ? undefined : new TextDecoder('utf-8', { ignoreBOM: true }).decode(field)
}

/** Whole and not negative, as numbers here are, or Infinity. Throws `bad-format`. */
export function numberOf(from: Message, index: number): number {
  const text = textOf(from, index) ?? ''
  if (!/^(?:[0-9]{1,15}|Infinity)$/.test(text)) throw malformed()
  return Number(text)
}

/** Names and values by turns, from `index` on. */
export function pairsOf(from: Message, index: number): Readonly<Record<string, string>> {
  const pairs: [string, string][] = []
  for (let i = index; i + 1 < from.fields.length; i += 2) pairs.push([textOf(from, i) ?? '', textOf(from, i + 1) ?? ''])
  return Object.fromEntries(pairs)
}

/** What is no error of ours is a bug there, and here. */
export function failure(call: number, error: unknown): Message {
  if (isBinderyError(error)) return message(call, 'failed', error.code, error.message, error.subject ?? '', error.hint ?? '')
  return message(call, 'failed', '', error instanceof Error ? (error.stack ?? error.message) : String(error))
}

export function failureOf(from: Message): Error {
  const [code = '', text = '', subject, hint] = [0, 1, 2, 3].map((index) => textOf(from, index))
  if (!Object.hasOwn(exitStatusOf, code)) return new Error(text)
  const facts = { ...(subject ? { subject } : {}), ...(hint ? { hint } : {}) }
  return new BinderyError(code as ErrorCode, text, facts)
}
