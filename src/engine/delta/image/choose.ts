import { matcher, plainCosts, usualSearch } from '../match.ts'
import type { Search } from '../match.ts'

/**
 * Which executables of a system are made as images, where a reader has not the time for all. What an image saves is what plain
 * matching pays for addresses that have moved, so those are counted; new code costs the same in both.
 */

export type Candidate = {
  /** Bytes of the new executable: what a reader takes most of its time for. */
  readonly size: number
  /** Both executables, for as long as they are compared. */
  read(): Promise<{ readonly old: Uint8Array; readonly next: Uint8Array }>
}

/** Those that save most for a reader's time, as many as there is room for. */
export async function chooseImages<T extends Candidate>(candidates: readonly T[], room: number): Promise<ReadonlySet<T>> {
  if (candidates.reduce((sum, { size }) => sum + size, 0) <= room) return new Set(candidates)
  const gainOf = gainCounter()
  const rated: { readonly candidate: T; readonly density: number }[] = []
  for (const candidate of candidates) {
    if (candidate.size > room) continue
    const { old, next } = await candidate.read()
    rated.push({ candidate, density: gainOf(old, next) / candidate.size })
  }
  const chosen = new Set<T>()
  let left = room
  for (const { candidate } of rated.sort((a, b) => b.density - a.density)) {
    if (candidate.size > left) continue
    chosen.add(candidate)
    left -= candidate.size
  }
  return chosen
}

/** Enough to tell what is worth more: a fraction of what the usual search takes. */
const roughSearch: Search = { ...usualSearch, candidates: 4, horizon: 32, farHorizon: 256, strideScale: 4 }

/** Of a byte that plain matching finds nowhere, an image finds some that only an address hid: what they save, in changed words. */
const savedPerLiteral = 0.2

/** What an image saves, in words that differ between `next` and the bytes of `old` that it is copied from. */
function gainCounter(): (old: Uint8Array, next: Uint8Array) => number {
  const { match } = matcher(plainCosts, roughSearch)
  return (old, next) => {
    const copies = match(old, next, 0)
    let changes = 0
    let literals = next.length
    for (let i = 0; i < copies.length; i += 3) {
      const [to, from, length] = [copies[i] as number, copies[i + 1] as number, copies[i + 2] as number]
      changes += changesIn(old, from, next, to, length)
      literals -= length
    }
    return changes + savedPerLiteral * literals
  }
}

function changesIn(old: Uint8Array, from: number, next: Uint8Array, to: number, length: number): number {
  let changes = 0
  for (let i = 0; i < length;) {
    if (old[from + i] === next[to + i]) i++
    else {
      changes++
      i += 4
    }
  }
  return changes
}
