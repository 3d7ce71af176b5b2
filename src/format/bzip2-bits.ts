import { BinderyError } from '../base/error.ts'

/** What both directions of bzip2 share: bits from the highest on, the check sum, the magics, the limits. */

/** 48 bits each, as two halves: pi and the square root of pi. */
export const blockMagic = [0x314159, 0x265359] as const
export const endMagic = [0x177245, 0x385090] as const

/** Symbols of a Huffman group before another table may be chosen. */
export const groupSize = 50

/** Run-length digits that stand for 1 and 2. */
export const runA = 0
export const runB = 1

/** CRC-32 of the polynomial 0x04c11db7, highest bit first. */
const crcTable = Int32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 24
  for (let bit = 0; bit < 8; bit++) crc = (crc << 1) ^ (crc < 0 ? 0x04c11db7 : 0)
  return crc
})

export const firstCrc = -1

export function nextCrc(crc: number, bytes: Uint8Array): number {
  let sum = crc
  for (let i = 0; i < bytes.length; i++) sum = (sum << 8) ^ (crcTable[(sum >>> 24) ^ (bytes[i] as number)] as number)
  return sum
}

/** How the sums of the blocks become that of the stream. */
export function combineCrc(whole: number, block: number): number {
  return ((whole << 1) | (whole >>> 31)) ^ block
}

export type BitReader = {
  /** `count` from 1 to 24; `bad-format` behind the end. */
  bits(count: number): number
  /** `count` bits without taking them, zeros behind the end. */
  peek(count: number): number
  skip(count: number): void
  /** To the next whole byte; answers its position. */
  align(): number
}

export function bitReader(bytes: Uint8Array): BitReader {
  let at = 0
  let held = 0
  let count = 0
  const fill = (wanted: number): void => {
    while (count < wanted) {
      held = (held << 8) | (at < bytes.length ? (bytes[at] as number) : 0)
      at++
      count += 8
    }
  }
  const skip = (wanted: number): void => {
    count -= wanted
    if (at - (count >> 3) > bytes.length) throw new BinderyError('bad-format', 'the bzip2 data end too early')
  }
  const peek = (wanted: number): number => {
    fill(wanted)
    return (held >>> (count - wanted)) & ((1 << wanted) - 1)
  }
  return {
    bits: (wanted) => {
      const value = peek(wanted)
      skip(wanted)
      return value
    },
    peek,
    skip,
    align: () => {
      count -= count % 8
      return at - (count >> 3)
    },
  }
}

export type BitWriter = {
  /** The lowest `count` bits of `value`, at most 24. */
  bits(count: number, value: number): void
  /** Everything, filled up to a whole byte. */
  finish(): Uint8Array
}

export function bitWriter(): BitWriter {
  let bytes = new Uint8Array(1024)
  let size = 0
  let held = 0
  let count = 0
  return {
    bits: (width, value) => {
      held = (held << width) | (value & ((1 << width) - 1))
      count += width
      while (count >= 8) {
        if (size === bytes.length) {
          const larger = new Uint8Array(2 * size)
          larger.set(bytes)
          bytes = larger
        }
        count -= 8
        bytes[size++] = held >>> count
      }
    },
    finish: () => {
      const last = count === 0 ? [] : [(held << (8 - count)) & 0xff]
      return Uint8Array.from([...bytes.subarray(0, size), ...last])
    },
  }
}
