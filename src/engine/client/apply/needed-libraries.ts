import { baseName, isWithin, parentPath, parseRelPath } from '../../../base/path.ts'
import { commitClass } from '../../tree/commit-order.ts'
import { findLibraryUsers, readLinks } from './library-users.ts'
import type { RelPath } from '../../../base/path.ts'
import type { Node } from '../../../format/journal-node.ts'
import type { ElfLinks } from '../../../format/elf-links.ts'
import type { DiskReader, Stat } from '../../../port/disk.ts'
import type { Change } from './changes.ts'
import type { NodeTree } from './nodes.ts'

/**
 * Shared libraries that a release has no more, while programs of the machine's own are still linked against them: they stay
 * until nothing needs them (doc/decisions/0102). The tree is searched only where such a library is to go.
 */
export type LibraryInput = {
  readonly disk: DiskReader
  readonly base: NodeTree
  readonly next: NodeTree
  /** Searched for programs, beside the usual folders. */
  readonly folders: readonly RelPath[]
  readonly signal?: AbortSignal | undefined
}

/** Who needs it, the first and all; nobody where the tree is too large to know. */
export type Need = { readonly path: RelPath; readonly by: RelPath | undefined; readonly users: readonly RelPath[] }

/** Those of the removals that something needs. `changes`: all that is planned, by path. */
export async function neededLibraries(input: LibraryInput, changes: ReadonlyMap<RelPath, Change>): Promise<readonly Need[]> {
  const libraries = await librariesOf(input, changes)
  if (libraries.size === 0) return []
  const { users, isComplete } = await findLibraryUsers({
    ...input,
    isOurs: (path, stat) => changes.get(path)?.kind === 'remove' || isOfRelease(input, path, stat),
  })
  if (!isComplete) return [...libraries.keys()].map((path) => ({ path, by: undefined, users: [] }))
  return whoNeeds(libraries, users)
}

/** A library that is to go: under which names others ask for it, and what it asks for itself. */
type Library = { readonly names: readonly string[]; readonly links: ElfLinks; readonly target?: RelPath | undefined }

async function librariesOf(input: LibraryInput, changes: ReadonlyMap<RelPath, Change>): Promise<ReadonlyMap<RelPath, Library>> {
  const going = [...changes.values()].filter((change) => change.kind === 'remove' && isLibraryPath(change.path))
  // What has to make room for something else cannot stay.
  const turning = [...changes.values()].filter(({ kind }) => kind === 'replace').map(({ path }) => path)
  const provided = providedNames(input.next)
  const libraries = new Map<RelPath, Library>()
  for (const change of going) {
    const { path, old } = change as Extract<Change, { kind: 'remove' }>
    if (turning.some((folder) => isWithin(path, folder)) || provided.has(providedName(path) ?? '')) continue
    const library = await libraryAt(input, path, old)
    if (library !== undefined) libraries.set(path, library)
  }
  return libraries
}

/** As systems name them: libc.so.7, libfoo.so.1.2, and the run-time linkers, which have no version everywhere. */
export function isLibraryPath(path: RelPath): boolean {
  return /^lib.+\.so(?:\.[0-9]+)+$/.test(baseName(path)) || commitClass({ path, kind: 'file' }) === 'linker'
}

async function libraryAt({ disk, next }: LibraryInput, path: RelPath, old: Node): Promise<Library | undefined> {
  const name = baseName(path)
  if (old.kind === 'symlink') return { names: [name], links: { needed: [] }, target: targetOf(path, old.target) }
  const links = old.kind === 'file' ? await readLinks(disk, path) : undefined
  if (links === undefined) return undefined
  // A link of that name, which the release brings or not, decides whether this file is what the name means.
  const { soname } = links
  const isMeant = soname !== undefined && !next.nodes.has(`${parentPath(path)}/${soname}` as RelPath)
  return { names: isMeant ? [name, soname] : [name], links }
}

export function targetOf(path: RelPath, target: string): RelPath | undefined {
  const parts = target.startsWith('/') ? [] : parentPath(path).split('/')
  for (const part of target.split('/')) {
    if (part === '..') parts.pop()
    else if (part !== '' && part !== '.') parts.push(part)
  }
  return parseRelPath(parts.filter((part) => part !== '.').join('/'))
}

/** The folders in which a run-time linker looks by itself, by what programs they serve. */
const searched = /^(?:usr\/)?(lib(?:32|64|x32)?)\/(?:(?:compat|[a-z0-9_]+-[a-z0-9_-]+)\/)?([^/]+)$/

/** A library that has only moved is found under the same name; the old one would be found instead of it. */
export function providedName(path: RelPath): string | undefined {
  const found = searched.exec(path)
  return found === null ? undefined : `${found[1]}/${found[2]}`
}

export function providedNames(next: Pick<NodeTree, 'nodes'>): ReadonlySet<string> {
  return new Set([...next.nodes.keys()].map(providedName).filter((name) => name !== undefined))
}

/** What was installed and not changed since, which the release itself exchanges or leaves as it fits. */
function isOfRelease({ base, next }: LibraryInput, path: RelPath, { size, mtime }: Stat): boolean {
  if (!next.nodes.has(path)) return false
  return [base.nodes.get(path), next.nodes.get(path)].some(
    (node) => node?.kind === 'file' && node.size === size && node.mtime.sec === mtime.sec && node.mtime.nsec === mtime.nsec,
  )
}

/** A library that stays needs others in its turn. */
function whoNeeds(
  libraries: ReadonlyMap<RelPath, Library>,
  users: readonly { readonly path: RelPath; readonly links: ElfLinks }[],
): readonly Need[] {
  const byName = new Map<string, RelPath[]>()
  for (const [path, { names }] of libraries) for (const name of names) byName.set(name, [...(byName.get(name) ?? []), path])
  const needs = new Map<RelPath, Set<RelPath>>()
  const open = users.toSorted((a, b) => (a.path < b.path ? -1 : 1))
  const add = (path: RelPath, by: RelPath): void => {
    const library = libraries.get(path)
    if (library === undefined || needs.get(path)?.add(by) !== undefined) return
    needs.set(path, new Set([by]))
    open.push({ path, links: library.links })
    if (library.target !== undefined) add(library.target, by)
  }
  for (const { path, links } of open) for (const name of namesIn(links)) for (const library of byName.get(name) ?? []) add(library, path)
  return [...needs].map(([path, by]) => ({ path, by: [...by][0], users: [...by] }))
}

/** As file names: a path among them says where it was on the machine that linked it. */
function namesIn({ needed, interpreter }: ElfLinks): readonly string[] {
  return [...needed, ...(interpreter === undefined ? [] : [interpreter])].map((name) => name.slice(name.lastIndexOf('/') + 1))
}
