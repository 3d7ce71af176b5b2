import { BinderyError } from '../../../base/error.ts'
import { parentPath, rootPath, showPath } from '../../../base/path.ts'
import { findBeside } from './beside.ts'
import { decide } from './decide.ts'
import { isIndex } from './indexes.ts'
import { linkGroups } from './links.ts'
import { lookAt, unreadDigest } from './look.ts'
import { findMerges, maxMergeBytes } from './merges.ts'
import { changedPaths, isRelinked, sameAttributes, sameContent } from './nodes.ts'
import type { Sha256 } from '../../../base/digest.ts'
import type { RelPath } from '../../../base/path.ts'
import type { Kept } from '../../../format/journal.ts'
import type { Node } from '../../../format/journal-node.ts'
import type { Meter } from '../../../port/ambient.ts'
import type { DiskReader, Stat } from '../../../port/disk.ts'
import type { Decision } from './decide.ts'
import type { LiveView } from './look.ts'
import type { Merged, Merging } from './merges.ts'
import type { Need } from './needed-libraries.ts'
import type { NodeScope, NodeTree } from './nodes.ts'

/** What is to happen to one path of the live tree. `of` is the path whose content it is, where that is not its own. */
export type Change =
  | { readonly kind: 'add'; readonly path: RelPath; readonly new: Node; readonly of: RelPath; readonly donor?: RelPath }
  | {
      readonly kind: 'replace'
      readonly path: RelPath
      readonly old: Node
      readonly new: Node
      readonly of: RelPath
      readonly donor?: RelPath
    }
  | { readonly kind: 'attr'; readonly path: RelPath; readonly old: Node; readonly new: Node }
  | { readonly kind: 'remove'; readonly path: RelPath; readonly old: Node }

export type Changes = {
  /** In byte order; each path once. */
  readonly changes: readonly Change[]
  readonly kept: readonly Kept[]
  /** New contents that no release has. */
  readonly merges: ReadonlyMap<RelPath, Merged>
  readonly live: LiveView
}

export type ChangeInput = {
  readonly disk: DiskReader
  readonly base: NodeTree
  readonly next: NodeTree
  readonly scope: NodeScope
  readonly suffix: '.new' | '.old'
  readonly isProtected: (path: RelPath) => boolean
  /** Made anew by the system itself. */
  readonly isGenerated?: ((path: RelPath) => boolean) | undefined
  /** Of a component that this machine may lack: what of it is not here stays away. */
  readonly isOptional?: ((path: RelPath) => boolean) | undefined
  /** Without it nothing is merged. */
  readonly merging?: Merging | undefined
  /** Those of the removals that something here still needs; without it none. */
  readonly neededOf?: ((changes: ReadonlyMap<RelPath, Change>) => Promise<readonly Need[]>) | undefined
  /** Paths that are another inode in `next` although the content is the same (rollback of a change of links, `raisedPaths`). */
  readonly relinked?: ReadonlySet<RelPath> | undefined
  readonly signal?: AbortSignal | undefined
  readonly meter?: Meter | undefined
}

/** From what bindery installed, what shall be there and what is there, to what is to be done. Throws `conflict`. */
export async function findChanges(input: ChangeInput): Promise<Changes> {
  const paths = pathsToLookAt(input)
  const live = await lookAt(input.disk, paths, { scope: input.scope, guess: digestGuess(input), signal: input.signal, meter: input.meter })
  const merges = await findMerges(input, live)
  const isAbsent = (path: RelPath): boolean => !live.nodes.has(path) && input.isOptional?.(path) === true
  const present = paths.filter((path) => !isAbsent(path))
  const decisions = new Map(present.map((path) => [path, decideOne(input, live, path, merges.get(path))]))
  const linking = linkGroups(decisions, input.base, input.next, live)
  const draft = new Draft(linking.donors, live)
  for (const [path, decision] of linking.decisions) draft.take(path, decision)
  checkParents(draft, input, live)
  for (const need of (await input.neededOf?.(draft.changes)) ?? []) draft.keepNeeded(need)
  await keepFullFolders(draft, input)
  await placeBeside(draft, input)
  return {
    changes: draft.sorted(),
    kept: [...draft.kept.values(), ...[...merges.keys()].map((path) => ({ path, reason: 'merged' as const }))],
    merges,
    live: { ...live, stats: new Map([...live.stats, ...draft.moreStats]) },
  }
}

