import { heaviestAscending } from './order.ts'
import type { Range } from '../../format/delta.ts'
import type { SourceView } from './source-view.ts'

/** The same bytes in both sides, found by what they are and not by where they are. */
export type Anchor = { readonly old: number; readonly next: number }

/** One position in so many is an anchor; fewer of a huge file, so that the table stays small. */
const usualSpacing = 4096
const mostAnchors = 1 << 17
const readSize = 1 << 20

/**
 * Finds how two large files lie against each other: content-defined positions (the gear hash of W. Xia et al., "Ddelta",
 * 2014) that occur once in old and in new, and of these the longest chain that ascends in both.
 */
export async function findAnchors(old: SourceView, oldRange: Range, next: SourceView, nextRange: Range): Promise<readonly Anchor[]> {
  const bits = Math.max(Math.log2(usualSpacing), Math.ceil(Math.log2((oldRange.end - oldRange.start) / mostAnchors)))
  const places = new Map<number, number>()
  const positions: number[] = []
  for await (const { key, at } of anchorsOf(old, oldRange, bits)) {
    // A key seen twice says nothing about where it is.
    places.set(key, places.has(key) ? -1 : positions.length)
    positions.push(at)
  }
  const found: { place: number; weight: number; next: number }[] = []
  for await (const { key, at } of anchorsOf(next, nextRange, bits)) {
    const place = places.get(key)
    if (place !== undefined && place >= 0) found.push({ place, weight: 1, next: at })
  }
  const chosen = heaviestAscending(found, positions.length)
  return found.filter((_, i) => chosen.has(i)).map(({ place, next: at }) => ({ old: positions[place] as number, next: at }))
}

type Found = { readonly key: number; readonly at: number }

async function* anchorsOf(source: SourceView, { start, end }: Range, bits: number): AsyncGenerator<Found> {
  const gear: Gear = { choice: 0, key: 0 }
  for (let at = start; at < end;) {
    const bytes = await source.read(at, Math.min(end, at + readSize))
    yield* anchorsIn(bytes, at, bits, gear)
    at += bytes.length
  }
}

/** Two rolling hashes over the last 32 bytes: one chooses positions, the other names them. */
type Gear = { choice: number; key: number }

function anchorsIn(bytes: Uint8Array, start: number, bits: number, gear: Gear): readonly Found[] {
  const found: Found[] = []
  const shift = 32 - bits
  let { choice, key } = gear
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i] as number
    choice = ((choice << 1) + (choiceOf[byte] as number)) | 0
    key = ((key << 1) + (keyOf[byte] as number)) | 0
    if (choice >>> shift === 0) found.push({ key, at: start + i })
  }
  gear.choice = choice
  gear.key = key
  return found
}

/** Two tables of random numbers that are the same in every run (xorshift32, G. Marsaglia, 2003). */
const [choiceOf, keyOf] = [randomTable(0x9e37_79b9), randomTable(0x85eb_ca6b)]

function randomTable(seed: number): Int32Array {
  let state = seed | 0
  return Int32Array.from({ length: 256 }, () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return state
  })
}
