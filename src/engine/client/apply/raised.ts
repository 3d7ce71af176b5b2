import { setid } from './meant.ts'
import { changedPaths, sameContent, sameOwner, sameXattrs } from './nodes.ts'
import type { RelPath } from '../../../base/path.ts'
import type { Node } from '../../../format/journal-node.ts'
import type { NodeTree } from './nodes.ts'

/**
 * Files that come to be setuid, setgid or able to do something, or cease to be, where somebody else than their owner of that time may write
 * to them before or behind it. Whoever has one open for writing may do so at any moment of a change in place, however often it is looked at:
 * such a file becomes another one with the release's own content, and its old one goes back as it was.
 */
export function raisedPaths(base: NodeTree, next: NodeTree): ReadonlySet<RelPath> {
  return new Set(changedPaths(base, next).filter((path) => isRaised(base.nodes.get(path), next.nodes.get(path))))
}

function isRaised(old: Node | undefined, wanted: Node | undefined): boolean {
  if (old?.kind !== 'file' || wanted?.kind !== 'file' || !sameContent(old, wanted)) return false
  const isOthers = !sameOwner(old, wanted) || ((old.mode | wanted.mode) & writableByOthers) !== 0
  return isOthers && (raises(old, wanted) || raises(wanted, old))
}

const writableByOthers = 0o022

function raises(from: Node, to: Node): boolean {
  const isSetid = (to.mode & setid) !== 0 && ((to.mode & setid & ~from.mode) !== 0 || !sameOwner(from, to))
  return isSetid || (to.xattrs !== undefined && (!sameXattrs(from, to) || !sameOwner(from, to)))
}