/** What the step changes, and all names of the hard-link groups that it touches. */
function pathsToLookAt({ base, next, relinked }: ChangeInput): readonly RelPath[] {
  const paths = new Set<RelPath>()
  for (const path of changedPaths(base, next)) {
    paths.add(path)
    for (const name of [...(base.groups.get(path) ?? []), ...(next.groups.get(path) ?? [])]) paths.add(name)
  }
  for (const path of relinked ?? []) paths.add(path)
  return [...paths].sort()
}

/**
 * Only a file whose content decides something is read. Where the release brings no other content, one that has its size and
 * time is taken for unmodified: a release that was built anew changes the times of thousands.
 */
function digestGuess({ base, next, relinked, merging, isGenerated }: ChangeInput): (path: RelPath, stat: Stat) => Sha256 | undefined {
  return (path, stat) => {
    const files = [base.nodes.get(path), next.nodes.get(path)].filter((node) => node?.kind === 'file')
    const [first, second] = files
    const matters = relinked?.has(path) === true || isRelinked(base, next, path) || base.groups.has(path) || next.groups.has(path)
    if (first !== undefined && second !== undefined && sameContent(first, second))
      return !matters && first.size === stat.size && isTimeOf(first, stat) ? first.sha256 : undefined
    if (isGenerated?.(path) === true) return undefined
    const isMerged = files.length === 2 && stat.size <= maxMergeBytes && merging?.covers(path) === true
    return files.some((file) => file.size === stat.size) || isMerged ? undefined : unreadDigest
  }
}

function isTimeOf({ mtime }: Node, stat: Stat): boolean {
  return stat.mtime.sec === mtime.sec && stat.mtime.nsec === mtime.nsec
}

function decideOne(
  { base, next, isProtected, isGenerated, relinked }: ChangeInput,
  live: LiveView,
  path: RelPath,
  merged: Merged | undefined,
): Decision {
  return decide({
    path,
    base: base.nodes.get(path),
    next: next.nodes.get(path),
    live: live.nodes.get(path),
    guarded: isProtected(path),
    generated: isGenerated?.(path) === true,
    merged,
    relinked: relinked?.has(path) === true,
  })
}

/** The changes while they are being found; the steps below take some of them back. */
class Draft {
  readonly changes = new Map<RelPath, Change>()
  readonly kept = new Map<RelPath, Kept>()
  /** What is to come to lie beside which path. */
  readonly besides = new Map<RelPath, Node>()
  /** Of what is changed beside the paths of the releases. */
  readonly moreStats = new Map<RelPath, Stat>()
  readonly blocked: RelPath[] = []
  readonly #donors: ReadonlyMap<RelPath, RelPath>
  readonly #live: LiveView

  constructor(donors: ReadonlyMap<RelPath, RelPath>, live: LiveView) {
    this.#donors = donors
    this.#live = live
  }

  take(path: RelPath, decision: Decision): void {
    const donor = this.#donors.get(path)
    const origin = { of: path, ...(donor === undefined ? {} : { donor }) }
    if ('told' in decision && decision.told !== undefined) this.kept.set(path, { path, reason: decision.told })
    switch (decision.kind) {
      case 'keep':
        return
      case 'add':
        return this.set({ kind: 'add', path, new: decision.new, ...origin })
      case 'replace':
        return this.set({ kind: 'replace', path, old: decision.old, new: decision.new, ...origin })
      case 'attr':
        if (!sameAttributes(decision.old, decision.new)) this.set({ kind: 'attr', path, old: decision.old, new: decision.new })
        return
      case 'remove':
        return this.set({ kind: 'remove', path, old: decision.old })
      case 'kept':
        return this.keep(path, decision.reason, decision.beside)
      case 'blocked':
        this.blocked.push(path)
    }
  }

  set(change: Change): void {
    this.changes.set(change.path, change)
  }

  keep(path: RelPath, reason: Kept['reason'], beside?: Node): void {
    this.changes.delete(path)
    const at = this.#topMissing(path)
    this.kept.set(at, { path: at, reason })
    if (beside !== undefined) this.besides.set(path, beside)
  }

  keepNeeded({ path, by }: Need): void {
    this.changes.delete(path)
    this.kept.set(path, { path, reason: 'needed', ...(by === undefined ? {} : { by }) })
  }

  /** Of a folder that was removed here, one line is enough; where the path is there, it is the path itself. */
  #topMissing(path: RelPath): RelPath {
    let top = path
    while (!this.#live.stats.has(parentPath(top))) top = parentPath(top)
    return top
  }

  /** What there will be at `path` instead of a folder. */
  insteadOfFolder(path: RelPath): 'nothing' | 'other' | undefined {
    const change = this.changes.get(path)
    const kind = change === undefined ? this.#live.stats.get(path)?.kind : 'new' in change ? change.new.kind : undefined
    return kind === undefined ? 'nothing' : kind === 'dir' ? undefined : 'other'
  }

