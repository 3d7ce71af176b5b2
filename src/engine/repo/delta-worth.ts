import { formatDistName } from '../../base/name.ts'
import { composeUpdate } from '../update/compose.ts'
import { cheapestRoute, routeCost } from '../update/route.ts'
import type { Update } from '../../format/update.ts'
import type { DeltaIngredient, Ingredients } from '../update/compose.ts'

/** A client never downloads more than so many times what it would if all direct deltas were kept (doc/decisions/0051). */
export const mostOfBest = 1.05

export type WorthInput = {
  /** The new release without deltas. */
  readonly release: Ingredients
  /** Releases before it, all of them, by sequence. */
  readonly before: readonly Update[]
  /** The deltas to the new release that are kept so far. */
  readonly kept: readonly DeltaIngredient[]
}

/**
 * Bytes, those of the manifest included, that a delta from `old` must stay below to be worth its place: those of the whole
 * release, and what the cheapest chain over the deltas so far costs, but for what a client may be made to pay more.
 */
export function worthOf(input: WorthInput, old: Update): number {
  const { full, manifestSize } = input.release
  return Math.min(Math.min(...full.map(({ size }) => size)) + manifestSize, chainCost(input, old) / mostOfBest)
}

function chainCost({ release, before, kept }: WorthInput, old: Update): number {
  const update = { ...composeUpdate({ ...release, deltas: kept }), full: [] }
  const route = cheapestRoute({ updates: [...before, update], from: old.release.tar.sha256, to: formatDistName(update.release.name) })
  return route.kind === 'none' ? Infinity : routeCost(route)
}
