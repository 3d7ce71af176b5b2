import { comparePaths } from '../../base/path.ts'
import { unreachable } from '../../base/error.ts'
import { sameFlags, sameXattrs } from '../../format/manifest-check.ts'
import type { Entry, HardlinkEntry, Manifest } from '../../base/entry.ts'
import type { RelPath } from '../../base/path.ts'

/** What differs between two states of a tree. Content decides; a time stamp alone is an aspect like any other. */

/** `links`: the path belongs to another group of hard links than before. `owner`: the numbers; names follow from them. */
export type Aspect = 'kind' | 'content' | 'target' | 'device' | 'links' | 'mode' | 'owner' | 'mtime' | 'flags' | 'xattrs'

export const aspects: readonly Aspect[] = ['kind', 'content', 'target', 'device', 'links', 'mode', 'owner', 'mtime', 'flags', 'xattrs']

export type Difference = {
  readonly path: RelPath
  readonly kind: 'added' | 'removed' | 'changed'
  readonly old?: Entry
  readonly new?: Entry
  /** In the order of `aspects`; empty for `added` and `removed`. */
  readonly aspects: readonly Aspect[]
}

/** In byte order of the paths. */
export function diffManifests(old: Manifest, next: Manifest): readonly Difference[] {
  const oldInodes = inodesOf(old)
  const newInodes = inodesOf(next)
  const found: Difference[] = []
  for (const [a, b] of pairs(old.entries, next.entries)) {
    if (a === undefined) found.push({ path: (b as Entry).path, kind: 'added', new: b as Entry, aspects: [] })
    else if (b === undefined) found.push({ path: a.path, kind: 'removed', old: a, aspects: [] })
    else {
      const changed = aspectsOf(a, b, oldInodes(a), newInodes(b))
      if (changed.length > 0) found.push({ path: a.path, kind: 'changed', old: a, new: b, aspects: changed })
    }
  }
  return found
}

/** Two sorted lists side by side: every path once. */
function* pairs(old: readonly Entry[], next: readonly Entry[]): Generator<readonly [Entry | undefined, Entry | undefined]> {
  let i = 0
  let j = 0
  while (i < old.length || j < next.length) {
    const a = old[i]
    const b = next[j]
    const order = a === undefined ? 1 : b === undefined ? -1 : comparePaths(a.path, b.path)
    yield [order <= 0 ? a : undefined, order >= 0 ? b : undefined]
    if (order <= 0) i++
    if (order >= 0) j++
  }
}

type Inode = Exclude<Entry, HardlinkEntry>

/** The entry that holds the content: for a hard link its leader. */
function inodesOf(manifest: Manifest): (entry: Entry) => Inode {
  const leaders = new Map<RelPath, Inode>()
  for (const entry of manifest.entries) if (entry.kind !== 'hardlink') leaders.set(entry.path, entry)
  return (entry) => {
    const inode = entry.kind === 'hardlink' ? leaders.get(entry.leader) : entry
    if (inode === undefined) throw new Error(`no leader for ${entry.path}`)
    return inode
  }
}

function aspectsOf(a: Entry, b: Entry, oldInode: Inode, newInode: Inode): readonly Aspect[] {
  const found: Aspect[] = []
  if (oldInode.kind !== newInode.kind) found.push('kind')
  else if (!sameContent(oldInode, newInode)) found.push(contentAspect(newInode))
  if (leaderOf(a) !== leaderOf(b)) found.push('links')
  if (a.mode !== b.mode) found.push('mode')
  if (a.uid !== b.uid || a.gid !== b.gid) found.push('owner')
  if (a.mtime.sec !== b.mtime.sec || a.mtime.nsec !== b.mtime.nsec) found.push('mtime')
  if (!sameFlags(a.flags, b.flags)) found.push('flags')
  if (!sameXattrs(a.xattrs, b.xattrs)) found.push('xattrs')
  return found
}

function contentAspect(entry: Inode): Aspect {
  switch (entry.kind) {
    case 'symlink':
      return 'target'
    case 'char':
    case 'block':
      return 'device'
    default:
      return 'content'
  }
}

function leaderOf(entry: Entry): RelPath | undefined {
  return entry.kind === 'hardlink' ? entry.leader : undefined
}

/** Kind and what it holds: bytes, link target, device numbers; a hard link holds its leader's path. */
export function sameContent(a: Entry, b: Entry): boolean {
  switch (a.kind) {
    case 'file':
      return b.kind === 'file' && a.size === b.size && a.sha256 === b.sha256
    case 'symlink':
      return b.kind === 'symlink' && a.target === b.target
    case 'hardlink':
      return b.kind === 'hardlink' && a.leader === b.leader
    case 'char':
    case 'block':
      return a.kind === b.kind && a.major === b.major && a.minor === b.minor
    case 'dir':
    case 'fifo':
    case 'socket':
      return a.kind === b.kind
    default:
      return unreachable(a)
  }
}

/** Mode, owner, time, flags and extended attributes. */
export function sameMeta(a: Entry, b: Entry): boolean {
  return (
    a.mode === b.mode &&
    a.uid === b.uid &&
    a.gid === b.gid &&
    a.mtime.sec === b.mtime.sec &&
    a.mtime.nsec === b.mtime.nsec &&
    sameFlags(a.flags, b.flags) &&
    sameXattrs(a.xattrs, b.xattrs)
  )
}
