import { leastReleased, release } from '../../../base/bytes.ts'
import { BinderyError } from '../../../base/error.ts'
import { mostTokens } from './rules.ts'
import { literal, longestMatch, shortestMatch, windowSize } from './symbols.ts'
import type { Rules } from './rules.ts'

/**
 * The matching of gzip and zlib (J. Gailly, M. Adler: "deflate", after Rabin and Karp's string search with hash chains), choice
 * for choice. doc/spec/gzip-recipe.md says in words what must come out.
 */

export const windowMask = windowSize - 1
/** Matches start no further back, so that the window need not be moved while one is compared. */
export const furthest = windowSize - 262
/** A match of three bytes that is further away costs more than three literals. */
const tooFar = 4096
/** The compressors read on when fewer bytes than these are left to look at. */
export const lookahead = 262
/** Where in its window of 64 KiB a compressor stands when it moves the upper half down. */
export const slideAt = windowSize + furthest

/** Takes the tokens as they are predicted. */
export type Sink = {
  /** Of the block that is being filled. */
  tokens: Int32Array
  count: number
  /** `settle` is called when so many are there. */
  stop: number
  /**
   * The last token was predicted at `at` and would end at `next`. Answers where to go on: at `next`, or, as -1 - position, where
   * the file goes on instead, having put the token right.
   */
  settle(at: number, next: number): number
}

/** Where the prediction stands. */
export type Prediction = {
  readonly rules: Rules
  /** The content, and `margin` bytes behind it. */
  readonly bytes: Uint8Array
  readonly end: number
  /** Hash -> last position with it. 0 stands for none, as in zlib. */
  readonly head: Int32Array
  /** Position modulo the window -> how far back the one before is, as `backTo` has it: the less memory the faster. */
  readonly back: Uint16Array
  at: number
  /** Length and distance of the match found just before `at`, and whether a token for that position is still due. */
  length: number
  distance: number
  due: boolean
  /** No match is looked for at positions behind this. */
  lastSearch: number
  /** Where the compressor learned that its input has ended; none before that. */
  knownAt: number
  /** Steps along chains that may still be made: what keeps hostile recipes short. */
  budget: number
}

export const headSize = 1 << 16

/** Steps for each byte of content, and for any content; real files stay far below. */
const stepsPerByte = 1024
const stepsAtLeast = 1 << 22

/** Serve one content after the other: fresh memory costs more than what is done in it for a small one. */
export type Chains = { readonly head: Int32Array; readonly back: Uint16Array; readonly tokens: Int32Array }

export function newChains(): Chains {
  // When memory is given back for the first time, V8 throws away what it has compiled for arrays: before there is much of it.
  release(new Uint8Array(leastReleased))
  return { head: new Int32Array(headSize), back: new Uint16Array(windowSize), tokens: new Int32Array(mostTokens + 1) }
}

export function newPrediction(rules: Rules, bytes: Uint8Array, end: number, { head, back }: Chains): Prediction {
  head.fill(0, 0, 1 << rules.hashBits)
  const budget = stepsPerByte * end + stepsAtLeast
  return { rules, bytes, end, head, back, at: 0, length: 2, distance: 0, due: false, lastSearch: end, knownAt: Infinity, budget }
}

/** Predicts on until `until` is reached. */
export function predict(p: Prediction, sink: Sink, until: number): void {
  if (p.rules.fast) predictFast(p, sink, until)
  else predictLazy(p, sink, until)
}

/** The file goes on at `next`, where no token was predicted: what lies before counts as seen. */
export function skipTo(p: Prediction, next: number): void {
  if (!p.rules.fast) for (let at = p.at; at < next; at++) insert(p, at)
  p.at = next
}

/** The token that is still due when the end is reached: always a literal. */
export function predictLast(p: Prediction, sink: Sink): void {
  if (!p.due) return
  p.due = false
  sink.tokens[sink.count++] = literal
}

function hashShift(rules: Rules): number {
  return Math.ceil(rules.hashBits / shortestMatch)
}

function insert({ rules, bytes, head, back }: Prediction, at: number): void {
  const shift = hashShift(rules)
  const hash =
    (((bytes[at] as number) << (2 * shift)) ^ ((bytes[at + 1] as number) << shift) ^ (bytes[at + 2] as number)) &
    ((1 << rules.hashBits) - 1)
  back[at & windowMask] = backTo(head[hash] as number, at)
  head[hash] = at
}

/** What is further away than a window is no match, however far. */
function backTo(candidate: number, at: number): number {
  return at - candidate < 0xffff ? at - candidate : 0xffff
}

