import { comparePaths, isWithin, parentPath } from '../../base/path.ts'
import type { Entry, Manifest } from '../../base/entry.ts'
import type { RelPath } from '../../base/path.ts'

/**
 * The old release with some paths of the new one: what is new or changed there comes, and what comes with it so that the tree is
 * one. What goes stays for the end: an old kernel and its modules are needed until another one has started.
 */
export function mixedTree(old: Manifest, next: Manifest, isCovered: (path: RelPath) => boolean): Manifest {
  const [before, after] = [indexed(old), indexed(next)]
  const [taken, gone] = [new Set<RelPath>(), new Set<RelPath>()]
  const take = (path: RelPath): void => {
    const entry = after.entries.get(path)
    if (entry === undefined || taken.has(path)) return
    taken.add(path)
    if (before.entries.get(parentPath(path))?.kind !== 'dir') take(parentPath(path))
    for (const name of namesOf(after, path)) take(name)
    for (const name of namesOf(before, path))
      if (after.entries.has(name)) take(name)
      else gone.add(name)
    if (entry.kind !== 'dir' && before.entries.get(path)?.kind === 'dir')
      for (const { path: below } of old.entries) if (isWithin(below, path)) gone.add(below)
  }
  for (const { path } of next.entries) if (isCovered(path)) take(path)
  const kept = old.entries.filter(({ path }) => !taken.has(path) && !gone.has(path))
  return { entries: [...kept, ...next.entries.filter(({ path }) => taken.has(path))].sort((a, b) => comparePaths(a.path, b.path)) }
}

type Indexed = { readonly entries: ReadonlyMap<RelPath, Entry>; readonly groups: ReadonlyMap<RelPath, readonly RelPath[]> }

function indexed({ entries }: Manifest): Indexed {
  const groups = new Map<RelPath, RelPath[]>()
  for (const entry of entries)
    if (entry.kind === 'hardlink') groups.set(entry.leader, [...(groups.get(entry.leader) ?? [entry.leader]), entry.path])
  return { entries: new Map(entries.map((entry) => [entry.path, entry])), groups }
}

/** All names of the file that has this one. */
function namesOf({ entries, groups }: Indexed, path: RelPath): readonly RelPath[] {
  const entry = entries.get(path)
  return groups.get(entry?.kind === 'hardlink' ? entry.leader : path) ?? []
}
