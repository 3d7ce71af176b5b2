import type { Scratch } from './scratch.ts'

/**
 * The targets of an old image, numbered in the order of their addresses, and where each is thought to be in the new one:
 * learned from a reference that was decoded, told by the copies, or after the nearest one below that is known.
 */
export type Targets = {
  readonly count: number
  /** Of an address that was marked. */
  numberOf(target: number): number
  /** How many marked addresses lie below. */
  rankOf(address: number): number
  readonly addresses: Uint32Array
}

/** Marks are bits, one for each address of the image: numbering is counting, and no address is sorted or hashed. */
export function numberTargets(bits: Uint32Array, scratch: Scratch): Targets {
  const before = scratch.words('before', bits.length + 1)
  let count = 0
  for (let i = 0; i < bits.length; i++) {
    before[i] = count
    count += bitCount(bits[i] as number)
  }
  before[bits.length] = count
  const addresses = scratch.words('addresses', count)
  let next = 0
  for (let i = 0; i < bits.length; i++) {
    for (let word = bits[i] as number; word !== 0; word &= word - 1) addresses[next++] = i * 32 + 31 - Math.clz32(word & -word)
  }
  const rankOf = (address: number): number => {
    const i = address >>> 5
    return (before[i] as number) + bitCount((bits[i] as number) & ((1 << (address & 31)) - 1))
  }
  return { count, numberOf: rankOf, rankOf, addresses }
}

function bitCount(word: number): number {
  let n = word - ((word >>> 1) & 0x5555_5555)
  n = (n & 0x3333_3333) + ((n >>> 2) & 0x3333_3333)
  return Math.imul((n + (n >>> 4)) & 0x0f0f_0f0f, 0x0101_0101) >>> 24
}

/** A set of numbers below `size` that knows the largest member at most a number. */
export type NumberSet = { add(number: number): void; atMost(number: number): number }

export function numberSet(size: number): NumberSet {
  const levels: Uint32Array[] = []
  for (let words = size; words > 1 || levels.length === 0;) {
    words = Math.ceil(words / 32)
    levels.push(new Uint32Array(Math.max(1, words)))
  }
  return {
    add: (number) => {
      let at = number
      for (const level of levels) {
        const word = level[at >>> 5] as number
        level[at >>> 5] = word | (1 << (at & 31))
        if (word !== 0) return
        at >>>= 5
      }
    },
    atMost: (number) => {
      let at = number
      for (let i = 0; i < levels.length; i++) {
        const level = levels[i] as Uint32Array
        const below = (level[at >>> 5] as number) & (0xffff_ffff >>> (31 - (at & 31)))
        if (below !== 0) {
          at = (at & ~31) | (31 - Math.clz32(below))
          while (i-- > 0) at = (at << 5) | (31 - Math.clz32((levels[i] as Uint32Array)[at] as number))
          return at
        }
        at = (at >>> 5) - 1
        if (at < 0) return -1
      }
      return -1
    },
  }
}
