import { learnStampedLines, sameButLines } from './text-stamps.ts'
import { learnStampedRuns, sameButRuns } from './binary-stamps.ts'
import type { StampedLine } from './text-stamps.ts'
import type { StampedRun } from './binary-stamps.ts'

/** Where a build leaves its time, and other things that say nothing of what was built (doc/spec/noise.md). */
export type Stamps =
  | { readonly kind: 'text'; readonly lines: readonly StampedLine[] }
  | { readonly kind: 'binary'; readonly size: number; readonly runs: readonly StampedRun[] }

/**
 * From two builds of the same file, the second by another clock: undefined where they are equal, or differ by more than stamps
 * explain.
 */
export function learnStamps(a: Uint8Array, b: Uint8Array): Stamps | undefined {
  if (isText(a) !== isText(b)) return undefined
  if (isText(a)) {
    const lines = learnStampedLines(a, b)
    return lines === undefined || lines.length === 0 ? undefined : { kind: 'text', lines }
  }
  const runs = learnStampedRuns(a, b)
  return runs === undefined || runs.length === 0 ? undefined : { kind: 'binary', size: a.length, runs }
}

export function sameButStamps(shipped: Uint8Array, fresh: Uint8Array, stamps: Stamps): boolean {
  switch (stamps.kind) {
    case 'text':
      return isText(shipped) && isText(fresh) && sameButLines(shipped, fresh, stamps.lines)
    case 'binary':
      return shipped.length === stamps.size && fresh.length === stamps.size && sameButRuns(shipped, fresh, stamps.runs)
  }
}

/** Text has no NUL; what has none and is no text comes to no harm, since whatever is outside of words must be equal. */
function isText(bytes: Uint8Array): boolean {
  return !bytes.includes(0)
}
