import { portableFlags, portableXattrs } from '../../tree/attributes.ts'
import type { Entry, EntryMeta, Manifest } from '../../../base/entry.ts'
import type { RelPath } from '../../../base/path.ts'
import type { Node } from '../../../format/journal-node.ts'

/** A manifest as plans see it: every path stands for itself, and hard-link groups are known by each of their names. */
export type NodeTree = {
  readonly nodes: ReadonlyMap<RelPath, Node>
  /** All names of a group of two and more, its leader first, by each name. */
  readonly groups: ReadonlyMap<RelPath, readonly RelPath[]>
  /** Under which name a dist holds the content of a path that is a hard link. */
  readonly leaders: ReadonlyMap<RelPath, RelPath>
}

/** What cannot be set here is left out, so that it can neither differ nor be missed. */
export type NodeScope = {
  readonly xattrs: boolean
  readonly flags: boolean
  /** Paths that are no business of plans: bindery's own state, and what bindery.conf ignores. */
  readonly excluded: (path: RelPath) => boolean
}

export function nodeTree(manifest: Manifest, scope: NodeScope): NodeTree {
  const nodes = new Map<RelPath, Node>()
  const groups = new Map<RelPath, RelPath[]>()
  const leaders = new Map<RelPath, RelPath>()
  const inodes = new Map<RelPath, Node>()
  for (const entry of manifest.entries) {
    if (entry.kind !== 'hardlink') inodes.set(entry.path, entry)
    // A socket belongs to the program that listens on it; no release brings one.
    if (entry.kind === 'socket' || scope.excluded(entry.path)) continue
    nodes.set(entry.path, nodeOf(entry, inodes, scope))
    if (entry.kind !== 'hardlink') continue
    leaders.set(entry.path, entry.leader)
    addToGroup(groups, entry.leader, entry.path, scope)
  }
  return { nodes, groups, leaders }
}

function nodeOf(entry: Entry, inodes: ReadonlyMap<RelPath, Node>, scope: NodeScope): Node {
  const named = entry.kind === 'hardlink' ? (inodes.get(entry.leader) as Node) : entry
  const { uname: _uname, gname: _gname, flags: _flags, xattrs: _xattrs, ...own } = named
  return { ...own, ...metaOf(entry, scope) }
}

/** Names of owners are for people: what is set and compared are the numbers. */
function metaOf(entry: EntryMeta, scope: NodeScope): EntryMeta {
  const { path, mode, uid, gid, mtime } = entry
  // A manifest that was not made by scan may hold them.
  const [flags, xattrs] = [portableFlags(entry.flags ?? []), portableXattrs(entry.xattrs ?? new Map())]
  return {
    path,
    mode,
    uid,
    gid,
    mtime,
    ...(scope.flags && flags.length > 0 ? { flags } : {}),
    ...(scope.xattrs && xattrs.size > 0 ? { xattrs } : {}),
  }
}

function addToGroup(groups: Map<RelPath, RelPath[]>, leader: RelPath, path: RelPath, scope: NodeScope): void {
  const known = groups.get(leader) ?? (scope.excluded(leader) ? [] : [leader])
  known.push(path)
  groups.set(leader, known)
  for (const name of known) groups.set(name, known)
}

/** Two nodes of one key are the same but for their attributes. */
export function contentKey(node: Node): string {
  switch (node.kind) {
    case 'file':
      return `file ${node.size} ${node.sha256}`
    case 'symlink':
      return `symlink ${node.target}`
    case 'char':
    case 'block':
      return `${node.kind} ${node.major} ${node.minor}`
    default:
      return node.kind
  }
}

export function sameContent(a: Node, b: Node): boolean {
  return contentKey(a) === contentKey(b)
}

/** Mode, owner, time, flags and attributes. The mode of a symbolic link means nothing. */
export function sameAttributes(a: Node, b: Node): boolean {
  return sameMode(a, b) && sameOwner(a, b) && sameTime(a, b) && sameFlags(a, b) && sameXattrs(a, b)
}

export function sameMode(a: Node, b: Node): boolean {
  return a.mode === b.mode || (a.kind === 'symlink' && b.kind === 'symlink')
}

export function sameOwner(a: Node, b: Node): boolean {
  return a.uid === b.uid && a.gid === b.gid
}

export function sameTime(a: Pick<Node, 'mtime'>, b: Pick<Node, 'mtime'>): boolean {
  return a.mtime.sec === b.mtime.sec && a.mtime.nsec === b.mtime.nsec
}

export function sameFlags(a: Node, b: Node): boolean {
  return (a.flags ?? []).join() === (b.flags ?? []).join()
}

export function sameXattrs(a: Node, b: Node): boolean {
  const [left, right] = [a.xattrs ?? new Map<string, string>(), b.xattrs ?? new Map<string, string>()]
  return left.size === right.size && [...left].every(([name, value]) => right.get(name) === value)
}

/** Paths that the step from one tree to the other is about, in byte order. */
export function changedPaths(base: NodeTree, next: NodeTree): readonly RelPath[] {
  const paths = new Set([...base.nodes.keys(), ...next.nodes.keys()])
  return [...paths].filter((path) => isChanged(base, next, path)).sort()
}

function isChanged(base: NodeTree, next: NodeTree, path: RelPath): boolean {
  const [old, wanted] = [base.nodes.get(path), next.nodes.get(path)]
  if (old === undefined || wanted === undefined) return true
  return !sameContent(old, wanted) || !sameAttributes(old, wanted) || isRelinked(base, next, path)
}

/** The set of names that share the file is another one. */
export function isRelinked(base: NodeTree, next: NodeTree, path: RelPath): boolean {
  const [old, wanted] = [base.groups.get(path) ?? [path], next.groups.get(path) ?? [path]]
  return old.length !== wanted.length || old.some((name, i) => name !== wanted[i])
}
