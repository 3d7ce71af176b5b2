import type { ByteStream } from '../base/bytes.ts'
import type { Sha256 } from '../base/digest.ts'
import type { Timestamp, Xattrs } from '../base/entry.ts'
import type { RelPath } from '../base/path.ts'

/**
 * One tree of files, addressed below a root that is fixed when the adapter is made. The contract, checked by
 * test/conformance/disk.ts against every implementation:
 *
 * - A symbolic link is never followed in the last component, and the adapter refuses (`hostile`) a path whose parent
 *   is not reached through real directories of the root.
 * - Every operation that makes a name fails with `exists` when the name is taken; only `rename` replaces.
 * - Every failure is a BinderyError with the path as subject: `not-found`, `exists`, `permission`, `no-space`,
 *   `read-only`, `not-supported`, `wrong-type` (for instance rmdir of a file, or of a directory that is not empty),
 *   `io` for all else.
 * - Nothing is durable before `sync` has returned for the file and for the directory that names it.
 */
export type Disk = DiskReader & DiskWriter

export type DiskKind = 'file' | 'dir' | 'symlink' | 'fifo' | 'socket' | 'char' | 'block'

export type Stat = {
  readonly kind: DiskKind
  readonly mode: number
  readonly uid: number
  readonly gid: number
  /** Bytes of a file; 0 for all else. */
  readonly size: number
  readonly mtime: Timestamp
  readonly nlink: number
  /** Names an inode together with `device`. */
  readonly inode: bigint
  /** The file system that the path lives on; two paths with the same number can be renamed into each other. */
  readonly device: bigint
  /** Of a char or block device. */
  readonly major?: number
  readonly minor?: number
  /** Bytes really allocated: less than `size` for a sparse file. */
  readonly allocated: number
}

/** One file, whatever its names. */
export type Inode = Pick<Stat, 'inode' | 'device'>

export type XattrsHow = {
  /** As of chmod, and not of a symbolic link. */
  readonly seen?: Inode | undefined
  /** Names that are left as they are, whether they are there or not. */
  readonly stays?: (name: string) => boolean
}

/** Who may read a file. */
export type Rights = Pick<Stat, 'mode' | 'uid' | 'gid'>

export type Space = {
  /** What an unprivileged writer may still use. */
  readonly freeBytes: number
  /** Infinity on file systems that do not count inodes. */
  readonly freeInodes: number
  readonly blockSize: number
  readonly readOnly: boolean
  /** The file system has one log of its changes, times included: what came before something that is synced is durable with it. */
  readonly isOrdered: boolean
}

/**
 * Why a change is refused whoever asks for it: by the mount, or by flags of the inode that `flagsOf` does not know, or that the
 * security level of the system keeps (`locked`). `remote` is a file system of another machine.
 */
export type Refusal = 'read-only' | 'immutable' | 'append-only' | 'locked' | 'remote'

/** What this adapter can do on this system; asked once, shown to the user when something would be lost. */
export type DiskCapabilities = {
  readonly xattrs: boolean
  readonly flags: boolean
  /** May set any owner (root), make devices. */
  readonly privileged: boolean
}

export type ReadOptions = {
  readonly start?: number
  readonly end?: number
  /** Gives memory for each chunk: for consumers that are done with one when they ask for the next. */
  readonly room?: () => Uint8Array
  /** What lstat said of the file: `io` at the end of the read where it is no longer so. */
  readonly seen?: { readonly size: number; readonly mtime: Timestamp }
}

export type DiskReader = {
  capabilities(): Promise<DiskCapabilities>
  /** Undefined where there is nothing. */
  lstat(path: RelPath): Promise<Stat | undefined>
  /** Names (bytes as latin1) in no particular order, without `.` and `..`. */
  readdir(path: RelPath): Promise<readonly string[]>
  readlink(path: RelPath): Promise<string>
  /** The bytes [start, end) of a regular file; opened with O_NOFOLLOW. */
  read(path: RelPath, options?: ReadOptions): ByteStream
  /** Size and digest of a regular file's content: faster than reading it through `read`. */
  digest(path: RelPath): Promise<{ readonly size: number; readonly sha256: Sha256 }>
  /**
   * Extended attributes of those of `paths` that have some; one call for many, since that may cost a process. Empty
   * where the capability is missing; a path that has gone is left out.
   */
  xattrsOf(paths: readonly RelPath[]): Promise<ReadonlyMap<RelPath, Xattrs>>
  /** BSD file flags, likewise. */
  flagsOf(paths: readonly RelPath[]): Promise<ReadonlyMap<RelPath, readonly string[]>>
  /** Of the file system that holds `path`, which must exist. */
  space(path: RelPath): Promise<Space>
  /** Those of `paths` (existing files and directories) that would refuse, as far as the system tells without trying; one call for many. */
  refusalsOf(paths: readonly RelPath[]): Promise<ReadonlyMap<RelPath, Refusal>>
  /** Those of `paths` on which something is mounted: they can be neither replaced nor removed. */
  mountPointsAmong(paths: readonly RelPath[]): Promise<ReadonlySet<RelPath>>
}

export type DiskWriter = {
  /** Makes a regular file of mode 0600, runs of zeros as holes; answers how many bytes it holds. Removes it on failure. */
  create(path: RelPath, content: ByteStream): Promise<number>
  /** Adds to the end of an existing regular file, making it with mode 0600 where there is none. */
  append(path: RelPath, content: ByteStream): Promise<number>
  truncate(path: RelPath, size: number): Promise<void>
  /**
   * Makes a regular file of mode 0600 with the content of another one, in blocks that they share where the file system can. `rights`: those
   * of the other one when it was looked at, which the copy is to get; `conflict` where it has others by now.
   */
  clone(path: RelPath, existing: RelPath, rights?: Rights): Promise<void>
  /** With exactly this mode, whatever the umask. */
  mkdir(path: RelPath, mode: number): Promise<void>
  symlink(path: RelPath, target: string): Promise<void>
  /** Never of a directory. `not-supported` across file systems, `permission` where the file or its file system can have none, `io` where it is denied. */
  link(path: RelPath, existing: RelPath): Promise<void>
  mknod(path: RelPath, node: { readonly kind: 'fifo' | 'char' | 'block'; readonly major?: number; readonly minor?: number }): Promise<void>
  /** Replaces a file or link at `to` atomically; `not-supported` across file systems. */
  rename(from: RelPath, to: RelPath): Promise<void>
  unlink(path: RelPath): Promise<void>
  rmdir(path: RelPath): Promise<void>
  /** Not of a symbolic link (`not-supported`): its mode means nothing. `seen`: what lstat said; `hostile` where that is another file by now. */
  chmod(path: RelPath, mode: number, seen?: Inode): Promise<void>
  /** lchown(2). `seen` likewise. */
  chown(path: RelPath, uid: number, gid: number, seen?: Inode): Promise<void>
  /** Exact to the nanosecond where the system's touch(1) is; many at once, since that may cost one process. */
  setTimes(times: readonly { readonly path: RelPath; readonly mtime: Timestamp }[]): Promise<void>
  /** Makes the path's attributes exactly these, but for those that stay. Set them after the owner: chown(2) drops capabilities. */
  setXattrs(path: RelPath, xattrs: Xattrs, how?: XattrsHow): Promise<void>
  /** Makes the path's flags exactly these. */
  setFlags(path: RelPath, flags: readonly string[]): Promise<void>
  /** fsync(2) of a regular file or a directory. A failure is final: the caller must not try again (`io`). */
  sync(path: RelPath): Promise<void>
}
