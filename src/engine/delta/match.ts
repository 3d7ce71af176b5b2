import { seedHash, seedIndexer, seedSize } from './seed-index.ts'
import type { SeedIndex, SeedIndexer } from './seed-index.ts'

/**
 * Finds how new bytes were made from old ones: copies, of which some bytes may differ, and what is between them. The
 * frame is that of C. Percival, "Matching with Mismatches and Assorted Applications" (2006): stay on an alignment while
 * it does well, look for another one where it fails, and stretch both towards each other. Candidates come from hashed
 * seeds instead of a suffix array, runs of equal bytes are skipped without a search, and every comparison of candidates
 * and every stretch is bounded: the time is linear whatever the bytes.
 */
export type Matcher = {
  /** Triples (start in next, start in old, length), ascending and disjoint in next. `start`: the old byte to begin with. */
  match(old: Uint8Array, next: Uint8Array, start: number): readonly number[]
}

/** An equal run of this length is simply taken. */
const plainRun = 8
/** So is one changed word between equal bytes when this many follow it. */
const isolatedRun = 12
/** When so many changed words were simply taken within so many bytes, the alignment is doubted. */
const doubtAfter = 4
const doubtWithin = 512
/** How far a new alignment reaches back over what older ones claim: some bytes, and so many for each since the last switch. */
const backBytes = 512
const backPerByte = 4

/** How hard is searched. */
export type Search = {
  /** How far alignments are compared, in bytes, and how far where the one in hand is doubted. */
  readonly horizon: number
  readonly farHorizon: number
  /** Most candidates looked at, those nearest to the current alignment. */
  readonly candidates: number
  /** Of the distances between seeds: a power of two. */
  readonly strideScale: number
}

export const usualSearch: Search = { horizon: 64, farHorizon: 768, candidates: 16, strideScale: 1 }

/** What a switch must save, in changed words: about what a run's three numbers cost, and more where it goes far. */
export type SwitchCosts = { readonly near: number; readonly far: number }

const nearBy = 4096
export const plainCosts: SwitchCosts = { near: 6, far: 6 }
/** References are masked, so what is alike looks alike; and literals have a model that knows the old file. */
export const imageCosts: SwitchCosts = { near: 3, far: 12 }

/** Costs of a changed word: a small difference, a large one; and of four bytes that no old byte helps with. */
const smallChange = 1
const largeChange = 1.5
const noMatch = 2.5

/** `indexer`: matchers that take turns may share one. */
export function matcher(costs: SwitchCosts = plainCosts, search: Search = usualSearch, indexer: SeedIndexer = seedIndexer()): Matcher {
  return { match: (old, next, start) => matchBytes(old, next, start, indexer, costs, search) }
}

