import { numberSet } from './targets.ts'
import type { ElfLayout } from '../../../format/elf.ts'
import type { Copies } from './copies.ts'
import type { Image } from './image.ts'

/** Where a guess comes from, and how good it is as a rule. */
export const sources = { none: 0, copy: 1, learned: 2 } as const

/**
 * For each target of the old image where it is in the new one: what was learned from the last reference to it, else where
 * the copies put it, else what the nearest known one below suggests. All by the number of a target.
 */
export type Guesses = {
  guess(number: number): number
  sourceOf(number: number): number
  learn(number: number, target: number): void
}

type Addressed = Pick<ElfLayout, 'segments'>

export function guessTargets(old: Image, next: Addressed, copies: Copies): Guesses {
  const { count, addresses, rankOf } = old.numbered
  const places = old.scratch.words('places', count)
  const source = old.scratch.bytes('source', count).fill(0)
  const known = numberSet(count)
  forEachShift(old.layout, next, copies, (start, end, shift) => {
    for (let i = rankOf(start), last = rankOf(end); i < last; i++) {
      places[i] = (addresses[i] as number) + shift
      source[i] = sources.copy
    }
  })
  for (let i = 0; i < count; i++) if (source[i] !== 0) known.add(i)
  return {
    sourceOf: (number) => source[number] as number,
    guess: (number) => {
      if (source[number] !== 0) return places[number] as number
      const near = known.atMost(number)
      const address = addresses[number] as number
      return near < 0 ? address : address + (places[near] as number) - (addresses[near] as number)
    },
    learn: (number, target) => {
      places[number] = target
      if (source[number] === 0) known.add(number)
      source[number] = sources.learned
    },
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
