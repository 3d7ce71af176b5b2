import { BinderyError } from '../../base/error.ts'
import { comparePaths, parentPath, rootPath, showPath } from '../../base/path.ts'
import type { Entry, Manifest } from '../../base/entry.ts'
import type { RelPath } from '../../base/path.ts'

/** Paths that somebody named, of which there may be thousands. */
export type Named = {
  readonly paths: ReadonlySet<RelPath>
  /** Whether a path is one of those that are named, or below one. */
  has(path: RelPath): boolean
  /** Whether it has to be looked at: what is named, and the folders above it. */
  isOnTheWay(path: RelPath): boolean
}

export function namedPaths(named: readonly RelPath[]): Named {
  const paths = new Set(named)
  const above = new Set(named.flatMap(foldersAbove))
  const has = (path: RelPath): boolean => paths.has(path) || foldersAbove(path).some((folder) => paths.has(folder))
  return { paths, has, isOnTheWay: (path) => above.has(path) || has(path) }
}

/** The nearest first, the root last. */
function foldersAbove(path: RelPath): readonly RelPath[] {
  const folders: RelPath[] = []
  for (let folder = path; folder !== rootPath;) folders.push((folder = parentPath(folder)))
  return folders
}

/**
 * `base` with what is named as it is in `root`, which may hold no more than that and the folders above: what is not there
 * goes. `not-found` for what is in neither; `conflict` where other names of a file would be torn from it, or the base has
 * something else where a folder is needed.
 */
export function withNamed(base: Manifest | undefined, root: Manifest, named: Named): Manifest {
  const known = base?.entries ?? []
  const incoming = root.entries.filter(({ path }) => named.has(path))
  refuseMissing(named, root, [...incoming, ...known])
  const staying = known.filter(({ path }) => !named.has(path))
  refuseTorn(staying, new Set(staying.map(({ path }) => path)))
  const entries = new Map([...staying, ...incoming].map((entry) => [entry.path, entry]))
  addParents(entries, root, incoming)
  return { entries: [...entries.values()].toSorted((a, b) => comparePaths(a.path, b.path)) }
}

function refuseMissing(named: Named, root: Manifest, entries: readonly Entry[]): void {
  const there = new Set(entries.map(({ path }) => path))
  for (const one of named.paths) {
    if (there.has(one)) continue
    const link = root.entries.find((entry) => entry.kind === 'symlink' && foldersAbove(one).includes(entry.path))
    const hint = link?.kind === 'symlink' ? `/${showPath(link.path)} is a symbolic link to ${showPath(link.target)}` : undefined
    throw new BinderyError('not-found', 'is not there', { subject: showPath(one), hint })
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
function addParents(entries: Map<RelPath, Entry>, root: Manifest, incoming: readonly Entry[]): void {
  const inRoot = new Map(root.entries.map((entry) => [entry.path, entry]))
  for (const { path } of incoming) {
    for (const parent of foldersAbove(path)) {
      const known = entries.get(parent) ?? inRoot.get(parent)
      if (known !== undefined) entries.set(parent, known)
      if (known === undefined || known.kind === 'dir') continue
      throw new BinderyError('conflict', `lies below /${showPath(parent)}, which is no folder in the base`, {
        subject: `/${showPath(path)}`,
        hint: 'name that, too',
      })
    }
  }
}
