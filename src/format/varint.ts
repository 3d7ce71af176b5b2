import { release } from '../base/bytes.ts'
import { BinderyError } from '../base/error.ts'

/**
 * Unsigned LEB128: seven bits a byte, the lowest first, the top bit set on all bytes but the last. At most eight bytes
 * and 2^53-1, and only the shortest form: a value has one encoding.
 */

/** Where a decoder stands in bytes that are all there. */
export type Cursor = { readonly bytes: Uint8Array; at: number }

/** Bytes that grow as they are written. */
export type ByteWriter = {
  readonly size: number
  byte(value: number): void
  /** 0 to 2^53-1. */
  varint(value: number): void
  bytes(part: Uint8Array): void
  /** Takes back what was written behind the first `size` bytes. */
  cutTo(size: number): void
  /** A copy of what was written since the last call; the writer starts again and keeps its memory. */
  take(): Uint8Array
}

export function byteWriter(): ByteWriter {
  let held = new Uint8Array(256)
  let size = 0
  const grow = (by: number): void => {
    if (size + by <= held.length) return
    const larger = new Uint8Array(Math.max(2 * held.length, size + by))
    larger.set(held.subarray(0, size))
    release(held)
    held = larger
  }
  return {
    get size() {
      return size
    },
    byte: (value) => {
      if (size === held.length) grow(1)
      held[size++] = value
    },
    varint: (value) => {
      if (size + 8 > held.length) grow(8)
      let rest = value
      while (rest >= 0x1000_0000) {
        held[size++] = (rest % 128) | 0x80
        rest = Math.floor(rest / 128)
      }
      while (rest >= 0x80) {
        held[size++] = (rest & 0x7f) | 0x80
        rest >>>= 7
      }
      held[size++] = rest
    },
    bytes: (part) => {
      grow(part.length)
      held.set(part, size)
      size += part.length
    },
    cutTo: (to) => {
      size = Math.min(size, to)
    },
    take: () => {
      const taken = held.slice(0, size)
      size = 0
      return taken
    },
  }
}

export function readByte(cursor: Cursor): number {
  const byte = cursor.bytes[cursor.at++]
  if (byte === undefined) throw endsEarly()
  return byte
}

export function readVarint(cursor: Cursor): number {
  const { bytes, at } = cursor
  const first = bytes[at]
  if (first === undefined || first >= 0x80) return readLongVarint(cursor)
  cursor.at = at + 1
  return first
}

function readLongVarint(cursor: Cursor): number {
  const { bytes } = cursor
  let at = cursor.at
  let byte = bytes[at++]
  let value = 0
  let unit = 1
  while (byte !== undefined && byte >= 0x80) {
    value += (byte & 0x7f) * unit
    unit *= 128
    // Seven bytes hold 49 bits; the eighth and last must not reach past 2^53.
    if (unit > 2 ** 49) throw new BinderyError('bad-format', 'a number is too long')
    byte = bytes[at++]
  }
  if (byte === undefined) throw endsEarly()
  value += byte * unit
  if (byte === 0 && unit > 1) throw new BinderyError('bad-format', 'a number is not in its shortest form')
  if (value > Number.MAX_SAFE_INTEGER) throw new BinderyError('bad-format', 'a number is too large')
  cursor.at = at
  return value
}

/** The next `count` bytes as a view; `count` is checked against what there is. */
export function readBytes(cursor: Cursor, count: number): Uint8Array {
  if (count > cursor.bytes.length - cursor.at) throw endsEarly()
  cursor.at += count
  return cursor.bytes.subarray(cursor.at - count, cursor.at)
}

/** Signed numbers as unsigned ones: 0, -1, 1, -2, 2… become 0, 1, 2, 3, 4… */
export function zigzag(value: number): number {
  return value < 0 ? -2 * value - 1 : 2 * value
}

export function unzigzag(value: number): number {
  if (value <= 0x7fff_ffff) return (value >>> 1) ^ -(value & 1)
  return value % 2 === 0 ? value / 2 : -(value + 1) / 2
}

function endsEarly(): BinderyError {
  return new BinderyError('bad-format', 'a number or a field runs past the end')
}
