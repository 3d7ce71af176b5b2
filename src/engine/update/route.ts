import { parseSha256 } from '../../base/digest.ts'
import { formatDistName } from '../../base/name.ts'
import type { Sha256 } from '../../base/digest.ts'
import type { DeltaWay, FullWay, TargetRef, Update } from '../../format/update.ts'

/**
 * How to come by the tar and the manifest of a release: whole, or by deltas applied one after the other to what one has.
 * `bytes` are those of both over the network, `left` those of them that are not here yet.
 */
export type Route =
  | { readonly kind: 'full'; readonly update: Update; readonly way: FullWay; readonly bytes: number; readonly left: number }
  /** No steps: what one has is the release already. `manifest`: by the deltas of the steps, which all have one, or whole. */
  | {
      readonly kind: 'deltas'
      readonly steps: readonly RouteStep[]
      readonly manifest: 'deltas' | 'whole'
      readonly bytes: number
      readonly left: number
    }
  | { readonly kind: 'none' }

/** One delta and the update that it leads to. */
export type RouteStep = { readonly update: Update; readonly delta: DeltaWay }

export type RouteInput = {
  /** What is known of the channel, in any order. */
  readonly updates: readonly Update[]
  /** The release that one has: its name, or the sha256 of its tar; undefined where there is none. */
  readonly from: string | undefined
  /** The name of the release to reach; the one of the highest sequence where it is not said. */
  readonly to?: string
  /** Leave out deltas that need more bytes of memory than this. */
  readonly memory?: number
  /** Leave out these targets: not in the repository any more, or found broken. */
  readonly without?: ReadonlySet<string>
  /** How many bytes of targets are here already, say of a download that was cut off. */
  readonly here?: ReadonlyMap<string, number>
}

/**
 * What each further delta of a chain costs beside its bytes: a request of its own, and one more pass over the whole
 * tar. So small that only ways of nearly the same size are decided by it.
 */
export const stepCost = 4 << 10

export function routeCost(route: Exclude<Route, { kind: 'none' }>): number {
  return route.left + (route.kind === 'full' ? 0 : stepCost * Math.max(0, route.steps.length - 1))
}

/** The way of the lowest `routeCost`; in a tie deltas win, for the manifest too. */
export function cheapestRoute(input: RouteInput): Route {
  const goal = goalOf(input)
  if (goal === undefined) return { kind: 'none' }
  const ways = [cheapestChain(input, goal, 'deltas'), cheapestChain(input, goal, 'whole'), cheapestFull(input, goal)]
  const known = ways.filter((way) => way !== undefined)
  return known.reduce<Route>((best, way) => (best.kind === 'none' || routeCost(way) < routeCost(best) ? way : best), { kind: 'none' })
}

function goalOf(input: RouteInput): Update | undefined {
  if (input.to !== undefined) return input.updates.find((update) => formatDistName(update.release.name) === input.to)
  return input.updates.reduce<Update | undefined>(
    (best, update) => (best === undefined || update.sequence > best.sequence ? update : best),
    undefined,
  )
}

function cheapestFull(input: RouteInput, goal: Update): Extract<Route, { kind: 'full' }> | undefined {
  const ways = goal.full.filter((full) => !input.without?.has(full.target))
  const routes = ways.map((way) => ({ kind: 'full' as const, update: goal, way, ...amountOf(input, [way, goal.manifest]) }))
  return routes.reduce<(typeof routes)[number] | undefined>(
    (best, one) => (best === undefined || one.left < best.left ? one : best),
    undefined,
  )
}

type Amount = { readonly bytes: number; readonly left: number }

function amountOf({ here }: RouteInput, refs: readonly TargetRef[]): Amount {
  const bytes = refs.reduce((sum, { size }) => sum + size, 0)
  const left = refs.reduce((sum, { target, size }) => sum + Math.max(0, size - (here?.get(target) ?? 0)), 0)
  return { bytes, left }
}

type Chain = Extract<Route, { kind: 'deltas' }>

/**
 * Dijkstra over releases, known by the digests of their tars; a channel has too few of them for a heap. The manifest
 * comes by deltas along the whole chain, or whole at its end: two graphs, since its price is not a sum over the steps.
 */
function cheapestChain(input: RouteInput, goal: Update, manifest: Chain['manifest']): Chain | undefined {
  const start = startOf(input)
  if (start === undefined) return undefined
  const before = amountOf(input, manifest === 'whole' ? [goal.manifest] : [])
  const reached = new Map<Sha256, Chain>([[start, { kind: 'deltas', ...before, steps: [], manifest }]])
  const done = new Set<Sha256>()
  for (;;) {
    const here = nearest(reached, done)
    if (here === undefined) return undefined
    if (here === goal.release.tar.sha256) return reached.get(here)
    done.add(here)
    for (const step of stepsFrom(input, here, manifest)) improve(input, reached, here, step)
  }
}

function startOf({ updates, from }: RouteInput): Sha256 | undefined {
  if (from === undefined) return undefined
  const digest = parseSha256(from)
  if (digest !== undefined) return digest
  const known = updates.find((update) => formatDistName(update.release.name) === from)
  if (known !== undefined) return known.release.tar.sha256
  // The record of an old release may be pruned while a delta from it is still there.
  return updates.flatMap((update) => update.deltas).find((delta) => delta.from === from)?.fromSha256
}

function nearest(reached: ReadonlyMap<Sha256, Chain>, done: ReadonlySet<Sha256>): Sha256 | undefined {
  let best: Sha256 | undefined
  let bestCost = Infinity
  for (const [release, chain] of reached) {
    if (!done.has(release) && routeCost(chain) < bestCost) [best, bestCost] = [release, routeCost(chain)]
  }
  return best
}

function stepsFrom(input: RouteInput, release: Sha256, manifest: Chain['manifest']): RouteStep[] {
  const isThere = (ref: TargetRef | undefined): boolean => ref !== undefined && !input.without?.has(ref.target)
  const usable = (delta: DeltaWay): boolean =>
    delta.fromSha256 === release &&
    delta.memory <= (input.memory ?? Infinity) &&
    isThere(delta) &&
    (manifest === 'whole' || isThere(delta.manifest))
  return input.updates.flatMap((update) => update.deltas.filter(usable).map((delta) => ({ update, delta })))
}

function improve(input: RouteInput, reached: Map<Sha256, Chain>, from: Sha256, step: RouteStep): void {
  const before = reached.get(from) as Chain
  const { manifest } = step.delta
  const more = amountOf(input, before.manifest === 'whole' || manifest === undefined ? [step.delta] : [step.delta, manifest])
  const chain: Chain = { ...before, bytes: before.bytes + more.bytes, left: before.left + more.left, steps: [...before.steps, step] }
  const to = step.update.release.tar.sha256
  const known = reached.get(to)
  if (known === undefined || routeCost(chain) < routeCost(known)) reached.set(to, chain)
}
