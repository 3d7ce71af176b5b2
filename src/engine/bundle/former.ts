import { baseName } from '../../base/path.ts'
import { escapeWord } from '../../format/journal-node.ts'
import { decodeManifest } from '../../format/manifest.ts'
import { obsoleteLine } from '../../format/obsolete.ts'
import { isLibraryPath, providedName, providedNames, targetOf } from '../client/apply/needed-libraries.ts'
import { commitRank } from '../tree/commit-order.ts'
import { readObsoleteList } from '../repo/obsolete-list.ts'
import { readUpdates } from '../repo/channel-draft.ts'
import { readManifestText } from '../repo/manifest-text.ts'
import type { RelPath } from '../../base/path.ts'
import type { Node } from '../../format/journal-node.ts'
import type { ObsoleteItem, ObsoleteList } from '../../format/obsolete.ts'
import type { TargetFile } from '../../format/tuf.ts'
import type { Update } from '../../format/update.ts'
import type { Store } from '../../port/store.ts'
import type { NodeTree } from '../client/apply/nodes.ts'
import type { Repository } from '../repo/repository.ts'

/** What a bundle has to know of what goes (doc/spec/obsolete.md): former releases, other channels, libraries. */

export type FormerRelease = {
  readonly store: Store
  readonly repository: Repository
  readonly role: string
  readonly targets: ReadonlyMap<string, TargetFile>
  readonly next: Update
}

/** Nothing where the record names no list. */
export async function formerOf({ store, targets, next }: FormerRelease): Promise<ObsoleteList> {
  return next.obsolete === undefined ? { through: 0, items: [] } : await readObsoleteList(store, next, targets)
}

/** A path that both releases have is judged by them alone. */
export function openItems({ items }: ObsoleteList, { base, next }: Trees): readonly ObsoleteItem[] {
  return items.filter(({ path }) => !(base.nodes.has(path) && next.nodes.has(path)))
}

export type Trees = { readonly base: NodeTree; readonly next: NodeTree }

/** Every path that may go: those of the old release that the new one has not, and those of former ones. */
export function goingPaths({ base, next }: Trees, items: readonly ObsoleteItem[]): ReadonlySet<RelPath> {
  return new Set([...[...base.nodes.keys()].filter((path) => !next.nodes.has(path)), ...items.map(({ path }) => path)])
}

/** A line of the list of former files, behind its rank in the order of removal. */
export function formerLine(item: ObsoleteItem): string {
  return `former ${commitRank({ path: item.path, kind: item.kind })} ${obsoleteLine(item)}`
}

export type Elsewhere = ReadonlyMap<string, readonly RelPath[]>

/** Of the paths that may go those that another channel has or had: they are that one's, on a machine that follows it. */
export async function elsewhere({ store, repository, role }: FormerRelease, going: ReadonlySet<RelPath>): Promise<Elsewhere> {
  const found = new Map<string, readonly RelPath[]>()
  if (going.size === 0) return found
  for (const [other, { signed }] of repository.channels) {
    if (other === role) continue
    const paths = new Set<RelPath>()
    const { targets } = signed.value
    for (const update of await readUpdates(store, targets)) {
      const { entries } = decodeManifest(await readManifestText(store, update, targets))
      for (const { path } of entries) if (going.has(path)) paths.add(path)
    }
    found.set(other, [...paths].sort())
  }
  return found
}

/**
 * Libraries that stay while something needs them: under which names they are asked for, and what a link of them leads to. The
 * program cannot read a soname; each shorter version in a file name may be it, and one library too many harms nobody.
 */
export function libraryLines({ base, next }: Trees, items: readonly ObsoleteItem[]): readonly string[] {
  const provided = providedNames(next)
  const links = new Map<RelPath, string>()
  for (const item of [...items, ...base.nodes.values()] as readonly (ObsoleteItem | Node)[])
    if (item.kind === 'symlink') links.set(item.path, item.target)
  const libraries = [...goingPaths({ base, next }, items)].filter(
    (path) => isLibraryPath(path) && !provided.has(providedName(path) ?? '') && !next.nodes.has(path),
  )
  return libraries.sort().map((path) => {
    const target = links.get(path)
    const leads = target === undefined ? undefined : targetOf(path, target)
    return ['library', escapeWord(path), leads === undefined ? '-' : escapeWord(leads), ...namesOf(path, next).map(escapeWord)].join(' ')
  })
}

function namesOf(path: RelPath, next: NodeTree): readonly string[] {
  const names = [baseName(path)]
  const folder = path.slice(0, path.length - baseName(path).length)
  for (let name = baseName(path); /\.so(?:\.[0-9]+){2,}$/.test(name);) {
    name = name.slice(0, name.lastIndexOf('.'))
    if (!next.nodes.has(`${folder}${name}` as RelPath)) names.push(name)
  }
  return names
}