  sorted(): readonly Change[] {
    return [...this.changes.values()].sort((a, b) => (a.path < b.path ? -1 : 1))
  }
}

/**
 * Nothing can be put below what is no folder here, or a link that leads elsewhere: that ends the attempt before any
 * change. Below a folder that was removed here nothing is put either, but that was somebody's will.
 */
function checkParents(draft: Draft, { next, base }: ChangeInput, live: LiveView): void {
  // From the top down: so they come out of `pathsToLookAt`.
  for (const [path, change] of draft.changes) {
    if (change.kind !== 'add' || draft.insteadOfFolder(parentPath(path)) !== 'nothing') continue
    // Of a kernel that came and went in between: a way back over both has no folder for them.
    if (isIndex(path)) draft.changes.delete(path)
    else draft.keep(path, 'removed')
  }
  const wanted = [...next.nodes].filter(([path, node]) => !live.stats.has(path) && !isContentOf(base.nodes.get(path), node))
  const blocked = [...draft.blocked, ...wanted.flatMap(([path]) => blockedAncestor(draft, path) ?? [])].sort()
  const first = blocked[0]
  if (first === undefined) return
  throw new BinderyError('conflict', `is no directory here, as it is in the release`, {
    subject: `/${showPath(first)}`,
    hint: 'put the directory back, or name the path under ignore in bindery.conf; nothing was changed',
  })
}

function isContentOf(old: Node | undefined, wanted: Node): boolean {
  return old !== undefined && sameContent(old, wanted)
}

function blockedAncestor(draft: Draft, path: RelPath): RelPath | undefined {
  for (let at = parentPath(path); at !== rootPath; at = parentPath(at)) if (draft.insteadOfFolder(at) === 'other') return at
  return undefined
}

/** A folder goes only when all that is in it goes; one that another file system is mounted on stays. */
async function keepFullFolders(draft: Draft, input: ChangeInput): Promise<void> {
  const { disk, base } = input
  const going = [...draft.changes.values()].filter((change) => 'old' in change && change.old.kind === 'dir' && change.kind !== 'attr')
  // From the leaves.
  for (const change of going.reverse()) {
    const names = await disk.readdir(change.path)
    const staying = names.map((name) => `${change.path}/${name}` as RelPath).filter((path) => draft.changes.get(path)?.kind !== 'remove')
    const isMounted = await isMountPoint(disk, change.path)
    if (staying.length === 0 && !isMounted) continue
    if (!isMounted && change.kind === 'remove' && staying.every((path) => !base.nodes.has(path) && isIndex(path))) {
      await removeIndexes(draft, input, staying)
      continue
    }
    const isForeign = isMounted || staying.some((path) => !base.nodes.has(path))
    if (change.kind === 'replace') draft.keep(change.path, 'not-empty', change.new)
    else if (isForeign) draft.keep(change.path, 'not-empty')
    else draft.changes.delete(change.path)
  }
}

async function removeIndexes(draft: Draft, { disk, scope, signal, meter }: ChangeInput, paths: readonly RelPath[]): Promise<void> {
  const { nodes, stats } = await lookAt(disk, paths, { scope, guess: () => undefined, signal, meter })
  for (const [path, old] of nodes) draft.set({ kind: 'remove', path, old })
  for (const [path, stat] of stats) draft.moreStats.set(path, stat)
}

async function isMountPoint(disk: DiskReader, path: RelPath): Promise<boolean> {
  const [own, above] = await Promise.all([disk.lstat(path), disk.lstat(parentPath(path))])
  return own?.device !== above?.device
}

async function placeBeside(draft: Draft, { disk, base, next, scope, suffix }: ChangeInput): Promise<void> {
  const taken = new Set<RelPath>()
  for (const [path, node] of draft.besides) {
    const beside = await findBeside(disk, path, node, { suffix, base, next, scope, isTaken: (name) => taken.has(name) })
    if (beside !== undefined) taken.add(beside.path)
    const kept = draft.kept.get(path) as Kept
    draft.kept.set(path, { ...kept, ...(beside === undefined ? {} : { beside: beside.path }) })
    if (beside === undefined || beside.kind === 'there') continue
    if (beside.kind === 'replace') draft.moreStats.set(beside.path, beside.stat)
    const at = { path: beside.path, of: path, new: { ...node, path: beside.path } }
    draft.set(beside.kind === 'add' ? { kind: 'add', ...at } : { kind: 'replace', ...at, old: beside.old })
  }
}