/** Takes a match only when the next position has no longer one (deflate_slow). */
function predictLazy(p: Prediction, sink: Sink, until: number): void {
  const { rules, bytes, head, back } = p
  const { lazy } = rules
  const shift = hashShift(rules)
  const mask = (1 << rules.hashBits) - 1
  let { at, length, distance, due } = p
  let { tokens, count, stop } = sink
  let hash = ((bytes[at] as number) << shift) ^ (bytes[at + 1] as number)
  while (at < until) {
    const lengthBefore = length
    const distanceBefore = distance
    length = 2
    hash = ((hash << shift) ^ (bytes[at + 2] as number)) & mask
    const candidate = head[hash] as number
    back[at & windowMask] = backTo(candidate, at)
    head[hash] = at
    if (candidate > 0 && lengthBefore < lazy && at - candidate <= furthest && at <= p.lastSearch) {
      const found = longest(p, at, candidate, lengthBefore)
      length = found >>> 16
      distance = found & 0xffff
      if (length === shortestMatch && distance > tooFar) length = 2
    }
    let token = literal
    let next = at
    if (lengthBefore >= shortestMatch && length <= lengthBefore) {
      token = (lengthBefore << 16) | distanceBefore
      next = at - 1 + lengthBefore
    } else if (!due) {
      due = true
      at++
      continue
    }
    tokens[count++] = token
    let changed = false
    if (count === stop) {
      sink.count = count
      const settled = sink.settle(at - 1, next)
      ;({ tokens, count, stop } = sink)
      changed = settled < 0
      if (changed) next = -1 - settled
    }
    if (token === literal && !changed) {
      at++
      continue
    }
    if (next === at) {
      // The file has a literal before `at`: what was found there is forgotten, and looked for afresh.
      head[hash] = at - (back[at & windowMask] as number)
      hash = ((bytes[at] as number) << shift) ^ (bytes[at + 1] as number)
    } else {
      for (at++; at < next; at++) {
        hash = ((hash << shift) ^ (bytes[at + 2] as number)) & mask
        back[at & windowMask] = backTo(head[hash] as number, at)
        head[hash] = at
      }
    }
    length = 2
    due = false
  }
  p.at = at
  p.length = length
  p.distance = distance
  p.due = due
  sink.count = count
}

/** Takes every match (deflate_fast). */
function predictFast(p: Prediction, sink: Sink, until: number): void {
  const { rules, bytes, head, back } = p
  const { lazy } = rules
  const shift = hashShift(rules)
  const mask = (1 << rules.hashBits) - 1
  let { at } = p
  let { tokens, count, stop } = sink
  let hash = ((bytes[at] as number) << shift) ^ (bytes[at + 1] as number)
  while (at < until) {
    hash = ((hash << shift) ^ (bytes[at + 2] as number)) & mask
    const candidate = head[hash] as number
    back[at & windowMask] = backTo(candidate, at)
    head[hash] = at
    let token = literal
    if (candidate > 0 && at - candidate <= furthest && at <= p.lastSearch) {
      const found = longest(p, at, candidate, 2)
      if (found >>> 16 >= shortestMatch) token = found
    }
    let next = at + (token >>> 16)
    tokens[count++] = token
    if (count === stop) {
      sink.count = count
      const settled = sink.settle(at, next)
      ;({ tokens, count, stop } = sink)
      next = settled < 0 ? -1 - settled : settled
    }
    if (next - at <= lazy) {
      for (at++; at < next; at++) {
        hash = ((hash << shift) ^ (bytes[at + 2] as number)) & mask
        back[at & windowMask] = backTo(head[hash] as number, at)
        head[hash] = at
      }
    } else {
      at = next
      hash = ((bytes[at] as number) << shift) ^ (bytes[at + 1] as number)
    }
  }
  p.at = at
  sink.count = count
}

/** The nearest of the longest matches over `best` bytes among the candidates, as a token; length 2 where there is none. */
function longest(p: Prediction, at: number, first: number, best: number): number {
  const { bytes, back, rules } = p
  const left = p.end - at
  const nice = rules.gnu || rules.nice < left ? rules.nice : left
  const most = best >= rules.good ? rules.chain >> 2 : rules.chain
  const limit = at > furthest ? at - furthest : 0
  const byte0 = bytes[at] as number
  const byte1 = bytes[at + 1] as number
  let end1 = bytes[at + best] as number
  let end0 = bytes[at + best - 1] as number
  let found = 0
  let candidate = first
  let steps = most
  let compared = 0
  do {
    if (
      bytes[candidate + best] === end1 &&
      bytes[candidate + best - 1] === end0 &&
      bytes[candidate] === byte0 &&
      bytes[candidate + 1] === byte1
    ) {
      let length = 2
      while (length < longestMatch && bytes[candidate + length] === bytes[at + length]) length++
      compared += length
      if (length > best) {
        found = candidate
        best = length
        if (length >= nice) break
        end1 = bytes[at + best] as number
        end0 = bytes[at + best - 1] as number
      }
    }
    candidate -= back[candidate & windowMask] as number
  } while (candidate > limit && --steps !== 0)
  spend(p, most - steps + (compared >> 3))
  return found === 0 ? 0x2_0000 : ((best < left ? best : left) << 16) | (at - found)
}

/** Hostile recipes and contents end here. */
export function spend(p: Prediction, steps: number): void {
  p.budget -= steps
  if (p.budget < 0) throw new BinderyError('over-limit', 'the content would take too long to compress')
}
