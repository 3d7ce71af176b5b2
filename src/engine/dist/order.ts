import { BinderyError } from '../../base/error.ts'
import { comparePaths, parentPath, rootPath, showPath } from '../../base/path.ts'
import { manifestLimits, sharesInode } from '../../format/manifest-check.ts'
import { installOrderVersion, installRank } from '../tree/critical.ts'
import type { EntryHeader } from '../../base/entry.ts'
import type { RelPath } from '../../base/path.ts'

/**
 * The order of a dist's members, `order=1` in its first header: by rank of installation, then byte order of the paths.
 * Whoever unpacks a dist as it streams thus has directories before their contents and new libraries before new
 * programs. A released tar must be rebuilt to the byte for ever: new ranks get a new number, and the old ones stay.
 */
export const distOrder: number = installOrderVersion

/** Sorted as a dist holds them, and checked: what this returns, `memberChecker` accepts. */
export function inDistOrder<T extends EntryHeader>(headers: readonly T[]): readonly T[] {
  const ranked = headers.map((header) => ({ header, rank: installRank(header) }))
  ranked.sort((a, b) => a.rank - b.rank || comparePaths(a.header.path, b.header.path))
  const checker = memberChecker()
  for (const { header, rank } of ranked) checker.add(header, rank)
  checker.end()
  return ranked.map(({ header }) => header)
}

export type MemberChecker = { add(header: EntryHeader, rank?: number): void; end(): void }

/** Looks at one header after the other and throws at the first that cannot stand where it stands. */
export function memberChecker(): MemberChecker {
  const seen = new Map<RelPath, EntryHeader>()
  let last: { readonly rank: number; readonly path: RelPath } | undefined
  const add = (header: EntryHeader, rank = installRank(header)): void => {
    const { path } = header
    if (last === undefined && (path !== rootPath || header.kind !== 'dir')) throw rootless()
    // Two members of one path: tools disagree about which one counts, and a link followed by a file writes through it.
    if (seen.has(path)) throw hostile(path, 'comes twice')
    if (last !== undefined && (rank < last.rank || (rank === last.rank && comparePaths(path, last.path) <= 0))) throw misplaced(path)
    checkParent(seen, path)
    if (header.kind === 'hardlink') checkLeader(seen.get(header.leader), header)
    if (seen.size >= manifestLimits.entries) throw new BinderyError('over-limit', `a dist holds at most ${manifestLimits.entries} members`)
    seen.set(path, header)
    last = { rank, path }
  }
  const end = (): void => {
    if (last === undefined) throw rootless()
  }
  return { add, end }
}

function rootless(): BinderyError {
  return new BinderyError('bad-format', 'a dist starts with its root directory')
}

/** Stops the member below a symbolic link, which would be written wherever the link points. */
function checkParent(seen: ReadonlyMap<RelPath, EntryHeader>, path: RelPath): void {
  if (path !== rootPath && seen.get(parentPath(path))?.kind !== 'dir') throw hostile(path, 'is not below a directory of the dist')
}

function checkLeader(leader: EntryHeader | undefined, link: EntryHeader & { kind: 'hardlink' }): void {
  if (leader === undefined) throw hostile(link.path, `is a hard link to ${showPath(link.leader)}, which does not come before it`)
  if (leader.kind === 'dir' || leader.kind === 'hardlink' || leader.path > link.path) {
    throw hostile(link.path, `is a hard link to ${showPath(link.leader)}, which cannot be a leader`)
  }
  if (!sharesInode(leader, link)) throw hostile(link.path, `differs in mode, owner, time or attributes from ${showPath(link.leader)}`)
}

function hostile(path: RelPath, message: string): BinderyError {
  return new BinderyError('hostile', message, { subject: showPath(path) })
}

function misplaced(path: RelPath): BinderyError {
  return new BinderyError('bad-format', 'stands in the wrong place of the dist', { subject: showPath(path) })
}
