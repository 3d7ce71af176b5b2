import { equalBytes } from '../../../base/bytes.ts'
import { identifiersOf } from './identifiers.ts'
import { learnWords, sameButWords } from './words.ts'
import type { Identifier } from './identifiers.ts'
import type { StampWord } from './words.ts'

/** Bytes of a binary that are stamps, or hold some. */
export type StampedRun =
  /** A string, and the NULs behind it that two builds have in common. */
  | { readonly kind: 'string'; readonly offset: number; readonly length: number; readonly words: readonly StampWord[] }
  /** A digest of all the rest, of a kind that is known: it says nothing itself. */
  | { readonly kind: 'identifier'; readonly offset: number; readonly length: number }

/** Shorter ones are more likely code that looks like text. */
const leastString = 4
/** So many bytes, or this part of the file, may be in strings that hold stamps. */
const usualBytes = 16 << 10
const mostPart = 1 / 64

/** Undefined where the two differ in length, or in bytes that are no words of a string. */
export function learnStampedRuns(a: Uint8Array, b: Uint8Array): readonly StampedRun[] | undefined {
  if (a.length !== b.length) return undefined
  const identifiers = identifiersOf(a, b)
  const runs: StampedRun[] = []
  const most = Math.max(usualBytes, a.length * mostPart)
  let inStrings = 0
  for (let at = nextDifference(a, b, 0); at < a.length; at = nextDifference(a, b, at)) {
    const last = runs.at(-1)
    const run = identifierAt(identifiers, at) ?? stringAt(a, b, at, last === undefined ? 0 : last.offset + last.length)
    if (run === undefined) return undefined
    if (run.kind === 'string') inStrings += run.length
    if (inStrings > most) return undefined
    runs.push(run)
    at = run.offset + run.length
  }
  return runs
}

/** Of two files of the size that the runs were learned from. */
export function sameButRuns(a: Uint8Array, b: Uint8Array, runs: readonly StampedRun[]): boolean {
  let at = 0
  for (const run of runs) {
    const end = run.offset + run.length
    if (!equalBytes(a.subarray(at, run.offset), b.subarray(at, run.offset))) return false
    if (run.kind === 'string' && !sameString(a.subarray(run.offset, end), b.subarray(run.offset, end), run.words)) return false
    at = end
  }
  return equalBytes(a.subarray(at), b.subarray(at))
}

function nextDifference(a: Uint8Array, b: Uint8Array, start: number): number {
  let at = start
  while (at < a.length && a[at] === b[at]) at++
  return at
}

function identifierAt(identifiers: readonly Identifier[], at: number): StampedRun | undefined {
  const found = identifiers.find(({ offset, length }) => at >= offset && at < offset + length)
  return found && { kind: 'identifier', ...found }
}

/** The string around a difference: from behind the last byte before it that is none of a string, at most from `from`. */
function stringAt(a: Uint8Array, b: Uint8Array, difference: number, from: number): StampedRun | undefined {
  let offset = difference
  while (offset > from && isPrintable(a[offset - 1] as number)) offset--
  const [endA, endB] = [stringEnd(a, offset), stringEnd(b, offset)]
  let end = Math.max(endA, endB)
  if (Math.min(endA, endB) - offset < leastString) return undefined
  while (end < a.length && a[end] === 0 && b[end] === 0) end++
  const [first, second] = [a.subarray(offset, end), b.subarray(offset, end)]
  const words = learnWords(first.subarray(0, endA - offset), second.subarray(0, endB - offset))
  if (words === undefined || !sameString(first, second, words)) return undefined
  return { kind: 'string', offset, length: end - offset, words }
}

/** Both are one string and NULs, and both end in one where one of them does: a string never runs into what follows. */
function sameString(a: Uint8Array, b: Uint8Array, words: readonly StampWord[]): boolean {
  const [endA, endB] = [stringEnd(a, 0), stringEnd(b, 0)]
  if (a.subarray(endA).some((byte) => byte !== 0) || b.subarray(endB).some((byte) => byte !== 0)) return false
  if ((endA === a.length) !== (endB === b.length)) return false
  return sameButWords(a.subarray(0, endA), b.subarray(0, endB), words)
}

function stringEnd(bytes: Uint8Array, start: number): number {
  let at = start
  while (at < bytes.length && isPrintable(bytes[at] as number)) at++
  return at
}

function isPrintable(byte: number): boolean {
  return (byte >= 0x20 && byte < 0x7f) || byte === 0x09 || byte === 0x0a || byte === 0x0d
}
