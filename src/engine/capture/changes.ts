import { parentPath, rootPath } from '../../base/path.ts'
import { diffManifests } from '../tree/diff.ts'
import type { Entry, Manifest } from '../../base/entry.ts'
import type { RelPath } from '../../base/path.ts'
import type { Difference } from '../tree/diff.ts'

/** A tree before and after: two whole manifests, or two of the same part of it. */
export type Sides = { readonly old: Manifest; readonly new: Manifest }

/**
 * What is worth shipping of what differs. Content decides: a file that was written anew with the same bytes, or whose
 * time alone is another, has not changed, nor has a directory in which something was made and removed again.
 */
export function changesOf({ old, new: next }: Sides): readonly Difference[] {
  return diffManifests(old, next).filter(({ kind, aspects }) => kind !== 'changed' || aspects.some((aspect) => aspect !== 'mtime'))
}

/**
 * The smallest two manifests with these changes: what changed, the directories on the way there, and the leaders of hard
 * links. A directory that did not change itself stands in both as it was before.
 */
export function changedPart(sides: Sides): Sides {
  const changes = changesOf(sides)
  const old = byPath(sides.old)
  const next = byPath(sides.new)
  const kept = keptPaths(changes, old, next)
  const changed = new Set(changes.map(({ path }) => path))
  const unchanged = (entry: Entry): Entry => {
    const before = old.get(entry.path)
    return entry.kind === 'dir' && before !== undefined && !changed.has(entry.path) ? before : entry
  }
  return {
    old: { entries: sides.old.entries.filter(({ path }) => kept.has(path)) },
    new: { entries: sides.new.entries.filter(({ path }) => kept.has(path)).map(unchanged) },
  }
}

function byPath({ entries }: Manifest): ReadonlyMap<RelPath, Entry> {
  return new Map(entries.map((entry) => [entry.path, entry]))
}

/** What stands in one manifest stands in the other, too, where it exists there: else it would look added or removed. */
function keptPaths(
  changes: readonly Difference[],
  old: ReadonlyMap<RelPath, Entry>,
  next: ReadonlyMap<RelPath, Entry>,
): ReadonlySet<RelPath> {
  const kept = new Set<RelPath>([rootPath])
  const open = changes.map(({ path }) => path)
  for (let path = open.pop(); path !== undefined; path = open.pop()) {
    if (kept.has(path)) continue
    kept.add(path)
    open.push(parentPath(path))
    for (const side of [old, next]) {
      const entry = side.get(path)
      if (entry?.kind === 'hardlink') open.push(entry.leader)
    }
  }
  return kept
}
