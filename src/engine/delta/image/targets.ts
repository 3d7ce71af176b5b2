import type { Scratch } from './scratch.ts'

/**
 * The targets of an image, numbered in the order of their addresses. Marks are bits, one for each address: numbering is
 * counting, and no address is sorted or hashed.
 */
export class Targets {
  readonly count: number
  readonly addresses: Uint32Array
  readonly #bits: Uint32Array
  /** How many are marked before each word of bits. */
  readonly #before: Uint32Array

  constructor(bits: Uint32Array, scratch: Scratch) {
    this.#bits = bits
    this.#before = scratch.words('before', bits.length + 1)
    this.count = countBits(bits, this.#before)
    this.addresses = scratch.words('addresses', this.count)
    listBits(bits, this.addresses)
  }

  /** How many marked addresses lie below: the number of one that is marked itself. */
  rankOf(address: number): number {
    const i = address >>> 5
    return (this.#before[i] as number) + bitCount((this.#bits[i] as number) & ((1 << (address & 31)) - 1))
  }
}

function countBits(bits: Uint32Array, before: Uint32Array): number {
  let count = 0
  for (let i = 0; i < bits.length; i++) {
    before[i] = count
    const word = bits[i] as number
    if (word !== 0) count += bitCount(word)
  }
  before[bits.length] = count
  return count
}

function listBits(bits: Uint32Array, list: Uint32Array): void {
  let next = 0
  for (let i = 0; i < bits.length; i++) {
    for (let word = bits[i] as number; word !== 0; word &= word - 1) list[next++] = i * 32 + 31 - Math.clz32(word & -word)
  }
}

function bitCount(word: number): number {
  let n = word - ((word >>> 1) & 0x5555_5555)
  n = (n & 0x3333_3333) + ((n >>> 2) & 0x3333_3333)
  return Math.imul((n + (n >>> 4)) & 0x0f0f_0f0f, 0x0101_0101) >>> 24
}

/** A set of numbers below `size` that knows the largest member at most a number. */
export class NumberSet {
  /** A bit for each number; of the next level for each word of the one before that is not zero. */
  readonly #levels: readonly Uint32Array[]

  constructor(size: number) {
    const levels: Uint32Array[] = []
    for (let words = size; words > 1 || levels.length === 0;) {
      words = Math.ceil(words / 32)
      levels.push(new Uint32Array(Math.max(1, words)))
    }
    this.#levels = levels
  }

  add(number: number): void {
    let at = number
    for (const level of this.#levels) {
      const word = level[at >>> 5] as number
      level[at >>> 5] = word | (1 << (at & 31))
      if (word !== 0) return
      at >>>= 5
    }
  }

  /** -1 where there is none. */
  atMost(number: number): number {
    const levels = this.#levels
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
  }
}
