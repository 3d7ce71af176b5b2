import { fromUtf8, utf8 } from '../base/bytes.ts'
import { BinderyError } from '../base/error.ts'

/**
 * JSON that two readers cannot read differently: no member twice, whole numbers of 53 bits only, no half of a
 * surrogate pair, a bounded depth; and its canonical form, which signatures cover
 * (http://wiki.laptop.org/go/Canonical_JSON, as the TUF specification's section 4.1 asks).
 */
export type Json = null | boolean | number | string | readonly Json[] | JsonObject
/** Without a prototype, so that a member named `__proto__` is one like any other. */
export type JsonObject = { readonly [name: string]: Json }

const maxDepth = 64

type Cursor = { readonly text: string; at: number }

/** Throws `bad-format` with the position. */
export function parseJson(bytes: Uint8Array): Json {
  const cursor = { text: textOf(bytes), at: 0 }
  skipSpace(cursor)
  const value = readValue(cursor, maxDepth)
  skipSpace(cursor)
  if (cursor.at < cursor.text.length) throw malformed(cursor, 'goes on after its end')
  return value
}

function textOf(bytes: Uint8Array): string {
  try {
    return fromUtf8(bytes)
  } catch (cause) {
    throw new BinderyError('bad-format', 'is not UTF-8', { cause })
  }
}

function readValue(cursor: Cursor, depth: number): Json {
  if (depth === 0) throw malformed(cursor, `is nested more than ${maxDepth} deep`)
  switch (cursor.text[cursor.at]) {
    case '{':
      return readObject(cursor, depth)
    case '[':
      return readArray(cursor, depth)
    case '"':
      return readString(cursor)
    case 't':
      return readWord(cursor, 'true', true)
    case 'f':
      return readWord(cursor, 'false', false)
    case 'n':
      return readWord(cursor, 'null', null)
    default:
      return readNumber(cursor)
  }
}

function readObject(cursor: Cursor, depth: number): JsonObject {
  const object: Record<string, Json> = emptyObject()
  cursor.at++
  if (readMark(cursor, '}')) return object
  do {
    skipSpace(cursor)
    if (cursor.text[cursor.at] !== '"') throw malformed(cursor, 'lacks the name of a member')
    const name = readString(cursor)
    if (Object.hasOwn(object, name)) throw malformed(cursor, `has the member '${name}' twice`)
    if (!readMark(cursor, ':')) throw malformed(cursor, "lacks a ':'")
    skipSpace(cursor)
    object[name] = readValue(cursor, depth - 1)
  } while (readMark(cursor, ','))
  if (!readMark(cursor, '}')) throw malformed(cursor, "lacks a '}'")
  return object
}

function readArray(cursor: Cursor, depth: number): readonly Json[] {
  const items: Json[] = []
  cursor.at++
  if (readMark(cursor, ']')) return items
  do {
    skipSpace(cursor)
    items.push(readValue(cursor, depth - 1))
  } while (readMark(cursor, ','))
  if (!readMark(cursor, ']')) throw malformed(cursor, "lacks a ']'")
  return items
}

/** Takes the mark after any white space, if it is there. */
function readMark(cursor: Cursor, mark: string): boolean {
  skipSpace(cursor)
  if (cursor.text[cursor.at] !== mark) return false
  cursor.at++
  return true
}

function readString(cursor: Cursor): string {
  const start = cursor.at
  let end = start + 1
  let escaped = false
  for (let unit = cursor.text.charCodeAt(end); unit !== 0x22; unit = cursor.text.charCodeAt(end)) {
    if (!(unit >= 0x20)) throw malformed(cursor, 'holds a malformed string')
    if (unit === 0x5c) escaped = true
    end += unit === 0x5c ? 2 : 1
  }
  cursor.at = end + 1
  const value = escaped ? unescape(cursor, cursor.text.slice(start, end + 1)) : cursor.text.slice(start + 1, end)
  // Encoding replaces a lone surrogate, so that two strings would have one signature.
  if (!value.isWellFormed()) throw malformed(cursor, 'holds half of a surrogate pair')
  return value
}

function unescape(cursor: Cursor, literal: string): string {
  try {
    return JSON.parse(literal) as string
  } catch {
    throw malformed(cursor, 'holds a malformed string')
  }
}

function readNumber(cursor: Cursor): number {
  const pattern = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y
  pattern.lastIndex = cursor.at
  const literal = pattern.exec(cursor.text)?.[0]
  if (literal === undefined) throw malformed(cursor, 'holds something that is no JSON value')
  const value = Number(literal)
  if (!/^-?[0-9]+$/.test(literal) || !Number.isSafeInteger(value) || Object.is(value, -0)) {
    throw malformed(cursor, `holds ${literal}, no whole number of 53 bits`)
  }
  cursor.at += literal.length
  return value
}

function readWord<T extends Json>(cursor: Cursor, word: string, value: T): T {
  if (!cursor.text.startsWith(word, cursor.at)) throw malformed(cursor, 'holds something that is no JSON value')
  cursor.at += word.length
  return value
}

function skipSpace(cursor: Cursor): void {
  for (let unit = cursor.text.charCodeAt(cursor.at); isSpace(unit); unit = cursor.text.charCodeAt(cursor.at)) cursor.at++
}

function isSpace(unit: number): boolean {
  return unit === 0x20 || unit === 0x0a || unit === 0x0d || unit === 0x09
}

function malformed(cursor: Cursor, message: string): BinderyError {
  return new BinderyError('bad-format', `${message} (at character ${cursor.at + 1} of its JSON)`)
}

function emptyObject(): Record<string, Json> {
  return Object.create(null) as Record<string, Json>
}

/** A copy without the members named; undefined when none is left. */
export function otherMembers(object: JsonObject, known: readonly string[]): JsonObject | undefined {
  const others = emptyObject()
  for (const [name, value] of Object.entries(object)) if (!known.includes(name)) others[name] = value
  return Object.keys(others).length > 0 ? others : undefined
}

export function isJsonObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Members in the order of their code points, no white space, only `"` and `\` escaped. */
export function canonicalJson(value: Json): Uint8Array {
  return utf8(write(value, (text) => `"${text.replaceAll(/["\\]/g, '\\$&')}"`))
}

/** The same, but real JSON where a string holds control characters: how we write files. */
export function formatJson(value: Json): Uint8Array {
  return utf8(write(value, (text) => JSON.stringify(text)))
}

function write(value: Json, writeString: (text: string) => string): string {
  if (typeof value === 'string') {
    if (!value.isWellFormed()) throw new BinderyError('bad-format', 'a string holds half of a surrogate pair')
    return writeString(value)
  }
  if (typeof value === 'number') {
    if (!Number.isSafeInteger(value) || Object.is(value, -0)) throw new BinderyError('bad-format', `${value} is no whole number of 53 bits`)
    return String(value)
  }
  if (value === null || typeof value === 'boolean') return String(value)
  if (!isJsonObject(value)) return `[${value.map((item) => write(item, writeString)).join(',')}]`
  const names = Object.keys(value).sort(byCodePoint)
  return `{${names.map((name) => `${write(name, writeString)}:${write(value[name] as Json, writeString)}`).join(',')}}`
}

/**
 * Of names of one object, which are never equal. JavaScript compares UTF-16 units, which puts U+10000 before U+E000; UTF-8 bytes are
 * in code point order.
 */
function byCodePoint(a: string, b: string): number {
  return /[\ud800-\udfff]/.test(a + b) ? Buffer.compare(Buffer.from(a), Buffer.from(b)) : a < b ? -1 : 1
}
