import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { utf8 } from '../src/base/bytes.ts'
import { sha256 } from '../src/base/digest.ts'
import { formatDistName } from '../src/base/name.ts'
import { releaseTargets } from '../src/engine/update/compose.ts'
import { cheapestRoute, routeCost, stepCost } from '../src/engine/update/route.ts'
import type { Sha256 } from '../src/base/digest.ts'
import type { DistName } from '../src/base/name.ts'
import type { Route, RouteInput } from '../src/engine/update/route.ts'
import type { TargetRef, Update } from '../src/format/update.ts'

const MB = 1 << 20
const release = (n: number): DistName => ({ product: 'base', revision: `1.${n}`, date: '20260101', arch: 'amd64' })
const nameOf = (n: number): string => formatDistName(release(n))
const tarOf = (n: number): Sha256 => sha256(utf8(nameOf(n)))

/** `deltas` maps older releases to the size of the delta from them; `manifests` likewise, to those of the manifest. */
function update(
  n: number,
  full: number | undefined,
  deltas: Readonly<Record<number, number>>,
  manifest = 1,
  manifests: Readonly<Record<number, number | undefined>> = {},
): Update {
  const targets = releaseTargets(release(n))
  return {
    sequence: n,
    release: { name: release(n), tar: { sha256: tarOf(n), size: 100 * MB } },
    manifest: { target: targets.manifest, size: manifest },
    full: full === undefined ? [] : [{ codec: 'zstd', target: targets.full('zstd'), size: full }],
    deltas: Object.entries(deltas).map(([from, size]) => ({
      target: targets.delta(nameOf(Number(from))),
      size,
      from: nameOf(Number(from)),
      fromSha256: tarOf(Number(from)),
      memory: size,
      ...manifestDelta(targets.manifestDelta(nameOf(Number(from))), manifests[Number(from)]),
    })),
    notices: [],
    postSteps: [],
    reboot: 'none',
    security: false,
  }
}

const manifestDelta = (target: string, size: number | undefined): { manifest?: TargetRef } =>
  size === undefined ? {} : { manifest: { target, size } }

const show = (route: Route): string =>
  route.kind === 'deltas'
    ? ['deltas', ...route.steps.map((step) => step.delta.from)].join(' ')
    : route.kind === 'full'
      ? `full ${formatDistName(route.update.release.name)}`
      : 'none'

const line = [
  update(1, 50 * MB, {}),
  update(2, 50 * MB, { 1: 3 * MB }),
  update(3, 50 * MB, { 2: 2 * MB, 1: 9 * MB }),
  update(4, 50 * MB, { 3: MB, 2: 2 * MB }),
]

test('the cheapest chain wins over the direct delta, the direct delta over the whole', () => {
  assert.equal(show(cheapestRoute({ updates: line, from: nameOf(3) })), `deltas ${nameOf(3)}`)
  assert.equal(show(cheapestRoute({ updates: line, from: nameOf(2) })), `deltas ${nameOf(2)}`)
  assert.equal(show(cheapestRoute({ updates: line, from: nameOf(1) })), `deltas ${nameOf(1)} ${nameOf(2)}`)
  assert.equal(show(cheapestRoute({ updates: line, from: nameOf(1), to: nameOf(3) })), `deltas ${nameOf(1)} ${nameOf(2)}`)
  assert.equal(show(cheapestRoute({ updates: line, from: tarOf(3) })), `deltas ${nameOf(3)}`)
})

test('without a base, or with an unknown one, the whole', () => {
  assert.equal(show(cheapestRoute({ updates: line, from: undefined })), `full ${nameOf(4)}`)
  assert.equal(show(cheapestRoute({ updates: line, from: tarOf(77) })), `full ${nameOf(4)}`)
  assert.equal(show(cheapestRoute({ updates: line, from: 'something else' })), `full ${nameOf(4)}`)
})

