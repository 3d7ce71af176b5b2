import { BinderyError } from '../../base/error.ts'
import { parentPath, rootPath, showPath } from '../../base/path.ts'
import { changedPart, changesOf } from './changes.ts'
import type { Manifest } from '../../base/entry.ts'
import type { RelPath } from '../../base/path.ts'
import type { Difference } from '../tree/diff.ts'
import type { Sides } from './changes.ts'

/**
 * Of a capture over a tree that is released as several sets, the part for one of them. What was changed or removed belongs
 * to each set that has the path (a directory may be in many). What was added belongs to one: to the set that has the
 * deepest directory on the way to it; of several, to that with most entries in this directory, then to that with most in
 * all, then to that whose first path of its own is the lesser: whichever of the sets is `own`, the answer is the same.
 * `wrong-base` for a changed path that is in no set.
 */
export function partOfSet(sides: Sides, own: Manifest, others: readonly Manifest[]): Sides {
  if (others.length === 0) return sides
  const mine = setOf(own)
  const sets = [mine, ...others.map(setOf)].sort(bySize)
  const foreign = new Set(changesOf(sides).flatMap((change) => (belongs(change, mine, sets) ? [] : [change.path])))
  const held = ({ entries }: Manifest): Manifest => ({ entries: entries.filter(({ path }) => !foreign.has(path)) })
  return changedPart({ old: held(sides.old), new: held(sides.new) })
}

/** Entries of a set: how many lie in each of its directories, undefined for all that is none. */
type PackagedSet = { readonly paths: ReadonlySet<RelPath>; readonly counts: ReadonlyMap<RelPath, number> }

function setOf({ entries }: Manifest): PackagedSet {
  const counts = new Map<RelPath, number>()
  for (const { path, kind } of entries) {
    if (kind === 'dir' && !counts.has(path)) counts.set(path, 0)
    if (path !== rootPath) counts.set(parentPath(path), (counts.get(parentPath(path)) ?? 0) + 1)
  }
  return { paths: new Set(entries.map(({ path }) => path)), counts }
}

function bySize(a: PackagedSet, b: PackagedSet): number {
  if (a.paths.size !== b.paths.size) return b.paths.size - a.paths.size
  const own = (one: PackagedSet, other: PackagedSet): string => [...one.paths].find((path) => !other.paths.has(path)) ?? ''
  return own(a, b) < own(b, a) ? -1 : 1
}

function belongs({ path, kind }: Difference, mine: PackagedSet, sets: readonly PackagedSet[]): boolean {
  if (kind === 'added') return homeOf(path, sets) === mine
  if (!sets.some(({ paths }) => paths.has(path))) {
    throw new BinderyError('wrong-base', 'is in none of the sets, and not new in the capture', { subject: showPath(path) })
  }
  return mine.paths.has(path)
}

function homeOf(path: RelPath, sets: readonly PackagedSet[]): PackagedSet | undefined {
  for (let folder = parentPath(path); ; folder = parentPath(folder)) {
    const having = sets.filter(({ counts }) => counts.has(folder))
    const most = Math.max(...having.map(({ counts }) => counts.get(folder) as number))
    if (having.length > 0) return having.find(({ counts }) => counts.get(folder) === most)
  }
}
