import { newMixer } from './mixer.ts'
import type { Mixer } from './mixer.ts'
import type { BinaryCoder } from './range-coder.ts'

/**
 * Bytes of an executable that no copy gives, one after the other: each bit from what followed the same one to four bytes
 * before, from the byte of the old file that would be here had the copy gone on, and from what followed the last place that
 * begins alike, in the old file or among the literals before (M. Mahoney, "Data Compression Explained", 4.3).
 */
export type LiteralModel = {
  /** Codes `next[at]`, or fills it in. `alike`: the byte of old that stands where it would be. */
  code(coder: BinaryCoder, next: Uint8Array, at: number, alike: number): void
  /** What goes on from image to image. */
  readonly learned: Mixer['learned']
  /** Before the first of `literals` bytes of an image made from `old`. */
  begin(old: Uint8Array, literals: number): void
}

const hashBits = 18
const placeBits = 18
const leastMatch = 5
const longestMatch = 32
/** One literal in so many old bytes makes their index worth its time. */
const oldPerLiteral = 1024

export function literalModel(): LiteralModel {
  const hashed = 1 << hashBits
  const mixer = newMixer([512, 256 * 512, hashed, hashed, hashed, 256 * 512, (longestMatch + 1) << 9], 8 * 8)
  const [order0, order1, order2, order3, order4, beside, matched] = mixer.starts as [number, number, number, number, number, number, number]
  const slots = new Int32Array(mixer.starts.length)
  const match = matchFinder()
  return {
    learned: mixer.learned,
    begin: match.begin,
    code: (coder, next, at, alike) => {
      match.look(next, at)
      const { expected, length } = match
      const last =
        at >= 4
          ? (next[at - 1] as number) | ((next[at - 2] as number) << 8) | ((next[at - 3] as number) << 16) | ((next[at - 4] as number) << 24)
          : 0
      const lengthClass = length === 0 ? 0 : length < 8 ? 1 : length < 16 ? 2 : length < 32 ? 3 : 4
      const byte = next[at] as number
      let node = 1
      let [line2, line3, line4] = [0, 0, 0]
      for (let i = 7; i >= 0; i--) {
        // The models of half a byte lie beside each other: one look into memory for four bits.
        if (i === 7 || i === 3) {
          line2 = order2 + lineOf((last & 0xffff) + 1, node)
          line3 = order3 + lineOf((last & 0xff_ffff) + 0x100_0000, node)
          line4 = order4 + lineOf(last ^ 0x5bd1_e995, node)
        }
        const inHalf = i > 3 ? node : (node & ((1 << (3 - i)) - 1)) | (1 << (3 - i))
        slots[0] = order0 + node
        slots[1] = order1 + (((last & 255) << 9) | node)
        slots[2] = line2 + inHalf
        slots[3] = line3 + inHalf
        slots[4] = line4 + inHalf
        slots[5] = beside + ((alike << 9) | node)
        const fits = length > 0 && (expected | 256) >> (i + 1) === node
        slots[6] = matched + (fits ? (length << 9) | (((expected >> i) & 1) + 1) : 0)
        node = (node << 1) | mixer.code(coder, slots, (fits ? lengthClass : 0) * 8 + i, (byte >> i) & 1)
      }
      next[at] = node & 255
    },
  }
}

function lineOf(context: number, node: number): number {
  const mixed = Math.imul(context ^ Math.imul(node, 0x9e37_79b1), 0x85eb_ca6b)
  return (Math.imul(mixed ^ (mixed >>> 15), 0x2c1b_3c6d) >>> (36 - hashBits)) << 4
}

type MatchFinder = {
  readonly expected: number
  /** Bytes alike before it; 0 where nothing is expected. */
  readonly length: number
  begin(old: Uint8Array, literals: number): void
  look(next: Uint8Array, at: number): void
}

/** Where the last five bytes stood before: a place in old, or in new as a negative number. */
function matchFinder(): MatchFinder {
  const index = new Int32Array(1 << placeBits)
  let old: Uint8Array = new Uint8Array(0)
  let from: Uint8Array = old
  let place = 0
  let before = -1
  const finder = {
    expected: 0,
    length: 0,
    begin: (bytes: Uint8Array, literals: number): void => {
      finder.length = 0
      before = -1
      old = bytes
      index.fill(0)
      if (literals * oldPerLiteral < bytes.length) return
      for (let at = leastMatch; at < bytes.length; at++) index[slotOf(bytes, at)] = at
    },
    look: (next: Uint8Array, at: number): void => {
      if (finder.length > 0 && at === before + 1 && from[place] === next[at - 1]) {
        place++
        if (finder.length < longestMatch) finder.length++
      } else finder.length = 0
      before = at
      if (at < leastMatch) return
      const slot = slotOf(next, at)
      if (finder.length === 0) find(next, at, index[slot] as number)
      index[slot] = -at
      if (place >= from.length) finder.length = 0
      if (finder.length > 0) finder.expected = from[place] as number
    },
  }
  const find = (next: Uint8Array, at: number, found: number): void => {
    if (found === 0) return
    from = found > 0 ? old : next
    place = Math.abs(found)
    let length = 0
    while (length < longestMatch && length < place && length < at && from[place - 1 - length] === next[at - 1 - length]) length++
    finder.length = length >= leastMatch ? length : 0
  }
  return finder
}

function slotOf(bytes: Uint8Array, at: number): number {
  const last =
    (bytes[at - 1] as number) | ((bytes[at - 2] as number) << 8) | ((bytes[at - 3] as number) << 16) | ((bytes[at - 4] as number) << 24)
  return Math.imul(last ^ Math.imul(bytes[at - 5] as number, 0x85eb_ca6b), 0x9e37_79b1) >>> (32 - placeBits)
}