test('deltas that cost more than the whole are passed over', () => {
  assert.equal(show(cheapestRoute({ updates: [update(1, MB, {}), update(2, MB, { 1: 2 * MB })], from: nameOf(1) })), `full ${nameOf(2)}`)
})

test('a delta from a release whose record is gone still serves', () => {
  assert.equal(show(cheapestRoute({ updates: line.slice(1), from: nameOf(1), to: nameOf(2) })), `deltas ${nameOf(1)}`)
})

test('already there: no steps; nowhere to go: none', () => {
  assert.deepEqual(cheapestRoute({ updates: line, from: nameOf(4) }), { kind: 'deltas', steps: [], bytes: 0, left: 0, manifest: 'deltas' })
  assert.equal(cheapestRoute({ updates: [], from: nameOf(4) }).kind, 'none')
  assert.equal(cheapestRoute({ updates: line, from: nameOf(4), to: 'base-9-20260101-amd64' }).kind, 'none')
  assert.equal(cheapestRoute({ updates: [update(1, undefined, {})], from: undefined }).kind, 'none')
})

test('a broken or too hungry delta is gone round', () => {
  const broken = new Set([releaseTargets(release(4)).delta(nameOf(3))])
  assert.equal(show(cheapestRoute({ updates: line, from: nameOf(3), without: broken })), `full ${nameOf(4)}`)
  assert.equal(show(cheapestRoute({ updates: line, from: nameOf(1), memory: 2 * MB })), `full ${nameOf(4)}`)
})

const shownManifest = (route: Route): string => (route.kind === 'deltas' ? `${route.manifest} ${route.bytes}` : route.kind)

test('the manifest comes by deltas where every step has one and they are less than the whole', () => {
  const updates = [update(1, 50 * MB, {}), update(2, 50 * MB, { 1: 1000 }, 900, { 1: 70 }), update(3, 50 * MB, { 2: 1000 }, 900, { 2: 80 })]
  const both = { updates, from: nameOf(1) }
  assert.equal(shownManifest(cheapestRoute(both)), 'deltas 2150')
  const without = new Set([releaseTargets(release(2)).manifestDelta(nameOf(1))])
  assert.equal(shownManifest(cheapestRoute({ ...both, without })), 'whole 2900')
  assert.equal(shownManifest(cheapestRoute({ ...both, from: nameOf(2), without })), 'deltas 1080')
  const large = [updates[0] as Update, updates[1] as Update, update(3, 50 * MB, { 2: 1000 }, 900, { 2: 840 })]
  assert.equal(shownManifest(cheapestRoute({ ...both, updates: large })), 'whole 2900')
})

test('a direct delta without one of the manifest may cost more than a chain with them', () => {
  const updates = [
    update(1, 50 * MB, {}),
    update(2, 50 * MB, { 1: 1000 }, MB, { 1: 70 }),
    update(3, 50 * MB, { 1: 1000, 2: 1000 }, MB, { 2: 70 }),
  ]
  assert.equal(show(cheapestRoute({ updates, from: nameOf(1) })), `deltas ${nameOf(1)} ${nameOf(2)}`)
})

test('the whole costs its manifest, too', () => {
  assert.equal(cheapestRoute({ updates: [update(1, MB, {}, 700)], from: undefined }).kind, 'full')
  const route = cheapestRoute({ updates: [update(1, MB, {}, 700)], from: undefined })
  assert.equal(route.kind === 'full' && route.bytes, MB + 700)
})

