import { fromUtf8, utf8 } from '../base/bytes.ts'
import { BinderyError } from '../base/error.ts'

/**
 * The JSON of our own records (update records and their like), with one spelling: RFC 8785 (keys in UTF-16 order, no
 * spaces, strings as ECMAScript writes them) restricted to whole numbers in the safe range. `decodeJson` takes only
 * what `encodeJson` writes, so that duplicate keys, rounding and second spellings cannot exist. (TUF metadata has its
 * own canonical form: format/strict-json.ts.)
 */
export type Json = null | boolean | number | string | readonly Json[] | JsonObject
export type JsonObject = { readonly [name: string]: Json | undefined }

const maxDepth = 16

export function encodeJson(value: Json): Uint8Array {
  return utf8(write(value, 0))
}

/** `bad-format` unless the bytes are exactly what `encodeJson` would write for their value. */
export function decodeJson(bytes: Uint8Array, what: string): Json {
  try {
    const text = fromUtf8(bytes)
    const value = JSON.parse(text) as Json
    if (write(value, 0) === text) return value
  } catch (cause) {
    throw new BinderyError('bad-format', 'is no canonical JSON', { subject: what, cause })
  }
  throw new BinderyError('bad-format', 'is no canonical JSON', { subject: what })
}

function write(value: Json, depth: number): string {
  if (depth > maxDepth) throw new RangeError(`nested deeper than ${maxDepth}`)
  if (value === null || typeof value === 'boolean') return String(value)
  if (typeof value === 'number') return writeNumber(value)
  if (typeof value === 'string') return writeString(value)
  if (isArray(value)) return `[${value.map((item) => write(item, depth + 1)).join(',')}]`
  const members = Object.keys(value)
    .sort()
    .filter((name) => value[name] !== undefined)
  return `{${members.map((name) => `${writeString(name)}:${write(value[name] as Json, depth + 1)}`).join(',')}}`
}

function writeNumber(value: number): string {
  if (!Number.isSafeInteger(value) || Object.is(value, -0)) throw new RangeError(`${value} is no whole number in the safe range`)
  return String(value)
}

function writeString(text: string): string {
  if (!text.isWellFormed()) throw new RangeError('a string holds half a character')
  return JSON.stringify(text)
}

/** Array.isArray does not narrow readonly arrays. */
function isArray(value: Json): value is readonly Json[] {
  return Array.isArray(value)
}

/** Readers of decoded values: each answers the typed value or throws `bad-format` (`over-limit` for a count or length). */

export function asObject(value: Json | undefined, what: string): JsonObject {
  if (typeof value !== 'object' || value === null || isArray(value)) throw wrong(what, 'an object')
  return value
}

export function asList(value: Json | undefined, what: string, limit: number): readonly Json[] {
  if (value === undefined || typeof value !== 'object' || value === null || !isArray(value)) throw wrong(what, 'a list')
  if (value.length > limit) throw new BinderyError('over-limit', `${what} has more than ${limit} items`)
  return value
}

export function asText(value: Json | undefined, what: string, limit: number): string {
  if (typeof value !== 'string') throw wrong(what, 'a string')
  if (value.length > limit) throw new BinderyError('over-limit', `${what} is longer than ${limit}`)
  return value
}

export function asWhole(value: Json | undefined, what: string, min: number, max: number): number {
  if (typeof value !== 'number') throw wrong(what, 'a number')
  if (value < min || value > max) throw new BinderyError('over-limit', `${what} is not within ${min} to ${max}`)
  return value
}

export function asBoolean(value: Json | undefined, what: string): boolean {
  if (typeof value !== 'boolean') throw wrong(what, 'true or false')
  return value
}

function wrong(what: string, wanted: string): BinderyError {
  return new BinderyError('bad-format', `${what} is not ${wanted}`)
}
