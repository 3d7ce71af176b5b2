import { comparePaths, isWithin, joinPath, parentPath } from '../../../base/path.ts'
import { matchesAny } from '../../../format/conf.ts'
import { inodeKey } from './links.ts'
import { lookAt } from './look.ts'
import { mergedBefore } from './merged-before.ts'
import { nodeTree, sameContent, sameFlags, sameMode, sameOwner, sameTime, sameXattrs } from './nodes.ts'
import { readOldNames } from './old-names.ts'
import { planScope } from './policy.ts'
import { generatedHere } from '../generated.ts'
import { stateFolder } from '../state.ts'
import type { Manifest } from '../../../base/entry.ts'
import type { RelPath } from '../../../base/path.ts'
import type { ClientConfig } from '../../../format/conf.ts'
import type { Node } from '../../../format/journal-node.ts'
import type { Meter } from '../../../port/ambient.ts'
import type { DiskReader, Stat } from '../../../port/disk.ts'
import type { Aspect } from '../../tree/diff.ts'
import type { LiveView } from './look.ts'
import type { NodeTree } from './nodes.ts'

/** One path that is not what the release says. `extra` is only looked for on request. */
export type Finding = {
  readonly path: RelPath
  readonly kind: 'missing' | 'changed' | 'extra'
  /** Of `changed`, in the order of `diff`. */
  readonly aspects: readonly Aspect[]
  readonly wanted?: Node
  readonly live?: Node
  /** An install merged it: what was changed here and what the release changed. */
  readonly isMerged?: true
}

export type AuditInput = {
  readonly disk: DiskReader
  /** Of the installed release. */
  readonly manifest: Manifest
  readonly config: Pick<ClientConfig, 'ignore' | 'generated' | 'without'>
  readonly signal?: AbortSignal | undefined
  readonly meter?: Meter | undefined
}

/** What was found, and what it was found in: a repair plans with the same view. */
export type Audit = { readonly findings: readonly Finding[]; readonly wanted: NodeTree; readonly live: LiveView }

/**
 * The live tree against a manifest, content by digest. The time of a folder is that of its newest or lost name, which
 * may be anybody's: it is no finding.
 */
export async function audit({ disk, manifest, config, signal, meter }: AuditInput): Promise<Audit> {
  const scope = await planScope(disk, config)
  const wanted = nodeTree(manifest, scope)
  const live = await lookAt(disk, [...wanted.nodes.keys()], { scope, guess: () => undefined, signal, meter })
  const shared = sharedInodes(live)
  const isGenerated = await generatedHere(disk, config)
  const isAbsent = ({ path }: Node): boolean => !live.nodes.has(path) && matchesAny(config.without, path)
  const findings = [...wanted.nodes.values()].flatMap((node) => (isAbsent(node) ? [] : (compareNode(node, wanted, live, shared) ?? [])))
  const own = findings.flatMap((finding) => (isGenerated(finding.path) ? withoutMade(finding) : [finding]))
  return { findings: own, wanted, live }
}

/** Content, time and links are the system's own; whose it is, and who may do what with it, is the release's. */
function withoutMade(finding: Finding): readonly Finding[] {
  const aspects = finding.aspects.filter((aspect) => !['content', 'target', 'links', 'mtime'].includes(aspect))
  return finding.kind === 'changed' && aspects.length === 0 ? [] : [{ ...finding, aspects }]
}

function compareNode(wanted: Node, tree: NodeTree, live: LiveView, shared: SharedInodes): Finding | undefined {
  const { path } = wanted
  const node = live.nodes.get(path)
  if (node === undefined) return { path, kind: 'missing', aspects: [], wanted }
  const aspects = node.kind === wanted.kind ? aspectsOf(wanted, node, isLinkedAsWanted(path, tree, live, shared)) : (['kind'] as const)
  return aspects.length === 0 ? undefined : { path, kind: 'changed', aspects, wanted, live: node }
}