/** Every simple path, tried. */
function bruteForce(input: RouteInput & { readonly to: string }): number {
  const goal = input.updates.find((one) => formatDistName(one.release.name) === input.to) as Update
  const left = ({ target, size }: TargetRef): number => Math.max(0, size - (input.here?.get(target) ?? 0))
  /** `manifests`: the sum of their deltas so far. */
  const walk = (at: string, cost: number, manifests: number, seen: readonly string[]): number => {
    if (at === goal.release.tar.sha256) return cost + Math.min(manifests, left(goal.manifest))
    const costs = input.updates.flatMap((next) =>
      next.deltas
        .filter((delta) => delta.fromSha256 === at && !seen.includes(next.release.tar.sha256))
        .map((delta) =>
          walk(
            next.release.tar.sha256,
            cost + left(delta) + stepCost,
            manifests + (delta.manifest === undefined ? Infinity : left(delta.manifest)),
            [...seen, next.release.tar.sha256],
          ),
        ),
    )
    return Math.min(Infinity, ...costs)
  }
  const start = input.updates.find((one) => formatDistName(one.release.name) === input.from)?.release.tar.sha256 ?? ''
  return Math.min(Math.max(0, walk(start, 0, 0, [start]) - stepCost), ...goal.full.map((way) => left(way) + left(goal.manifest)))
}

const square = (count: number, most: number): fc.Arbitrary<(number | undefined)[][]> => {
  const constraints = { minLength: count, maxLength: count }
  return fc.array(fc.array(fc.option(fc.nat(most), { nil: undefined }), constraints), constraints)
}

/** Of some targets a part is here, of others nothing or all. */
function partsOf(updates: readonly Update[], shares: readonly number[]): ReadonlyMap<string, number> {
  const refs = updates.flatMap(({ manifest, full, deltas }) => [
    manifest,
    ...full,
    ...deltas.flatMap((delta) => [delta, delta.manifest ?? []]),
  ])
  return new Map(refs.flat().map(({ target, size }, i) => [target, Math.floor(size * (shares[i % shares.length] as number))]))
}

test('what is here already costs nothing more', () => {
  const targets = releaseTargets(release(4))
  const whole = cheapestRoute({ updates: line, from: nameOf(2), here: new Map([[targets.full('zstd'), 49 * MB + 1]]) })
  assert.deepEqual([show(whole), routeCost(whole as Exclude<Route, { kind: 'none' }>)], [`full ${nameOf(4)}`, MB])
  const chain = cheapestRoute({ updates: line, from: nameOf(2), here: new Map([[targets.delta(nameOf(3)), MB]]) })
  assert.equal(show(chain), `deltas ${nameOf(2)}`)
  const half = new Map([[releaseTargets(release(3)).delta(nameOf(2)), 1.5 * MB]])
  assert.equal(show(cheapestRoute({ updates: line, from: nameOf(2), here: half })), `deltas ${nameOf(2)} ${nameOf(3)}`)
})

test('agrees with trying every path, backward deltas and cycles included', () => {
  const graph = fc
    .integer({ min: 1, max: 5 })
    .chain((count) =>
      fc.tuple(
        fc.array(fc.option(fc.nat(8 * MB), { nil: undefined }), { minLength: count, maxLength: count }),
        square(count, 4 * MB),
        square(count, 64 << 10),
        fc.nat(256 << 10),
        fc.integer({ min: 1, max: count }),
        fc.integer({ min: 1, max: count }),
        fc.array(fc.constantFrom(0, 0, 1, 0.5), { minLength: 7, maxLength: 7 }),
      ),
    )
  fc.assert(
    fc.property(graph, ([fulls, sizes, manifests, manifest, from, to, shares]) => {
      const updates = fulls.map((full, i) => {
        const deltas = (sizes[i] as (number | undefined)[]).flatMap((size, j) =>
          size === undefined || i === j ? [] : [[j + 1, size] as const],
        )
        const ofManifests = (manifests[i] as (number | undefined)[]).map((size, j) => [j + 1, size] as const)
        return update(i + 1, full, Object.fromEntries(deltas), manifest, Object.fromEntries(ofManifests))
      })
      const input = { updates, from: nameOf(from), to: nameOf(to), here: partsOf(updates, shares) }
      const best = bruteForce(input)
      const route = cheapestRoute(input)
      assert.equal(route.kind === 'none' ? Infinity : routeCost(route), best)
      if (route.kind === 'deltas') assert.equal(route.steps.at(-1)?.update.release.tar.sha256 ?? tarOf(from), tarOf(to))
    }),
  )
})
