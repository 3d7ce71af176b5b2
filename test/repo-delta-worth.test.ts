import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { utf8 } from '../src/base/bytes.ts'
import { sha256 } from '../src/base/digest.ts'
import { formatDistName } from '../src/base/name.ts'
import { mostOfBest, worthOf } from '../src/engine/repo/delta-worth.ts'
import { composeUpdate, noNotes } from '../src/engine/update/compose.ts'
import { cheapestRoute, routeCost } from '../src/engine/update/route.ts'
import { releaseName } from './helpers/repository.ts'
import type { DeltaIngredient, Ingredients } from '../src/engine/update/compose.ts'
import type { Update } from '../src/format/update.ts'

/** What the files of each release, and of each delta from an earlier one, take. */
type Sizes = {
  readonly releases: number
  whole(release: number): number
  manifest(release: number): number
  delta(from: number, to: number): number
  /** Undefined where it would be no smaller than the whole one. */
  manifestDelta(from: number, to: number): number | undefined
}

type Choice = 'worth' | 'all'

/** The records of a channel to which one release after the other is published, with deltas from at most `count` before it. */
function published(sizes: Sizes, count: number, choice: Choice): readonly Update[] {
  const updates: Update[] = []
  for (let to = 0; to < sizes.releases; to++) {
    const release = ingredientsOf(sizes, to)
    const kept: DeltaIngredient[] = []
    for (let from = to - 1; from >= Math.max(0, to - count); from--) {
      const delta = deltaOf(sizes, from, to)
      const most = worthOf({ release, before: updates, kept }, updates[from] as Update)
      if (choice === 'all' || delta.size + (delta.manifestSize ?? release.manifestSize) < most) kept.push(delta)
    }
    updates.push(composeUpdate({ ...release, deltas: kept }))
  }
  return updates
}

const nameOf = (n: number): string => formatDistName(releaseName(`1.${n}`))
const sideOf = (n: number): { sha256: ReturnType<typeof sha256>; size: number } => ({ sha256: sha256(utf8(nameOf(n))), size: 1 << 30 })

function ingredientsOf(sizes: Sizes, n: number): Ingredients {
  return {
    sequence: n + 1,
    release: { name: releaseName(`1.${n}`), tar: sideOf(n) },
    previous: n === 0 ? undefined : releaseName(`1.${n - 1}`),
    manifestSize: sizes.manifest(n),
    full: [{ codec: 'gzip', size: sizes.whole(n) }],
    deltas: [],
    notes: noNotes,
  }
}

function deltaOf(sizes: Sizes, from: number, to: number): DeltaIngredient {
  const names = { oldName: nameOf(from), newName: nameOf(to) }
  const info = { format: 'bindery', version: 1, ...names, old: sideOf(from), new: sideOf(to), memory: 0 } as const
  const manifestSize = sizes.manifestDelta(from, to)
  return { info, size: sizes.delta(from, to), ...(manifestSize === undefined ? {} : { manifestSize }) }
}

function costOf(updates: readonly Update[], from: number, to: number): number {
  const route = cheapestRoute({ updates: updates.slice(0, to + 1), from: nameOf(from), to: nameOf(to) })
  return route.kind === 'none' ? Infinity : routeCost(route)
}

/** For every release that a client may have, and every one that was the newest once. */
function assertNearBest(sizes: Sizes, count: number): void {
  const [kept, all] = [published(sizes, count, 'worth'), published(sizes, count, 'all')]
  for (let to = 1; to < sizes.releases; to++) {
    for (let from = 0; from < to; from++) {
      const [cost, best] = [costOf(kept, from, to), costOf(all, from, to)]
      // One part in 10^9 for what division loses.
      assert.ok(cost <= best * mostOfBest * (1 + 1e-9), `from ${from} to ${to}: ${cost} instead of ${best}`)
    }
  }
}

/** Files in versions: which one each release has. A change costs a part of the file, another one from each version to each. */
type History = { readonly files: readonly number[]; readonly changes: readonly (readonly number[])[]; readonly parts: readonly number[] }

const history: fc.Arbitrary<History> = fc.record({
  files: fc.array(fc.integer({ min: 100, max: 2_000_000 }), { minLength: 1, maxLength: 8 }),
  // Mostly nothing; now and then a new version, or an old one again.
  changes: fc.array(fc.array(fc.constantFrom(0, 0, 0, 1, 1, 2), { minLength: 8, maxLength: 8 }), { minLength: 1, maxLength: 9 }),
  parts: fc.array(fc.integer({ min: 1, max: 100 }), { minLength: 31, maxLength: 31 }),
})

function sizesOf({ files, changes, parts }: History): Sizes {
  const releases: number[][] = [files.map(() => 0)]
  for (const change of changes) {
    const before = releases.at(-1) as number[]
    releases.push(before.map((version, i) => [version, version + 1, Math.max(0, version - 1)][change[i] as number] as number))
  }
  const versions = (release: number): readonly number[] => releases[release] as number[]
  const sum = (of: (file: number, i: number) => number): number => files.reduce((total, file, i) => total + of(file, i), 0)
  const changed = (from: number, to: number): number => sum((_, i) => (versions(from)[i] === versions(to)[i] ? 0 : 1))
  const part = (i: number, from: number, to: number): number => (parts[(i * 7 + from * 3 + to * 5) % parts.length] as number) / 100
  return {
    releases: releases.length,
    whole: () => 1000 + sum((file) => file),
    manifest: () => 100 * files.length,
    delta: (from, to) => {
      const [old, next] = [versions(from), versions(to)]
      return 300 + sum((file, i) => (old[i] === next[i] ? 0 : Math.ceil(file * part(i, old[i] as number, next[i] as number))))
    },
    manifestDelta: (from, to) => {
      const size = 40 + 50 * changed(from, to)
      return size < 100 * files.length ? size : undefined
    },
  }
}

test('whoever updates downloads at most a twentieth more than with every direct delta there', () => {
  fc.assert(
    fc.property(history, fc.integer({ min: 1, max: 6 }), (one, count) => assertNearBest(sizesOf(one), count)),
    { numRuns: 300 },
  )
})

test('whatever the deltas take, as long as a whole release takes more than going on from an older one', () => {
  const sizes = fc.array(fc.array(fc.integer({ min: 1, max: 1_000_000 }), { minLength: 8, maxLength: 8 }), { minLength: 2, maxLength: 8 })
  fc.assert(
    fc.property(sizes, fc.integer({ min: 1, max: 8 }), (table, count) => {
      const delta = (from: number, to: number): number => table[to]?.[from] as number
      const [whole, manifest] = [() => 10_000_000, () => 0]
      assertNearBest({ releases: table.length, whole, manifest, delta, manifestDelta: () => undefined }, count)
    }),
    { numRuns: 300 },
  )
})
