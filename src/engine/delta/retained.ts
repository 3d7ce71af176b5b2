import type { Range } from '../../format/delta.ts'
import type { Held } from './held.ts'

/** Old bytes that stay at hand: parts of a moved file, which the window has left when they are needed. */
export type Retained = {
  /** Takes what it must keep of the old bytes [start, end), which are in the ring at their position modulo its size. */
  keep(ring: Uint8Array, start: number, end: number): void
  /** The range that holds all of [start, end). */
  find(start: number, end: number): Held | undefined
}

export function retainedBytes(ranges: readonly Range[]): Retained {
  const kept: Held[] = []
  let next = 0
  return {
    keep: (ring, start, end) => {
      for (let i = next; i < ranges.length; i++) {
        const range = ranges[i] as Range
        if (range.start >= end) return
        const held = (kept[i] ??= { start: range.start, bytes: new Uint8Array(range.end - range.start) })
        fromRing(ring, Math.max(start, range.start), Math.min(end, range.end), held)
        if (range.end <= end) next = i + 1
      }
    },
    find: (start, end) => kept.find((range) => start >= range.start && end <= range.start + range.bytes.length),
  }
}

function fromRing(ring: Uint8Array, start: number, end: number, { start: origin, bytes }: Held): void {
  for (let at = start; at < end;) {
    const slot = at % ring.length
    const part = ring.subarray(slot, Math.min(slot + end - at, ring.length))
    bytes.set(part, at - origin)
    at += part.length
  }
}
