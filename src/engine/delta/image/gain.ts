import { matcher, plainCosts, usualSearch } from '../match.ts'
import type { Search } from '../match.ts'
import type { SeedIndexer } from '../seed-index.ts'

/** Enough to tell what is worth more: a fraction of what the usual search takes. */
const roughSearch: Search = { ...usualSearch, candidates: 4, horizon: 32, farHorizon: 256, strideScale: 4 }

/** Of bytes that plain matching finds nowhere, an image finds some that only an address hid: what one saves, in changed words. */
const savedPerLiteral = 0.2

/** What an image saves: it is what plain matching pays for addresses that moved, so the words are counted that differ from what they are copied from. */
export type GainOf = (old: Uint8Array, next: Uint8Array) => number

export function gainCounter(indexer: SeedIndexer): GainOf {
  const { match } = matcher(plainCosts, roughSearch, indexer)
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
