import { concatBytes, fromLatin1, latin1 } from '../base/bytes.ts'
import { BinderyError } from '../base/error.ts'
import { withoutTrailing } from '../base/trailing.ts'
import type { Timestamp } from '../base/entry.ts'

/**
 * The records of a pax extended header (POSIX.1-2017, pax, "pax Extended Header"): `LENGTH KEYWORD=VALUE\n`, LENGTH
 * counting the whole record. Keywords and values are bytes as latin1.
 */
export type PaxRecords = ReadonlyMap<string, string>

/** An entry's records together: Linux allows 64 KiB of attributes per name and file, file systems far less. */
export const maxPaxBytes = 1 << 20

/** In the order of the map. */
export function encodePax(records: PaxRecords): Uint8Array {
  return concatBytes([...records].map(([keyword, value]) => fromLatin1(encodeRecord(keyword, value))))
}

function encodeRecord(keyword: string, value: string): string {
  const rest = ` ${keyword}=${value}\n`
  let length = rest.length
  while (length !== rest.length + String(length).length) length = rest.length + String(length).length
  return `${length}${rest}`
}

/** Every byte must belong to a record, and no keyword may come twice (`bad-format`). */
export function decodePax(body: Uint8Array): PaxRecords {
  const text = latin1(body)
  const records = new Map<string, string>()
  let at = 0
  while (at < text.length) {
    const { keyword, value, end } = decodeRecord(text, at)
    if (records.has(keyword)) throw bad(`${JSON.stringify(keyword)} comes twice`)
    records.set(keyword, value)
    at = end
  }
  return records
}

function decodeRecord(text: string, at: number): { keyword: string; value: string; end: number } {
  const blank = text.indexOf(' ', at)
  const digits = text.slice(at, blank)
  if (blank < 0 || !/^[1-9][0-9]{0,7}$/.test(digits)) throw bad('a record does not start with its length')
  const end = at + Number(digits)
  // Each of these lets two readers see two different records: smuggling.
  if (end > text.length || end <= blank + 1 || text[end - 1] !== '\n') throw bad('a record has a wrong length')
  const equals = text.indexOf('=', blank)
  if (equals < 0 || equals >= end) throw bad('a record has no value')
  return { keyword: text.slice(blank + 1, equals), value: text.slice(equals + 1, end - 1), end }
}

function bad(message: string): BinderyError {
  return new BinderyError('bad-format', `pax header: ${message}`)
}

/** Decimal seconds, as few digits as the value needs: `-1.75` is sec -2, nsec 250000000. */
export function encodePaxTime(time: Timestamp): string {
  if (time.nsec === 0) return String(time.sec)
  const negative = time.sec < 0
  const seconds = negative ? -(time.sec + 1) : time.sec
  const nsec = negative ? 1_000_000_000 - time.nsec : time.nsec
  return `${negative ? '-' : ''}${seconds}.${withoutTrailing(String(nsec).padStart(9, '0'), '0')}`
}

/** Undefined for anything but a decimal number of seconds within 53 bits. */
export function decodePaxTime(text: string): Timestamp | undefined {
  const match = /^(-?)([0-9]{1,16})(?:\.([0-9]{1,9}))?$/.exec(text)
  if (match === null) return undefined
  const [, sign, whole, fraction = ''] = match
  const seconds = Number(whole)
  const nsec = Number(fraction.padEnd(9, '0'))
  if (!Number.isSafeInteger(seconds)) return undefined
  if (sign === '') return { sec: seconds, nsec }
  return nsec === 0 ? { sec: -seconds, nsec: 0 } : { sec: -seconds - 1, nsec: 1_000_000_000 - nsec }
}
