import { BinderyError } from '../../../base/error.ts'
import { furthest, spend, windowMask } from './predict.ts'
import type { Prediction } from './predict.ts'

/** Other compressors often take the nearest match of the length they want: distances as candidates that are passed over. */

const mostSteps = 4096

/** How many candidates that match as long are nearer than `distance`; undefined where the chains do not tell. */
export function hopsTo(p: Prediction, at: number, length: number, distance: number): number | undefined {
  const { hops, candidate } = walk(p, at, length, Infinity, at - distance)
  return candidate > 0 && candidate === at - distance ? hops : undefined
}

/** The other way round. */
export function distanceAt(p: Prediction, at: number, length: number, hops: number): number {
  const { candidate } = walk(p, at, length, hops, 0)
  if (candidate === 0) throw new BinderyError('bad-format', 'a gzip recipe points at a match that is not there')
  return at - candidate
}

/** Goes back from `at`, which is in the chains already, over positions that match `length` bytes; candidate 0 where they end. */
function walk(
  p: Prediction,
  at: number,
  length: number,
  mostHops: number,
  downTo: number,
): { readonly hops: number; readonly candidate: number } {
  const { bytes, back } = p
  const limit = Math.max(0, at - furthest, downTo - 1)
  let candidate = at - (back[at & windowMask] as number)
  let hops = 0
  let work = 0
  for (let steps = 0; candidate > limit && steps < mostSteps; steps++) {
    let same = 0
    while (same < length && bytes[candidate + same] === bytes[at + same]) same++
    work += 1 + (same >> 3)
    if (same === length && (candidate === downTo || hops++ === mostHops)) break
    candidate -= back[candidate & windowMask] as number
    if (steps + 1 === mostSteps) candidate = 0
  }
  spend(p, work)
  return { hops, candidate: candidate > limit ? candidate : 0 }
}
