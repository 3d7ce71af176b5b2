import { lookahead, slideAt } from './predict.ts'
import { longestMatch, windowSize } from './symbols.ts'
import type { Prediction } from './predict.ts'

/**
 * gzip and zlib hold 64 KiB of content and move the upper half down when little is left to look at. Three things depend on when:
 * whether a block's bytes are still there to be stored; whether GNU gzip looks for matches near the end; and, behind the
 * end, what it compares with there.
 */

/** The first position from which on a compressor knows that its input has ended. */
export function endKnownFrom(end: number): number {
  return Math.max(0, end - lookahead + 1)
}

/** GNU gzip, standing at `p.at`, has just learned that there is no more. */
export function meetEnd(p: Prediction): void {
  p.knownAt = p.at
  const base = windowBase(p, p.at)
  p.lastSearch = base + slideAt
  fillBehindEnd(p, base)
}

/** How much of the content has left the window when position `look` was the last to be looked at. */
export function windowBase({ rules, end, knownAt }: Prediction, look: number): number {
  // While input comes, the window is full whenever little is left, and moves behind `slideAt`.
  const whole = Math.max(0, Math.floor((Math.min(end - lookahead, look - 1) - slideAt) / windowSize) + 1) * windowSize
  const next = whole + slideAt
  // At the end, gzip moves it once more at most, when it asks for more and gets none; zlib also later.
  if (rules.gnu) return look >= knownAt && knownAt >= next ? whole + windowSize : whole
  return look > next || (look === next && end - look < lookahead) ? whole + windowSize : whole
}

/** Two zeros, then what was in the window before: zeros, or what lay half a window lower before it was moved the last time. */
function fillBehindEnd({ bytes, end }: Prediction, base: number): void {
  for (let at = end + 2; at < end + longestMatch; at++) bytes[at] = at - base < 2 * windowSize ? held(bytes, end, at - base, base) : 0
}

function held(bytes: Uint8Array, end: number, place: number, base: number): number {
  if (base + place < end) return bytes[base + place] as number
  if (base === 0) return 0
  return held(bytes, end, place < windowSize ? place + windowSize : place, base - windowSize)
}
