import { BinderyError } from '../../base/error.ts'
import { comparePaths, isWithin, parentPath, rootPath, showPath } from '../../base/path.ts'
import type { Entry, Manifest } from '../../base/entry.ts'
import type { RelPath } from '../../base/path.ts'

/** Whether a path is one of those that are named, or below one. */
export function isNamed(named: readonly RelPath[], path: RelPath): boolean {
  return named.some((one) => isWithin(path, one))
}

/** Of a tree, what has to be looked at: what is named, and the folders above it. */
export function isOnTheWay(named: readonly RelPath[], path: RelPath): boolean {
  return named.some((one) => isWithin(path, one) || isWithin(one, path))
}

/**
 * `base` with what is named as it is in `root`, which may hold no more than that and the folders above: what is not there
 * goes. `not-found` for what is in neither; `conflict` where other names of a file would be torn from it.
 */
export function withNamed(base: Manifest | undefined, root: Manifest, named: readonly RelPath[]): Manifest {
  const known = base?.entries ?? []
  const incoming = root.entries.filter(({ path }) => isNamed(named, path))
  refuseMissing(named, [...incoming, ...known])
  const staying = known.filter(({ path }) => !isNamed(named, path))
  refuseTorn(staying, new Set(staying.map(({ path }) => path)))
  const entries = new Map([...staying, ...incoming].map((entry) => [entry.path, entry]))
  for (const { path } of incoming) addParents(entries, root, path)
  return { entries: [...entries.values()].toSorted((a, b) => comparePaths(a.path, b.path)) }
}

function refuseMissing(named: readonly RelPath[], entries: readonly Entry[]): void {
  for (const one of named) {
    if (!entries.some(({ path }) => path === one)) throw new BinderyError('not-found', 'is not there', { subject: showPath(one) })
  }
}

function refuseTorn(staying: readonly Entry[], paths: ReadonlySet<RelPath>): void {
  for (const entry of staying) {
    if (entry.kind !== 'hardlink' || paths.has(entry.leader)) continue
    throw new BinderyError('conflict', `is another name of /${showPath(entry.leader)} in the base`, {
      subject: `/${showPath(entry.path)}`,
      hint: 'name both',
    })
  }
}

/** The folders above, as they are in the root, where the base has none. */
function addParents(entries: Map<RelPath, Entry>, root: Manifest, path: RelPath): void {
  for (let parent = path; parent !== rootPath;) {
    parent = parentPath(parent)
    if (entries.has(parent)) continue
    const folder = root.entries.find((entry) => entry.path === parent)
    if (folder !== undefined) entries.set(parent, folder)
  }
}
