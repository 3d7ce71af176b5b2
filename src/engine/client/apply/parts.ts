import { BinderyError } from '../../../base/error.ts'
import { formatDistName } from '../../../base/name.ts'
import { showPath } from '../../../base/path.ts'
import { distContents } from './contents.ts'
import { withFormer } from './former.ts'
import { nodeTree, sameContent } from './nodes.ts'
import type { Manifest } from '../../../base/entry.ts'
import type { RelPath } from '../../../base/path.ts'
import type { Node } from '../../../format/journal-node.ts'
import type { Incoming } from '../incoming.ts'
import type { Contents } from './contents.ts'
import type { Former, FormerInput } from './former.ts'
import type { NodeTree } from './nodes.ts'
import type { PartPhase } from './phases.ts'

/** A channel's next release, and the manifest of the one that it replaces. Several are installed by one plan when they need each other. */
export type Part = { readonly incoming: Incoming; readonly installed: Manifest; readonly phase?: PartPhase | undefined }

export type JoinedParts = Former & { readonly next: NodeTree }

type Input = Pick<FormerInput, 'disk' | 'scope' | 'look'> & { readonly parts: readonly Part[] }

/** What all of them have, as if it were one release. A path that is of several belongs to the first. Throws `conflict`. */
export async function joinParts({ parts, ...input }: Input): Promise<JoinedParts> {
  const nexts = parts.map(({ incoming, phase }) => nodeTree(phase?.wanted ?? incoming.manifest.value, input.scope))
  const next = joinTrees(nexts)
  const together = parts.map(({ incoming }) => incoming.channel)
  const formers: Former[] = []
  for (const { incoming, installed, phase } of parts) {
    const { obsolete: _, ...partly } = incoming
    formers.push(
      await withFormer({
        ...input,
        incoming: phase === undefined ? incoming : partly,
        together,
        base: nodeTree(installed, input.scope),
        next,
      }),
    )
  }
  const bases = formers.map(({ base }) => base)
  if (parts.length > 1) refuseCollisions(parts, bases, nexts)
  return {
    next,
    base: joinTrees(bases, (path) => nexts.findIndex(({ nodes }) => nodes.has(path))),
    stateFiles: (found) => formers.flatMap(({ stateFiles }) => stateFiles(found)),
  }
}

/** `ownerOf`: whose node counts, where it has one; the first one's otherwise. */
export function joinTrees(trees: readonly NodeTree[], ownerOf: (path: RelPath) => number = () => -1): NodeTree {
  if (trees.length === 1) return trees[0] as NodeTree
  const [nodes, groups, leaders] = [new Map<RelPath, Node>(), new Map<RelPath, readonly RelPath[]>(), new Map<RelPath, RelPath>()]
  for (const path of new Set(trees.flatMap((tree) => [...tree.nodes.keys()]))) {
    const owner = trees[ownerOf(path)]
    const tree = owner?.nodes.has(path) === true ? owner : (trees.find((one) => one.nodes.has(path)) as NodeTree)
    const [group, leader] = [tree.groups.get(path), tree.leaders.get(path)]
    nodes.set(path, tree.nodes.get(path) as Node)
    if (group !== undefined) groups.set(path, group)
    if (leader !== undefined) leaders.set(path, leader)
  }
  return { nodes, groups, leaders }
}

/** What lay there in two versions before is not decided now; a release that changes it would undo the other one. */
function refuseCollisions(parts: readonly Part[], bases: readonly NodeTree[], nexts: readonly NodeTree[]): void {
  const seen = new Map<RelPath, number>()
  const isChanged = (at: number, path: RelPath): boolean => {
    const [old, wanted] = [bases[at]?.nodes.get(path), nexts[at]?.nodes.get(path) as Node]
    return old === undefined || !sameContent(old, wanted)
  }
  for (const [i, { nodes }] of nexts.entries()) {
    for (const [path, node] of nodes) {
      const first = seen.get(path)
      if (first === undefined) seen.set(path, i)
      else if (!sameContent(nexts[first]?.nodes.get(path) as Node, node) && (isChanged(first, path) || isChanged(i, path)))
        throw collision(path, [parts[first] as Part, parts[i] as Part])
    }
  }
}

function collision(path: RelPath, parts: readonly Part[]): BinderyError {
  const names = parts.map(({ incoming }) => formatDistName(incoming.update.value.release.name))
  return new BinderyError('conflict', `is of ${names.join(' and of ')}, with different contents`, {
    subject: `/${showPath(path)}`,
    hint: 'whoever publishes them has to leave it to one of the two; nothing was changed',
  })
}

/** One tar after the other, each read to its end. */
export function contentsOfParts(parts: readonly Part[]): Contents {
  return async function* (wanted) {
    const missing = new Map(wanted)
    for (const { incoming } of parts) {
      const own = incoming.manifest.value.entries.flatMap(({ kind, path }) => {
        const want = kind === 'file' ? missing.get(path) : undefined
        return want === undefined ? [] : [[path, want] as const]
      })
      yield* distContents(incoming.tar(), incoming.manifest)(new Map(own))
      for (const [path] of own) missing.delete(path)
    }
  }
}
