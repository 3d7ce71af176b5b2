import { Mixer } from './models.ts'
import type { BitSource } from './models.ts'

type Match = { readonly file: Uint8Array; readonly place: number; readonly length: number }
const none: Match = { file: new Uint8Array(0), place: 0, length: 0 }

/** Bytes of an image that are no copy. */
export class LiteralModels {
  readonly #mixer = new Mixer(256, 2 ** 17, 2 ** 18, 2 ** 18, 2 ** 18, 2 ** 17, 512 * 33)
  #places = new Map<number, Omit<Match, 'length'>>()
  #match: Match = none
  #before = -1

  begin(old: Uint8Array, literals: number): void {
    this.#places = new Map()
    this.#match = none
    this.#before = -1
    if (1024 * literals < old.length) return
    for (let place = 5; place < old.length; place++) this.#places.set(slotOf(old, place), { file: old, place })
  }

  /** `alike`: the byte of old at the same place behind the last copy. */
  decode(source: BitSource, next: Uint8Array, at: number, alike: number): void {
    this.#follow(next, at)
    const expected = this.#match.length > 0 ? (this.#match.file[this.#match.place] as number) : 0
    const { length } = this.#match
    const last = at < 4 ? 0 : wordBefore(next, at)
    const contexts = [(last & 0xffff) + 1, (last & 0xff_ffff) + 0x100_0000, last ^ 0x5bd1_e995]
    let node = 1
    let half = 1
    let lines: readonly number[] = []
    for (let i = 7; i >= 0; i--) {
      if (i === 7 || i === 3) lines = contexts.map((context) => lineOf(context, node))
      if (i === 3) half = 1
      const fits = length > 0 && (expected | 256) >> (i + 1) === node
      const bit = this.#mixer.bit(
        source,
        [
          node,
          512 * (last & 255) + node,
          ...lines.map((line) => line + half),
          512 * alike + node,
          fits ? 512 * length + 1 + ((expected >> i) & 1) : 0,
        ],
        8 * (fits ? 1 + [8, 16, 32].filter((least) => length >= least).length : 0) + i,
      )
      node = 2 * node + bit
      half = 2 * half + bit
    }
    next[at] = node
  }

  #follow(next: Uint8Array, at: number): void {
    const { file, place, length } = this.#match
    const goesOn = length > 0 && at === this.#before + 1 && file[place] === next[at - 1]
    this.#match = goesOn ? { file, place: place + 1, length: Math.min(32, length + 1) } : none
    this.#before = at
    if (at < 5) return
    const slot = slotOf(next, at)
    const found = this.#places.get(slot)
    if (!goesOn && found) this.#match = { ...found, length: alikeBefore(found.file, found.place, next, at) }
    this.#places.set(slot, { file: next, place: at })
    if (this.#match.length < 5 && !goesOn) this.#match = none
    if (this.#match.place >= this.#match.file.length) this.#match = none
  }
}

function alikeBefore(a: Uint8Array, at: number, b: Uint8Array, to: number): number {
  let length = 0
  while (length < Math.min(32, at, to) && a[at - 1 - length] === b[to - 1 - length]) length++
  return length
}

/** The nearest byte lowest. */
function wordBefore(bytes: Uint8Array, at: number): number {
  const [a, b, c, d] = bytes.subarray(at - 4, at) as unknown as [number, number, number, number]
  return (d | (c << 8) | (b << 16) | (a << 24)) >>> 0
}

function slotOf(bytes: Uint8Array, at: number): number {
  return Math.imul(wordBefore(bytes, at) ^ Math.imul(bytes[at - 5] as number, 0x85eb_ca6b), 0x9e37_79b1) >>> 14
}

function lineOf(context: number, node: number): number {
  const mixed = Math.imul(context ^ Math.imul(node, 0x9e37_79b1), 0x85eb_ca6b)
  return (Math.imul(mixed ^ (mixed >>> 15), 0x2c1b_3c6d) >>> 18) * 16
}
