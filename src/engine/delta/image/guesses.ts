import { NumberSet } from './targets.ts'
import type { ElfLayout } from '../../../format/elf.ts'
import type { Copies } from './copies.ts'
import type { Image } from './image.ts'

/** Where a guess comes from, and how good it is as a rule. */
export const sources = { none: 0, copy: 1, learned: 2 } as const

type Addressed = Pick<ElfLayout, 'segments'>

/**
 * For each target of the old image where it is in the new one: what was learned from the last reference to it, else where
 * the copies put it, else what the nearest known one below suggests. All by the number of a target.
 */
export class Guesses {
  readonly #addresses: Uint32Array
  readonly #places: Uint32Array
  readonly #source: Uint8Array
  readonly #known: NumberSet

  constructor(old: Image, next: Addressed, copies: Copies) {
    const { count, addresses } = old.numbered
    this.#addresses = addresses
    this.#places = old.scratch.words('places', count)
    this.#source = old.scratch.bytes('source', count).fill(sources.none)
    this.#known = new NumberSet(count)
    forEachShift(old.layout, next, copies, (start, end, shift) =>
      this.#believe(old.numbered.rankOf(start), old.numbered.rankOf(end), shift),
    )
    for (let i = 0; i < count; i++) if (this.#source[i] !== sources.none) this.#known.add(i)
  }

  #believe(first: number, behind: number, shift: number): void {
    const [places, addresses] = [this.#places, this.#addresses]
    for (let i = first; i < behind; i++) places[i] = (addresses[i] as number) + shift
    this.#source.fill(sources.copy, first, behind)
  }

  sourceOf(number: number): number {
    return this.#source[number] as number
  }

  guess(number: number): number {
    return this.#source[number] === sources.none ? this.#afterNearest(number) : (this.#places[number] as number)
  }

  #afterNearest(number: number): number {
    const near = this.#known.atMost(number)
    const address = this.#addresses[number] as number
    return near < 0 ? address : address + (this.#places[near] as number) - (this.#addresses[near] as number)
  }

  learn(number: number, target: number): void {
    this.#places[number] = target
    if (this.#source[number] === sources.none) this.#known.add(number)
    this.#source[number] = sources.learned
  }
}

type Shifted = (start: number, end: number, shift: number) => void

/** What copies say of addresses, the longest last: where copies overlap in old, the longest is believed. */
function forEachShift(old: Addressed, next: Addressed, copies: Copies, use: Shifted): void {
  const lengthOf = (copy: number): number => copies[3 * copy + 2] as number
  const byLength = Uint32Array.from({ length: copies.length / 3 }, (_, copy) => copy).sort((a, b) => lengthOf(a) - lengthOf(b) || a - b)
  for (const copy of byLength) shiftsOf(old, next, copies.subarray(3 * copy, 3 * copy + 3), use)
}

/** Of one copy: wherever it is in a segment on both sides. */
function shiftsOf(old: Addressed, next: Addressed, copy: Copies, use: Shifted): void {
  const [to, from, length] = copy as unknown as readonly [number, number, number]
  for (const segment of old.segments) {
    const start = Math.max(from, segment.offset)
    const end = Math.min(from + length, segment.offset + segment.fileSize)
    if (start >= end) continue
    for (const target of next.segments) {
      const first = Math.max(start + to - from, target.offset)
      const last = Math.min(end + to - from, target.offset + target.fileSize)
      if (first >= last) continue
      const at = first - to + from - segment.offset + segment.address
      use(at, at + last - first, first - target.offset + target.address - at)
    }
  }
}
