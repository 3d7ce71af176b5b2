import { isRelinked, sameContent } from './nodes.ts'
import type { RelPath } from '../../../base/path.ts'
import type { Node } from '../../../format/journal-node.ts'
import type { Stat } from '../../../port/disk.ts'
import type { Decision } from './decide.ts'
import type { LiveView } from './look.ts'
import type { NodeTree } from './nodes.ts'

/**
 * Hard-link groups. Decisions are made path by path; here the paths of a group come to share one inode: that of a name
 * that has the right content already (the donor), or one new file that is staged once. A name that leaves its group
 * gets a file of its own.
 */
export type Linking = {
  readonly decisions: ReadonlyMap<RelPath, Decision>
  /** A path to come, by the live path whose inode it shall share. */
  readonly donors: ReadonlyMap<RelPath, RelPath>
}

export function linkGroups(decisions: ReadonlyMap<RelPath, Decision>, base: NodeTree, next: NodeTree, live: LiveView): Linking {
  const state: State = { base, next, live, decisions: new Map(decisions), donors: new Map(), claimed: new Map() }
  for (const unit of unitsOf(decisions.keys(), base, next)) linkUnit(state, unit)
  return state
}

type State = {
  readonly base: NodeTree
  readonly next: NodeTree
  readonly live: LiveView
  readonly decisions: Map<RelPath, Decision>
  readonly donors: Map<RelPath, RelPath>
  /** Inodes that belong to a unit already, by its first path. */
  readonly claimed: Map<string, RelPath>
}

/** The new groups, and the paths that left a group, in byte order of their first names. Of those that go nothing is linked. */
function unitsOf(paths: Iterable<RelPath>, base: NodeTree, next: NodeTree): readonly (readonly RelPath[])[] {
  const units = new Map<RelPath, readonly RelPath[]>()
  for (const path of paths) {
    const group = next.groups.get(path) ?? (base.groups.has(path) ? [path] : undefined)
    if (group !== undefined) units.set(group[0] as RelPath, group)
  }
  return [...units].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, group]) => group)
}

function linkUnit(state: State, unit: readonly RelPath[]): void {
  const donor = claimDonor(state, unit)
  for (const path of unit) {
    const decision = state.decisions.get(path)
    if (decision === undefined) continue
    if (isPresent(state, path)) relink(state, path, donor)
    else if (donor !== undefined && (decision.kind === 'add' || decision.kind === 'replace')) state.donors.set(path, donor)
  }
  shareAttributes(state, unit, donor)
}

/** The name whose inode the group keeps: among those with the right content, one of the inode that most of them have. */
function claimDonor(state: State, unit: readonly RelPath[]): RelPath | undefined {
  const byInode = new Map<string, RelPath[]>()
  for (const path of unit) {
    if (!isPresent(state, path)) continue
    const inode = inodeKey(state.live.stats.get(path) as Stat)
    if (!state.claimed.has(inode)) byInode.set(inode, [...(byInode.get(inode) ?? []), path])
  }
  const best = [...byInode].reduce<[string, RelPath[]] | undefined>(
    (a, b) => (a === undefined || b[1].length > a[1].length ? b : a),
    undefined,
  )
  if (best === undefined) return undefined
  state.claimed.set(best[0], unit[0] as RelPath)
  return best[1][0]
}

/** The path is there with the content that it shall have, and no local change stands against touching it. */
function isPresent({ decisions, next, live }: State, path: RelPath): boolean {
  const kind = decisions.get(path)?.kind
  const [node, wanted] = [live.nodes.get(path), next.nodes.get(path)]
  return (kind === 'keep' || kind === 'attr') && node !== undefined && wanted !== undefined && sameContent(node, wanted)
}

/** A path with the right content on the wrong inode is replaced, where the release changed who shares with whom. */
function relink(state: State, path: RelPath, donor: RelPath | undefined): void {
  const inode = (name: RelPath): string => inodeKey(state.live.stats.get(name) as Stat)
  if (donor !== undefined && inode(donor) === inode(path)) return
  if (!isRelinked(state.base, state.next, path)) return
  const decision = state.decisions.get(path) as Decision
  const old = state.live.nodes.get(path) as Node
  const wanted = decision.kind === 'attr' ? decision.new : old
  state.decisions.set(path, { kind: 'replace', old, new: wanted, told: decision.kind === 'attr' ? decision.told : undefined })
  if (donor !== undefined) state.donors.set(path, donor)
}

/** All names of one inode have its attributes: those decided for the donor, or for the first name that is staged. */
function shareAttributes(state: State, unit: readonly RelPath[], donor: RelPath | undefined): void {
  const model = donor === undefined ? firstStaged(state, unit) : wantedNode(state, donor)
  if (model === undefined) return
  for (const path of unit) {
    const decision = state.decisions.get(path)
    if (decision?.kind === 'add' || decision?.kind === 'replace') state.decisions.set(path, { ...decision, new: { ...model, path } })
  }
}

function firstStaged({ decisions }: State, unit: readonly RelPath[]): Node | undefined {
  for (const path of unit) {
    const decision = decisions.get(path)
    if (decision?.kind === 'add' || decision?.kind === 'replace') return decision.new
  }
  return undefined
}

function wantedNode({ decisions, live }: State, path: RelPath): Node | undefined {
  const decision = decisions.get(path)
  return decision?.kind === 'attr' ? decision.new : live.nodes.get(path)
}

export function inodeKey(stat: Stat): string {
  return `${stat.device}:${stat.inode}`
}
