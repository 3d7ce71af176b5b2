import { comparePaths, parentPath, rootPath } from '../../base/path.ts'
import { encodeNode, escapeWord } from '../../format/journal-node.ts'
import { encodeStep } from '../../format/journal-step.ts'
import { changedPaths, isRelinked, nodeTree, sameContent } from '../client/apply/nodes.ts'
import { installRank } from '../tree/critical.ts'
import { isOwnState } from '../tree/scan.ts'
import type { Sha256 } from '../../base/digest.ts'
import type { Manifest } from '../../base/entry.ts'
import type { RelPath } from '../../base/path.ts'
import type { Node } from '../../format/journal-node.ts'
import type { After } from '../client/apply/install.ts'
import type { NodeScope, NodeTree } from '../client/apply/nodes.ts'

/** What a bundle's program decides upon (doc/spec/bundle.md): each path that the step is about, before and after. */
export type BundleList = {
  /** Lines, each ended. */
  readonly text: string
  /** What the payload holds: a member's number is its place here. */
  readonly contents: readonly Content[]
  /** Paths with attributes that sh does not set. */
  readonly unsettable: number
}

/** `path` is the name under which the dist has it. */
export type Content = { readonly path: RelPath; readonly size: number; readonly sha256: Sha256 }

/** sh can set neither. */
const scope: NodeScope = { xattrs: false, flags: false, excluded: isOwnState }

/** Without `old`, everything comes: a root that holds no release yet. */
export function bundleList(old: Manifest | undefined, next: Manifest, { postSteps, reboot }: After): BundleList {
  const trees = { base: nodeTree(old ?? { entries: [] }, scope), next: nodeTree(next, scope) }
  const paths = pathsOf(trees)
  const members = new Members(trees)
  const lines = [
    ...postSteps.map((step) => `note ${encodeStep(step)}`),
    ...(reboot === 'none' ? [] : [`reboot ${reboot}`]),
    ...[...foldersAbove(paths)].sort(comparePaths).map((path) => `above ${escapeWord(path)} ${nodeWord(trees.next.nodes.get(path))}`),
    ...paths.map((path) => pathLine(trees, path, members.of(path))),
  ]
  const coming = new Set(paths)
  const unsettable = next.entries.filter(({ path, xattrs, flags }) => coming.has(path) && (xattrs?.size ?? 0) + (flags?.length ?? 0) > 0)
  return { text: lines.map((line) => `${line}\n`).join(''), contents: members.contents, unsettable: unsettable.length }
}

type Trees = { readonly base: NodeTree; readonly next: NodeTree }

/** What the step changes, and all names of the hard-link groups that it touches, as a client looks at them. */
function pathsOf({ base, next }: Trees): readonly RelPath[] {
  const paths = new Set<RelPath>()
  for (const path of changedPaths(base, next)) {
    paths.add(path)
    for (const name of [...(base.groups.get(path) ?? []), ...(next.groups.get(path) ?? [])]) paths.add(name)
  }
  return [...paths].sort()
}

/** Their times change with the names in them, and each must be a folder and no link. */
function foldersAbove(paths: readonly RelPath[]): ReadonlySet<RelPath> {
  const above = new Set<RelPath>([rootPath])
  for (const path of paths) for (let at = parentPath(path); !above.has(at); at = parentPath(at)) above.add(at)
  return above
}

function pathLine({ base, next }: Trees, path: RelPath, member: number | undefined): string {
  const [old, wanted] = [base.nodes.get(path), next.nodes.get(path)]
  const rank = installRank({ path, kind: (wanted ?? old)?.kind ?? 'file' })
  const group = (tree: NodeTree): string => escapeWord(tree.groups.get(path)?.[0] ?? '-')
  return ['path', escapeWord(path), rank, nodeWord(old), nodeWord(wanted), group(base), group(next), member ?? '-', '-'].join(' ')
}

function nodeWord(node: Node | undefined): string {
  return node === undefined ? '-' : encodeNode(node)
}

/** Numbers for contents as they are met; the same content is a member once. */
class Members {
  readonly contents: Content[] = []
  readonly #trees: Trees
  readonly #numbers = new Map<string, number>()

  constructor(trees: Trees) {
    this.#trees = trees
  }

  /** Undefined for a path that brings no content. */
  of(path: RelPath): number | undefined {
    const { base, next } = this.#trees
    const [old, wanted] = [base.nodes.get(path), next.nodes.get(path)]
    if (wanted?.kind !== 'file') return undefined
    if (old !== undefined && sameContent(old, wanted) && !isRelinked(base, next, path)) return undefined
    const { size, sha256 } = wanted
    const known = this.#numbers.get(sha256)
    if (known !== undefined) return known
    this.#numbers.set(sha256, this.contents.length)
    return this.contents.push({ path: next.leaders.get(path) ?? path, size, sha256 }) - 1
  }
}
