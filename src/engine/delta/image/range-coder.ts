import { BinderyError } from '../../../base/error.ts'
import { byteWriter } from '../../../format/varint.ts'

/**
 * An adaptive binary range coder: carry-less, 32 bits (after G. Martin, "Range encoding", 1979, and M. Mahoney, "Data
 * Compression Explained", 4.1). One object codes and one decodes, with the same calls: a coder is given the bit, a decoder
 * ignores it and answers the one that was coded. So whoever uses them writes the walk through his data once.
 */
export type BinaryCoder = {
  readonly isDecoder: boolean
  /** `models[at]` is the chance of a 1, and learns. */
  bit(models: Models, at: number, bit: number): number
  /** With a chance of 16 bits that somebody else keeps. */
  bitOf(chance: number, bit: number): number
}

/** Each a chance of 1 in its upper 22 bits and in its lower ten how often it was met. */
export type Models = Uint32Array

export function newModels(count: number): Models {
  return new Uint32Array(count).fill(0x8000_0000)
}

/** The more often a model was met the slower it learns, down to one part in `slowest`. */
const slowest = 16
const speeds = Int32Array.from({ length: slowest + 1 }, (_, n) => Math.floor(16384 / (n + n + 3)))

/** After a bit: moves a chance towards it. */
export function learn(models: Models, at: number, bit: number): void {
  const model = models[at] as number
  const met = model & 1023
  const chance = model >>> 10
  const towards = ((bit === 0 ? 0 : 0x3f_ffff) - chance) >> 3
  const next = (model + (Math.imul(towards, speeds[met] as number) & ~1023)) >>> 0
  models[at] = met < slowest ? next + 1 : next
}

/** Chances in 16 bits, never none nor all: a decoder must be able to follow. */
function chanceOf(models: Models, at: number): number {
  const chance = (models[at] as number) >>> 16
  return chance < 32 ? 32 : chance > 65504 ? 65504 : chance
}

export type RangeEncoder = BinaryCoder & {
  /** At most, were it taken now. */
  readonly size: number
  /** Bytes that are written already. */
  readonly written: number
  /** Answers how to take back what is coded from now on. */
  mark(): () => void
  /** Ends the stream and starts another one. */
  take(): Uint8Array
}

/** Where a coder stands in 32 bits: an array of its own, since in variables most such numbers would be objects on the heap. */
const [lowAt, highAt, codeAt] = [0, 1, 2] as const

function newInterval(): Uint32Array {
  return Uint32Array.of(0, 0xffff_ffff, 0)
}

/** Up to which number between `low` and `high` a 1 is meant. */
function middleOf(low: number, high: number, chance: number): number {
  const range = (high - low) >>> 0
  return (low + Math.imul(range >>> 16, chance) + (Math.imul(range & 0xffff, chance) >>> 16)) >>> 0
}

export function rangeEncoder(): RangeEncoder {
  const out = byteWriter()
  const interval = newInterval()
  const split = (chance: number, bit: number): void => {
    let low = interval[lowAt] as number
    let high = interval[highAt] as number
    const middle = middleOf(low, high, chance)
    if (bit === 0) low = (middle + 1) >>> 0
    else high = middle
    while (((low ^ high) & 0xff00_0000) === 0) {
      out.byte(high >>> 24)
      low = (low << 8) >>> 0
      high = ((high << 8) | 255) >>> 0
    }
    interval[lowAt] = low
    interval[highAt] = high
  }
  return {
    isDecoder: false,
    get size() {
      return out.size + 4
    },
    get written() {
      return out.size
    },
    mark: () => {
      const [size, kept] = [out.size, interval.slice()]
      return () => {
        out.cutTo(size)
        interval.set(kept)
      }
    },
    bit: (models, at, bit) => {
      split(chanceOf(models, at), bit)
      learn(models, at, bit)
      return bit
    },
    bitOf: (chance, bit) => {
      split(chance, bit)
      return bit
    },
    take: () => {
      // As few bytes as tell a number between low and high; what is missing reads as zero.
      const [low, high] = interval as unknown as readonly [number, number]
      if (low > 0) {
        for (let shift = 24; shift >= 0; shift -= 8) {
          const cut = Math.floor(high / 2 ** shift) * 2 ** shift
          if (cut < low) continue
          for (let at = 24; at >= shift; at -= 8) out.byte(Math.floor(cut / 2 ** at) & 255)
          break
        }
      }
      interval.set(newInterval())
      return out.take()
    },
  }
}

export type RangeDecoder = BinaryCoder & {
  /** `bad-format` unless all bytes were used. */
  finish(): void
}

/** Behind the end of the bytes there are zeros, so that a coder need not write them; more than four are too many. */
export function rangeDecoder(bytes: Uint8Array): RangeDecoder {
  const interval = newInterval()
  let at = 0
  const shift = (): void => {
    interval[codeAt] = ((interval[codeAt] as number) << 8) | (at < bytes.length ? (bytes[at] as number) : 0)
    if (++at > bytes.length + 4) throw new BinderyError('bad-format', 'a coded stream of the delta ends early')
  }
  for (let i = 0; i < 4; i++) shift()
  const split = (chance: number): number => {
    let low = interval[lowAt] as number
    let high = interval[highAt] as number
    const middle = middleOf(low, high, chance)
    const bit = (interval[codeAt] as number) <= middle ? 1 : 0
    if (bit === 0) low = (middle + 1) >>> 0
    else high = middle
    while (((low ^ high) & 0xff00_0000) === 0) {
      low = (low << 8) >>> 0
      high = ((high << 8) | 255) >>> 0
      shift()
    }
    interval[lowAt] = low
    interval[highAt] = high
    return bit
  }
  return {
    isDecoder: true,
    bit: (models, place) => {
      const bit = split(chanceOf(models, place))
      learn(models, place, bit)
      return bit
    },
    bitOf: split,
    finish: () => {
      if (at < bytes.length) throw new BinderyError('bad-format', 'a coded stream of the delta is longer than it should be')
    },
  }
}
