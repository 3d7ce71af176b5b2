import { equalBytes } from '../../../base/bytes.ts'
import { learnWords, sameButWords } from './words.ts'
import type { StampWord } from './words.ts'

export type StampedLine = {
  /** From 1. */
  readonly line: number
  readonly words: readonly StampWord[]
}

/** So many lines, or this part of all, may be stamps: beyond that a file is not stamped but made by chance. */
const usualLines = 64
const mostPart = 1 / 8
/** In the largest file. */
const mostLines = 1 << 16

/** Undefined where the two differ in the number of their lines, or in more than words. */
export function learnStampedLines(a: Uint8Array, b: Uint8Array): readonly StampedLine[] | undefined {
  const stamped: StampedLine[] = []
  let line = 0
  for (const [first, second] of linePairs(a, b)) {
    line++
    if (first === undefined || second === undefined) return undefined
    if (equalBytes(first, second)) continue
    const words = learnWords(first, second)
    if (words === undefined || stamped.length === mostLines) return undefined
    stamped.push({ line, words })
  }
  return stamped.length <= Math.max(usualLines, line * mostPart) ? stamped : undefined
}

export function sameButLines(a: Uint8Array, b: Uint8Array, stamped: readonly StampedLine[]): boolean {
  const words = new Map(stamped.map(({ line, words }) => [line, words]))
  let line = 0
  for (const [first, second] of linePairs(a, b)) {
    line++
    if (first === undefined || second === undefined) return false
    const stamps = words.get(line)
    if (!equalBytes(first, second) && (stamps === undefined || !sameButWords(first, second, stamps))) return false
  }
  return true
}

type LinePair = readonly [Uint8Array | undefined, Uint8Array | undefined]

/** Up to where the shorter one ends; then once more, undefined for it. */
function* linePairs(a: Uint8Array, b: Uint8Array): Generator<LinePair> {
  const [first, second] = [linesOf(a), linesOf(b)]
  for (;;) {
    const [one, other] = [first.next(), second.next()]
    if (one.done && other.done) return
    yield [one.done ? undefined : one.value, other.done ? undefined : other.value]
    if (one.done || other.done) return
  }
}

/** With their ends, so that a last line without one is told from one with it. */
function* linesOf(bytes: Uint8Array): Generator<Uint8Array, undefined> {
  for (let at = 0; at < bytes.length;) {
    const newline = bytes.indexOf(0x0a, at)
    const end = newline < 0 ? bytes.length : newline + 1
    yield bytes.subarray(at, end)
    at = end
  }
}
