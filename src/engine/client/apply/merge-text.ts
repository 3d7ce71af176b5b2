import { diff3MergeRegions } from 'node-diff3'
import { fromLatin1, latin1 } from '../../../base/bytes.ts'

/** The versions of one file: what the old release had, what is here, what the new release has. */
export type Versions = { readonly base: Uint8Array; readonly ours: Uint8Array; readonly theirs: Uint8Array }

/**
 * Both sides' changes in one text, line by line, byte for byte; changes of both sides that touch each other are a conflict
 * unless they are the same. Undefined for a conflict, for what is no text, and for what would take too long to compare.
 */
export function mergeText({ base, ours, theirs }: Versions): Uint8Array | undefined {
  if ([base, ours, theirs].some((bytes) => bytes.includes(0))) return undefined
  const [o, a, b] = [linesOf(base), linesOf(ours), linesOf(theirs)]
  const { head, tail } = commonEnds(o, a, b)
  const inner = (lines: readonly string[]): string[] => lines.slice(head, lines.length - tail)
  if (effort(inner(o), inner(a)) + effort(inner(o), inner(b)) > maxEffort) return undefined
  const merged: (readonly string[])[] = [o.slice(0, head)]
  for (const region of diff3MergeRegions(inner(a), inner(o), inner(b))) {
    if (!region.stable && !isSame(region.aContent, region.bContent)) return undefined
    merged.push(region.stable ? region.bufferContent : region.aContent)
  }
  return fromLatin1([...merged, o.slice(o.length - tail)].flat().join(''))
}

/** With their ends: a last line without one is another line, and so is that of an empty text. */
function linesOf(bytes: Uint8Array): readonly string[] {
  return latin1(bytes).split(/(?<=\n)/)
}

type Ends = { readonly head: number; readonly tail: number }

/** Lines that all three begin and end with need no comparison, which takes time with the square of their number. */
function commonEnds(...texts: readonly [readonly string[], readonly string[], readonly string[]]): Ends {
  const [first] = texts
  const shortest = Math.min(...texts.map((lines) => lines.length))
  let head = 0
  while (head < shortest && texts.every((lines) => lines[head] === first[head])) head++
  let tail = 0
  while (tail < shortest - head && texts.every((lines) => lines.at(-1 - tail) === first.at(-1 - tail))) tail++
  return { head, tail }
}

/** About a second. */
const maxEffort = 3e8

/** What comparing costs at most: each pair of equal lines may be held against the longest common sequence so far. */
function effort(left: readonly string[], right: readonly string[]): number {
  const counts = new Map<string, number>()
  for (const line of right) counts.set(line, (counts.get(line) ?? 0) + 1)
  const pairs = left.reduce((sum, line) => sum + (counts.get(line) ?? 0), 0)
  return pairs * Math.min(left.length, right.length)
}

function isSame(left: readonly string[], right: readonly string[]): boolean {
  return left.length === right.length && left.every((line, i) => line === right[i])
}
