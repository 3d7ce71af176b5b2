import { latin1, utf8 } from '../../base/bytes.ts'
import { comparePaths, isWithin, parentPath, rootPath } from '../../base/path.ts'
import { encodeNode, escapeWord } from '../../format/journal-node.ts'
import { encodeStep } from '../../format/journal-step.ts'
import { changedPaths, isRelinked, nodeTree, sameContent } from '../client/apply/nodes.ts'
import { commitRank } from '../tree/commit-order.ts'
import { formerLine, libraryLines } from './former.ts'
import { isOwnState } from '../tree/scan.ts'
import type { Sha256 } from '../../base/digest.ts'
import type { FileEntry, Manifest } from '../../base/entry.ts'
import type { RelPath } from '../../base/path.ts'
import type { Node } from '../../format/journal-node.ts'
import type { KeepOld } from '../../format/keep-old.ts'
import type { ObsoleteItem } from '../../format/obsolete.ts'
import type { After } from '../client/apply/after.ts'
import type { NodeScope, NodeTree } from '../client/apply/nodes.ts'
import type { Elsewhere, Trees } from './former.ts'
import type { MergeBases } from './merge-bases.ts'

/** What a bundle's program decides upon (doc/spec/bundle.md): each path that the step is about, before and after. */
export type BundleList = {
  /** Lines, each ended. */
  readonly text: string
  /** What the payload holds: a member's number is its place here. */
  readonly contents: readonly Content[]
}

/** `path` is the name under which the dist has it. */
export type Content = { readonly path: RelPath; readonly size: number; readonly sha256: Sha256; readonly old?: OldContent }

/** What the old release has at a path that this content comes to; `leader` is the name under which its dist has it. */
export type OldContent = { readonly path: RelPath; readonly leader: RelPath; readonly size: number; readonly sha256: Sha256 }

/** What a machine cannot set, the program leaves out there. */
const scope: NodeScope = { xattrs: true, flags: true, excluded: isOwnState }

/** Without `old`, everything comes: a root that holds no release yet. */
export function bundleTrees(old: Manifest | undefined, next: Manifest): Trees {
  return { base: nodeTree(old ?? { entries: [] }, scope), next: nodeTree(next, scope) }
}

export type ListInput = {
  readonly trees: Trees
  readonly after: After
  /** What former releases had, and of all that may go the paths that other channels have. */
  readonly former: readonly ObsoleteItem[]
  readonly elsewhere: Elsewhere
  readonly bases: MergeBases
  readonly keepOld: readonly KeepOld[]
  /** Patterns of paths that the system makes anew. */
  readonly generated: readonly string[]
}

export function bundleList({ trees, after, former, elsewhere, bases, keepOld, generated }: ListInput): BundleList {
  const paths = pathsOf(trees)
  const members = new Members(trees, bases)
  const lines = [
    ...after.postSteps.map((step) => `note ${encodeStep(step)}`),
    ...(after.reboot === 'none' ? [] : [`reboot ${after.reboot}`]),
    ...generated.map((pattern) => `generated ${escapeWord(latin1(utf8(pattern)))}`),
    ...former.map(formerLine),
    ...libraryLines(trees, former),
    ...[...elsewhere].flatMap(([role, others]) => others.map((path) => `elsewhere ${role} ${escapeWord(path)}`)),
    ...[...foldersAbove([...paths, ...former.map(({ path }) => path)])]
      .sort(comparePaths)
      .map((path) => `above ${escapeWord(path)} ${nodeWord(trees.next.nodes.get(path))}`),
    ...keepOldLines(keepOld, trees, paths),
    ...[...bases.numbers].map(([path, number]) => `merge ${escapeWord(path)} ${number}${bases.byEntry.has(path) ? ' entries' : ''}`).sort(),
    ...paths.map((path) => pathLine(trees, path, members.of(path))),
  ]
  return { text: lines.map((line) => `${line}\n`).join(''), contents: members.contents }
}

/** What the step changes, and all names of the hard-link groups that it touches, as a client looks at them. */
function pathsOf({ base, next }: Trees): readonly RelPath[] {
  const paths = new Set<RelPath>()
  for (const path of changedPaths(base, next)) {
    paths.add(path)
    for (const name of [...(base.groups.get(path) ?? []), ...(next.groups.get(path) ?? [])]) paths.add(name)
  }
  return [...paths].sort()
}

/** What may stay under a second name: whether it is replaced, and what lies there, is the machine's to say. */
function keepOldLines(keepOld: readonly KeepOld[], { base, next }: Trees, paths: readonly RelPath[]): readonly string[] {
  return keepOld
    .filter(({ path, old }) => paths.some((one) => isWithin(one, path)) && !base.nodes.has(old) && !next.nodes.has(old))
    .map(({ path, old }) => ['keep-old', escapeWord(path), escapeWord(old), commitRank({ path: old, kind: 'file' })].join(' '))
}

/** Their times change with the names in them, and each must be a folder and no link. */
function foldersAbove(paths: readonly RelPath[]): ReadonlySet<RelPath> {
  const above = new Set<RelPath>([rootPath])
  for (const path of paths) for (let at = parentPath(path); !above.has(at); at = parentPath(at)) above.add(at)
  return above
}

function pathLine({ base, next }: Trees, path: RelPath, member: number | undefined): string {
  const [old, wanted] = [base.nodes.get(path), next.nodes.get(path)]
  const rank = commitRank({ path, kind: (wanted ?? old)?.kind ?? 'file' })
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
  readonly #bases: MergeBases
  readonly #numbers = new Map<string, number>()

  constructor(trees: Trees, bases: MergeBases) {
    this.#trees = trees
    this.#bases = bases
  }

  /** Undefined for a path that brings no content. */
  of(path: RelPath): number | undefined {
    const { base, next } = this.#trees
    const [old, wanted] = [base.nodes.get(path), next.nodes.get(path)]
    if (wanted?.kind !== 'file') return undefined
    if (old !== undefined && sameContent(old, wanted) && !isRelinked(base, next, path)) return undefined
    const { size, sha256 } = wanted
    const known = this.#numbers.get(sha256) ?? this.contents.length
    if (known < this.contents.length && !this.#bases.numbers.has(path)) return known
    this.#numbers.set(sha256, known)
    // What is to be merged is needed as it is, and not as what makes it of a file that was changed.
    const isWhole = this.#bases.numbers.has(path)
    const before = old?.kind === 'file' && !sameContent(old, wanted) && !isWhole ? { old: oldContent(base, path, old) } : {}
    this.contents[known] = { path: this.contents[known]?.path ?? next.leaders.get(path) ?? path, size, sha256, ...before }
    return known
  }
}

function oldContent({ leaders }: NodeTree, path: RelPath, { size, sha256 }: FileEntry): OldContent {
  return { path, leader: leaders.get(path) ?? path, size, sha256 }
}