function aspectsOf(wanted: Node, live: Node, isLinked: boolean): readonly Aspect[] {
  const found: Aspect[] = []
  if (!sameContent(wanted, live)) found.push(live.kind === 'symlink' ? 'target' : live.kind === 'file' ? 'content' : 'device')
  if (!isLinked) found.push('links')
  if (!sameMode(wanted, live)) found.push('mode')
  if (!sameOwner(wanted, live)) found.push('owner')
  if (wanted.kind !== 'dir' && !sameTime(wanted, live)) found.push('mtime')
  if (!sameFlags(wanted, live)) found.push('flags')
  if (!sameXattrs(wanted, live)) found.push('xattrs')
  return found
}

/** The names of the release that each inode has here. */
type SharedInodes = ReadonlyMap<string, readonly RelPath[]>

export function sharedInodes(live: LiveView): SharedInodes {
  const names = new Map<string, RelPath[]>()
  for (const path of live.nodes.keys()) {
    const stat = live.stats.get(path) as Stat
    if (stat.kind === 'dir' || stat.nlink < 2) continue
    const key = inodeKey(stat)
    names.set(key, [...(names.get(key) ?? []), path])
  }
  return names
}

/** Shares its inode with the first of its group that is here, and with no other name of the release. */
function isLinkedAsWanted(path: RelPath, { groups }: NodeTree, live: LiveView, shared: SharedInodes): boolean {
  const group = (groups.get(path) ?? [path]).filter((name) => live.nodes.has(name))
  const stat = live.stats.get(path) as Stat
  const first = live.stats.get(group[0] as RelPath) as Stat
  // A group that the tree spreads over file systems cannot share.
  if (first.device === stat.device && inodeKey(first) !== inodeKey(stat)) return false
  return (shared.get(inodeKey(stat)) ?? [path]).every((name) => group.includes(name))
}

/** Says of changed contents which of them are an install's own work. */
export async function explainMerged(disk: DiskReader, findings: readonly Finding[]): Promise<readonly Finding[]> {
  if (!findings.some(({ aspects }) => aspects.includes('content'))) return findings
  const merged = await mergedBefore(disk)
  return findings.map((finding) => {
    const { path, live } = finding
    return live?.kind === 'file' && merged.get(path)?.has(live.sha256) === true ? { ...finding, isMerged: true } : finding
  })
}

/** Names that no release brought, in the folders of the releases that are installed; a foreign folder is one finding. */
export async function findExtras(
  disk: DiskReader,
  manifests: readonly Manifest[],
  config: Pick<ClientConfig, 'ignore' | 'generated'>,
): Promise<readonly Finding[]> {
  const { excluded } = await planScope(disk, config)
  const isGenerated = await generatedHere(disk, config)
  const released = manifests.flatMap(({ entries }) => entries.map(({ path }) => path))
  const known = new Set([...released, ...(await readOldNames(disk)).map(({ path }) => path)])
  const folders = new Set(
    manifests.flatMap(({ entries }) => entries.flatMap(({ path, kind }) => (kind === 'dir' && !excluded(path) ? [path] : []))),
  )
  const { stats } = await lookAt(disk, [...folders], { scope: { xattrs: false, flags: false, excluded }, guess: () => undefined })
  const extras: Finding[] = []
  for (const folder of folders) {
    if (stats.get(folder)?.kind !== 'dir') continue
    for (const name of await disk.readdir(folder)) {
      const path = joinPath(folder, name)
      if (!known.has(path) && !excluded(path) && !isGenerated(path) && !isWithin(stateFolder, path))
        extras.push({ path, kind: 'extra', aspects: [] })
    }
  }
  return extras.sort((a, b) => comparePaths(a.path, b.path))
}

/** The findings with the folders above them: repairing a name changes its folder's time, which is put back. */
export function pathsOf(findings: readonly Finding[]): ReadonlySet<RelPath> {
  return new Set(findings.flatMap(({ path }) => [path, parentPath(path)]))
}