function matchBytes(
  old: Uint8Array,
  next: Uint8Array,
  start: number,
  indexer: SeedIndexer,
  costs: SwitchCosts,
  { horizon, farHorizon, candidates, strideScale }: Search,
): readonly number[] {
  const oldSize = old.length
  const nextSize = next.length
  const oldView = new DataView(old.buffer, old.byteOffset, oldSize)
  const nextView = new DataView(next.buffer, next.byteOffset, nextSize)
  const copies: number[] = []
  /** Built at the first search: many files need none. */
  let index: SeedIndex | undefined

  /** Length of the equal run of old[p…] and next[s…]. */
  const equalRun = (p: number, s: number): number => {
    if (p < 0) return 0
    const end = Math.min(nextSize, s + oldSize - p)
    let at = s
    while (at < end && old[p] === next[at]) {
      p++
      at++
    }
    return at - s
  }

  /** What coding next[s…end) on the alignment that begins at old[p] costs, in changed words; stops at `limit`. */
  const costOf = (p: number, s: number, end: number, limit: number): number => {
    if (p < 0) return limit
    let cost = 0
    while (s < end && cost < limit) {
      if (p >= oldSize) return Math.min(limit, cost + ((end - s) / 4) * noMatch)
      if (old[p] === next[s]) {
        p++
        s++
      } else if (p + 4 > oldSize || s + 4 > nextSize) {
        cost += smallChange
        p++
        s++
      } else {
        const change = (nextView.getInt32(s, true) - oldView.getInt32(p, true)) | 0
        cost += change < 0x8000 && change >= -0x8000 ? smallChange : largeChange
        p += 4
        s += 4
      }
    }
    return cost
  }

  /** The old position whose alignment is better than the current one's by more than a switch costs, or -1. */
  const betterThan = (current: number, s: number, far: number): number => {
    const { bits, starts, positions } = (index ??= indexer.index(old, strideScale))
    const low = nextView.getInt32(s, true)
    const high = nextView.getInt32(s + 4, true)
    const hash = seedHash(low, high, bits)
    let first = starts[hash] as number
    let last = starts[hash + 1] as number
    if (first === last) return -1
    if (last - first > candidates) {
      const near = lowerBound(positions, first, last, current) - (candidates >> 1)
      first = Math.max(first, Math.min(near, last - candidates))
      last = first + candidates
    }
    const end = Math.min(nextSize, s + far)
    let best = costOf(current, s, end, ((end - s) / 4) * noMatch)
    let found = -1
    for (let i = first; i < last; i++) {
      const p = positions[i] as number
      if (p === current || oldView.getInt32(p, true) !== low || oldView.getInt32(p + 4, true) !== high) continue
      const switching = Math.abs(p - current) > nearBy ? costs.far : costs.near
      const cost = costOf(p, s, end, best - switching) + switching
      if (cost < best) {
        best = cost
        found = p
      }
    }
    return found
  }

  /** Where the copy in hand began, and the alignment (old minus next) that it is on. */
  let copyNext = 0
  let copyOld = start
  let shift = start
  /** Where the last switch was. */
  let switched = 0

  /** Ends the copy in hand somewhere before next[s], where a copy of old[p] begins: it may reach back as well. */
  const switchTo = (p: number, s: number): void => {
    let length = forwardReach(old, next, copyOld, copyNext, s)
    // Periodic bytes are alike on every alignment: without this bound each switch would go back to where all of them began.
    const first = Math.max(copyNext, s - backBytes - backPerByte * (s - switched))
    let back = backwardReach(old, next, p, s, first)
    const overlap = copyNext + length - (s - back)
    if (overlap > 0) {
      const kept = bestSplit(old, next, copyOld + length - overlap, p - back, s - back, overlap)
      length += kept - overlap
      back -= kept
    }
    if (length > 0) copies.push(copyNext, copyOld, length)
    copyNext = s - back
    copyOld = p - back
    shift = p - s
    switched = s
  }

  let s = 0
  /** Changed words taken since the doubt was last settled, and where the first of them was. */
  let taken = 0
  let takenSince = 0
  let afterRun = false
  while (s + seedSize <= nextSize) {
    const run = equalRun(s + shift, s)
    if (run >= plainRun) {
      afterRun = true
      s += run
      continue
    }
    const behindChange = s + run + 4
    const after = equalRun(behindChange + shift, behindChange)
    const isIsolated = after >= isolatedRun
    if (s - takenSince > doubtWithin) {
      taken = 0
      takenSince = s
    }
    if (isIsolated || afterRun) taken++
    afterRun = false
    const isDoubtful = taken >= doubtAfter
    if (isIsolated && !isDoubtful) {
      s = behindChange + after
      continue
    }
    if (isDoubtful) taken = 0
    const p = betterThan(s + shift, s, isDoubtful ? farHorizon : horizon)
    if (p < 0) {
      s = isIsolated ? behindChange + after : s + 1
      continue
    }
    taken = 0
    switchTo(p, s)
    s += equalRun(p, s)
  }
  const length = forwardReach(old, next, copyOld, copyNext, nextSize)
  if (length > 0) copies.push(copyNext, copyOld, length)
  return copies
}

function lowerBound(positions: Int32Array, first: number, last: number, value: number): number {
  while (first < last) {
    const middle = (first + last) >> 1
    if ((positions[middle] as number) < value) first = middle + 1
    else last = middle
  }
  return first
}

/** How long a copy from old[p] to next[s…end) should be: where most of its bytes are equal, at its best. */
function forwardReach(old: Uint8Array, next: Uint8Array, p: number, s: number, end: number): number {
  const most = Math.min(end - s, old.length - p)
  let score = 0
  let best = 0
  let length = 0
  for (let i = 0; i < most;) {
    score += old[p + i] === next[s + i] ? 1 : -1
    i++
    if (score > best) {
      best = score
      length = i
    }
  }
  return length
}

/** The same, backwards from before next[s] down to next[first]. */
function backwardReach(old: Uint8Array, next: Uint8Array, p: number, s: number, first: number): number {
  const most = Math.min(s - first, p)
  let score = 0
  let best = 0
  let length = 0
  for (let i = 1; i <= most; i++) {
    score += old[p - i] === next[s - i] ? 1 : -1
    if (score > best) {
      best = score
      length = i
    }
  }
  return length
}

/** Two copies claim next[s…s + overlap), from old[p…] and old[q…]: how many bytes of it the first one keeps. */
function bestSplit(old: Uint8Array, next: Uint8Array, p: number, q: number, s: number, overlap: number): number {
  let score = 0
  let best = 0
  let kept = 0
  for (let i = 0; i < overlap; i++) {
    if (old[p + i] === next[s + i]) score++
    if (old[q + i] === next[s + i]) score--
    if (score > best) {
      best = score
      kept = i + 1
    }
  }
  return kept
}
