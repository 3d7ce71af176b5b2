import { numberSet, numberTargets } from './targets.ts'
import type { ElfLayout } from '../../../format/elf.ts'
import type { Copies } from './copies.ts'
import type { Image } from './image.ts'

/** Where a guess comes from, and how good it is as a rule. */
export const sources = { none: 0, copy: 1, learned: 2 } as const

/**
 * For each target of the old image where it is in the new one: what was learned from the last reference to it, else where
 * the copies put it, else what the nearest known one below suggests.
 */
export type Guesses = {
  numberOf(target: number): number
  guess(number: number): number
  sourceOf(number: number): number
  learn(number: number, target: number): void
}

type Addressed = Pick<ElfLayout, 'segments'>

export function guessTargets(old: Image, next: Addressed, copies: Copies): Guesses {
  const targets = numberTargets(old.targets, old.scratch)
  const { count, addresses, numberOf } = targets
  const places = old.scratch.words('places', count)
  const source = old.scratch.bytes('source', count)
  const known = numberSet(count)
  for (const { start, end, shift } of shiftsOf(old.layout, next, copies)) {
    for (let i = targets.rankOf(start), last = targets.rankOf(end); i < last; i++) {
      places[i] = (addresses[i] as number) + shift
      source[i] = sources.copy
    }
  }
  for (let i = 0; i < count; i++) if (source[i] !== 0) known.add(i)
  return {
    numberOf,
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

type Shift = { readonly start: number; readonly end: number; readonly shift: number }

/** What copies say of addresses, the longest last: where copies overlap in old, the longest is believed. */
function shiftsOf(old: Addressed, next: Addressed, copies: Copies): readonly Shift[] {
  const shifts: Shift[] = []
  for (let i = 0; i < copies.length; i += 3) {
    const [to, from, length] = [copies[i] as number, copies[i + 1] as number, copies[i + 2] as number]
    for (const segment of old.segments) {
      const start = Math.max(from, segment.offset)
      const end = Math.min(from + length, segment.offset + segment.fileSize)
      if (start >= end) continue
      for (const target of next.segments) {
        const first = Math.max(start + to - from, target.offset)
        const last = Math.min(end + to - from, target.offset + target.fileSize)
        if (first >= last) continue
        const at = first - to + from - segment.offset + segment.address
        shifts.push({ start: at, end: at + last - first, shift: first - target.offset + target.address - at })
      }
    }
  }
  return shifts.sort((a, b) => a.end - a.start - (b.end - b.start))
}
