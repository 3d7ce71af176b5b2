import { BinderyError } from '../base/error.ts'
import { comparePaths, maxPathBytes, parentPath, rootPath, showPath } from '../base/path.ts'
import type { Entry, EntryHeader, EntryMeta, HardlinkEntry, Manifest, Xattrs } from '../base/entry.ts'
import type { RelPath } from '../base/path.ts'

/** Hard limits of a manifest (doc/spec/manifest.md, "Limits"). */
export const manifestLimits = {
  bytes: 256 << 20,
  entries: 2_000_000,
  /** libarchive gives up on lines of 64 KiB. */
  line: 60_000,
  ownerName: 255,
  flags: 32,
  xattrName: 255,
  /** Linux's XATTR_SIZE_MAX, and as much for all attributes of one path, as ext4 and XFS can hold. */
  xattrBytes: 65_536,
} as const

const maxNumber = 0xffff_ffff

/**
 * Throws unless the manifest is what its type promises: `.` first, byte order, each path once, each parent a directory,
 * each hard link after its leader, every number and name within its limits. `bad-format`, or `over-limit`.
 */
export function checkManifest(manifest: Manifest): void {
  const { entries } = manifest
  if (entries.length > manifestLimits.entries) throw new BinderyError('over-limit', `more than ${manifestLimits.entries} entries`)
  if (entries[0]?.path !== rootPath) throw new BinderyError('bad-format', "the first entry must be the directory '.'")
  const seen = new Map<RelPath, Entry>()
  let last: RelPath | undefined
  for (const entry of entries) {
    if (last !== undefined && comparePaths(last, entry.path) >= 0)
      throw refused(entry, seen.has(entry.path) ? 'listed twice' : 'not in byte order')
    checkParent(entry, seen)
    checkEntry(entry)
    if (entry.kind === 'hardlink') checkHardlink(entry, seen)
    seen.set(entry.path, entry)
    last = entry.path
  }
}

function refused(entry: EntryMeta, message: string): BinderyError {
  return new BinderyError('bad-format', message, { subject: showPath(entry.path) })
}

function checkParent(entry: Entry, seen: ReadonlyMap<RelPath, Entry>): void {
  if (entry.path === rootPath) {
    if (entry.kind !== 'dir') throw refused(entry, 'must be a directory')
    return
  }
  // A path below a link or a file would be written through it.
  if (seen.get(parentPath(entry.path))?.kind !== 'dir') throw refused(entry, 'its parent is no directory of the manifest')
}

/** The values of one entry, apart from its neighbours; the digest of a file only where there is one yet. */
export function checkEntry(entry: EntryHeader): void {
  checkMeta(entry)
  switch (entry.kind) {
    case 'file':
      if (!Number.isSafeInteger(entry.size) || entry.size < 0) throw refused(entry, 'bad size')
      if ('sha256' in entry && !/^[0-9a-f]{64}$/.test(String(entry.sha256))) throw refused(entry, 'bad sha256')
      return
    case 'symlink':
      if (entry.target === '' || entry.target.length > maxPathBytes || !isBytes(entry.target)) throw refused(entry, 'bad link target')
      return
    case 'char':
    case 'block':
      if (!isNumber32(entry.major) || !isNumber32(entry.minor)) throw refused(entry, 'bad device number')
      return
    case 'dir':
    case 'hardlink':
    case 'fifo':
    case 'socket':
  }
}

function checkMeta(entry: EntryMeta): void {
  if (!Number.isInteger(entry.mode) || entry.mode < 0 || entry.mode > 0o7777) throw refused(entry, 'bad mode')
  if (!isNumber32(entry.uid) || !isNumber32(entry.gid)) throw refused(entry, 'bad owner')
  if (!isOwnerName(entry.uname) || !isOwnerName(entry.gname)) throw refused(entry, 'bad owner name')
  const { sec, nsec } = entry.mtime
  if (!Number.isSafeInteger(sec) || Object.is(sec, -0) || !Number.isInteger(nsec) || nsec < 0 || nsec > 999_999_999)
    throw refused(entry, 'bad time')
  if (entry.flags !== undefined) checkFlags(entry, entry.flags)
  if (entry.xattrs !== undefined) checkXattrs(entry, entry.xattrs)
}

function isNumber32(value: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= maxNumber
}

function isOwnerName(name: string | undefined): boolean {
  return name === undefined || (name !== '' && name.length <= manifestLimits.ownerName && isBytes(name))
}

/** One char per byte, no NUL. */
function isBytes(text: string): boolean {
  return /^[\u0001-\u00ff]*$/.test(text)
}

function checkFlags(entry: EntryMeta, flags: readonly string[]): void {
  const sorted = flags.every((flag, i) => /^[a-z]{1,32}$/.test(flag) && (i === 0 || flag > (flags[i - 1] as string)))
  if (flags.length === 0 || flags.length > manifestLimits.flags || !sorted) throw refused(entry, 'bad flags')
}

function checkXattrs(entry: EntryMeta, xattrs: Xattrs): void {
  let total = 0
  for (const [name, value] of xattrs) {
    if (name === '' || name.length > manifestLimits.xattrName || !isBytes(name)) throw refused(entry, 'bad attribute name')
    if (!/^[\u0000-\u00ff]*$/.test(value)) throw refused(entry, 'bad attribute value')
    total += name.length + value.length
  }
  if (xattrs.size === 0) throw refused(entry, 'no attributes: leave the map out')
  if (total > manifestLimits.xattrBytes)
    throw new BinderyError('over-limit', 'more than 64 KiB of attributes', { subject: showPath(entry.path) })
}

function checkHardlink(link: HardlinkEntry, seen: ReadonlyMap<RelPath, Entry>): void {
  const leader = seen.get(link.leader)
  if (leader === undefined) throw refused(link, 'its leader is no earlier entry')
  if (leader.kind === 'dir' || leader.kind === 'hardlink') throw refused(link, `its leader is a ${leader.kind}`)
  if (!sharesInode(link, leader)) throw refused(link, 'mode, owner, time, flags or attributes differ from its leader')
}

/** Names of one file cannot differ in what belongs to the file. */
export function sharesInode(a: EntryMeta, b: EntryMeta): boolean {
  return (
    a.mode === b.mode &&
    a.uid === b.uid &&
    a.gid === b.gid &&
    a.uname === b.uname &&
    a.gname === b.gname &&
    a.mtime.sec === b.mtime.sec &&
    a.mtime.nsec === b.mtime.nsec &&
    sameFlags(a.flags, b.flags) &&
    sameXattrs(a.xattrs, b.xattrs)
  )
}

export function sameFlags(a: readonly string[] | undefined, b: readonly string[] | undefined): boolean {
  return (a ?? []).join(',') === (b ?? []).join(',')
}

export function sameXattrs(a: Xattrs | undefined, b: Xattrs | undefined): boolean {
  if ((a?.size ?? 0) !== (b?.size ?? 0)) return false
  for (const [name, value] of a ?? []) if (b?.get(name) !== value) return false
  return true
}
