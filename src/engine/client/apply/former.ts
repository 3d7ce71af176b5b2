import { encodeObsolete, obsoleteContent, obsoleteKey } from '../../../format/obsolete.ts'
import { oneChunk } from '../../../base/bytes.ts'
import { pathsOfOthers } from '../other-channels.ts'
import { channelFile, channelFiles } from '../state.ts'
import { readToRemove } from '../to-remove.ts'
import { lookAt, unreadDigest } from './look.ts'
import { sameContent } from './nodes.ts'
import type { Channel } from '../../../base/name.ts'
import type { RelPath } from '../../../base/path.ts'
import type { Node } from '../../../format/journal-node.ts'
import type { ObsoleteContent, ObsoleteItem, ObsoleteList } from '../../../format/obsolete.ts'
import type { DiskReader } from '../../../port/disk.ts'
import type { Incoming } from '../incoming.ts'
import type { Changes } from './changes.ts'
import type { LookOptions } from './look.ts'
import type { NodeScope, NodeTree } from './nodes.ts'
import type { StateChange } from './plan.ts'

/**
 * What former releases left here: what the repository lists and a machine that did not follow them still has, and what an
 * install before had to leave because something needed it. Only what has exactly a content that a release had is taken for
 * its own; to the plan it is then a file of the installed release like any other.
 */
export type FormerInput = {
  readonly disk: DiskReader
  readonly incoming: Pick<Incoming, 'channel' | 'installed' | 'obsolete'>
  /** The channels of the plan, this one among them. */
  readonly together: readonly Channel[]
  readonly base: NodeTree
  readonly next: NodeTree
  readonly scope: NodeScope
  readonly look: Pick<LookOptions, 'signal' | 'meter'>
}

export type Former = { readonly base: NodeTree; readonly stateFiles: (found: Changes) => readonly StateChange[] }

export async function withFormer(input: FormerInput): Promise<Former> {
  const { disk, incoming, base, next, scope } = input
  const pending = await readToRemove(disk, incoming.channel)
  const listed = incoming.obsolete?.value
  // A path that the installed release has is judged by that one; what is there may have been put back on purpose.
  const isOpen = ({ path }: ObsoleteItem): boolean => !scope.excluded(path) && !(base.nodes.has(path) && next.nodes.has(path))
  const items = [...pending.items, ...(listed?.items ?? [])].filter(isOpen)
  const left = await stillThere(
    input,
    Map.groupBy(items, ({ path }) => path),
  )
  const former = left.size === 0 ? base : { ...base, nodes: new Map([...base.nodes, ...left]) }
  const through = Math.max(pending.through, listed?.through ?? 0)
  return {
    base: await withoutOthers(input, former),
    stateFiles: (found) =>
      stateChange(input, { through: pending.through, items: pending.items }, { through, items: remaining(input, items, found) }),
  }
}

type ByPath = ReadonlyMap<RelPath, readonly ObsoleteItem[]>

/** Of the files and links those that are what a former release had and this one has not, and the folders in which nothing else is. */
async function stillThere({ disk, scope, base, next, look }: FormerInput, items: ByPath): Promise<ReadonlyMap<RelPath, Node>> {
  const isSize = (path: RelPath, size: number): boolean =>
    items.get(path)?.some((item) => item.kind === 'file' && item.size === size) === true
  const options = { ...look, scope, guess: (path: RelPath, { size }: { size: number }) => (isSize(path, size) ? undefined : unreadDigest) }
  const paths = [...items.keys()].sort()
  const { nodes } = await lookAt(disk, paths, options)
  const isFormer = (path: RelPath, node: Node): boolean => {
    const wanted = next.nodes.get(path)
    return items.get(path)?.some((item) => isThat(item, node)) === true && (wanted === undefined || !sameContent(node, wanted))
  }
  const left = new Map([...nodes].filter(([path, node]) => node.kind !== 'dir' && isFormer(path, node)))
  const isGoing = (path: RelPath): boolean => left.has(path) || (base.nodes.has(path) && !next.nodes.has(path))
  // From the leaves.
  for (const path of paths.toReversed()) {
    const node = nodes.get(path)
    if (node?.kind !== 'dir' || !isFormer(path, node)) continue
    const names = await disk.readdir(path)
    if (names.every((name) => isGoing(`${path}/${name}` as RelPath))) left.set(path, node)
  }
  return left
}

function isThat(item: ObsoleteContent, node: Node): boolean {
  return sameContent({ ...node, ...item }, node)
}

/** What moved to another channel is that one's, whichever is updated first. */
async function withoutOthers({ disk, together, next }: FormerInput, base: NodeTree): Promise<NodeTree> {
  const going = [...base.nodes.keys()].filter((path) => !next.nodes.has(path))
  if (going.length === 0) return base
  const others = await pathsOfOthers(disk, together)
  const kept = new Set(going.filter((path) => others.has(path)))
  return kept.size === 0 ? base : { ...base, nodes: new Map([...base.nodes].filter(([path]) => !kept.has(path))) }
}

/** What stays for now, as it is here. */
function remaining({ incoming }: FormerInput, items: readonly ObsoleteItem[], { kept, live }: Changes): readonly ObsoleteItem[] {
  return kept.flatMap(({ path, reason }): readonly ObsoleteItem[] => {
    const node = live.nodes.get(path)
    const content = node === undefined || reason !== 'needed' ? undefined : obsoleteContent(node)
    if (content === undefined) return []
    const item = { path, last: incoming.installed.sequence, ...content }
    return [items.find((known) => obsoleteKey(known) === obsoleteKey(item)) ?? item]
  })
}

function stateChange({ incoming }: FormerInput, before: ObsoleteList, after: ObsoleteList): readonly StateChange[] {
  const [old, bytes] = [encodeObsolete(before), encodeObsolete(after)]
  if (Buffer.compare(old, bytes) === 0) return []
  const path = channelFile(incoming.channel, channelFiles.obsolete)
  return [{ path, content: () => oneChunk(bytes), mode: 0o644, size: bytes.length }]
}
