import type { Sha256 } from './digest.ts'
import type { RelPath } from './path.ts'

/** The file model: what bindery knows of one path of a tree, on disk or described. */

/** A point in time in whole seconds and nanoseconds (0 to 999,999,999); seconds may be negative. */
export type Timestamp = { readonly sec: number; readonly nsec: number }

/** Extended attributes by full name (`user.mime_type`, `security.capability`): values are raw bytes as latin1. */
export type Xattrs = ReadonlyMap<string, string>

export type EntryMeta = {
  readonly path: RelPath
  /** The twelve low bits: permission, setuid, setgid, sticky. A symlink's is always 0777: systems differ, and none uses it. */
  readonly mode: number
  readonly uid: number
  readonly gid: number
  /** From the tree's own etc/passwd and etc/group; absent where those do not name the number. */
  readonly uname?: string
  readonly gname?: string
  readonly mtime: Timestamp
  /** BSD file flags by name (`schg`, `uchg`...), sorted; absent where there are none. */
  readonly flags?: readonly string[]
  readonly xattrs?: Xattrs
}

export type FileEntry = EntryMeta & { readonly kind: 'file'; readonly size: number; readonly sha256: Sha256 }
export type DirEntry = EntryMeta & { readonly kind: 'dir' }
/** `target` is bytes as latin1, 1 to 4095 of them, no NUL; otherwise unrestricted. */
export type SymlinkEntry = EntryMeta & { readonly kind: 'symlink'; readonly target: string }
/**
 * Another name of an earlier entry: `leader` is the group's first path in byte order and neither a hardlink nor a
 * directory. Mode, owner, time, flags and attributes are the inode's, so they are the same as the leader's.
 */
export type HardlinkEntry = EntryMeta & { readonly kind: 'hardlink'; readonly leader: RelPath }
export type FifoEntry = EntryMeta & { readonly kind: 'fifo' }
export type SocketEntry = EntryMeta & { readonly kind: 'socket' }
export type DeviceEntry = EntryMeta & { readonly kind: 'char' | 'block'; readonly major: number; readonly minor: number }

export type Entry = FileEntry | DirEntry | SymlinkEntry | HardlinkEntry | FifoEntry | SocketEntry | DeviceEntry
export type EntryKind = Entry['kind']

/** An entry whose content nobody has read yet: every Entry is one. */
export type EntryHeader = Exclude<Entry, FileEntry> | Omit<FileEntry, 'sha256'>

/**
 * A tree described: `.` first, then entries in byte order of their paths (`comparePaths`), each path once, each parent a
 * directory of the manifest. `format/manifest.ts` reads and writes it as mtree(5).
 */
export type Manifest = { readonly entries: readonly Entry[] }
