import { BinderyError } from '../base/error.ts'
import { baseName, isWithin, maxNameBytes, parentPath, rootPath, showPath } from '../base/path.ts'
import type { Timestamp, Xattrs } from '../base/entry.ts'
import type { ErrorCode } from '../base/error.ts'
import type { RelPath } from '../base/path.ts'
import type { DiskKind, Refusal } from '../port/disk.ts'

/** The inodes behind `memoryDisk`: names lead to inodes through directories, as on a real file system. */

export type MemoryInode = {
  readonly kind: DiskKind
  readonly inode: bigint
  readonly device: bigint
  mode: number
  uid: number
  gid: number
  mtime: Timestamp
  nlink: number
  content: Uint8Array
  readonly target: string
  readonly major: number
  readonly minor: number
  xattrs: Xattrs
  flags: readonly string[]
  readonly children: Map<string, MemoryInode>
}

/** A file system below a path of the tree. */
export type MemoryMount = {
  readonly freeBytes?: number
  readonly freeInodes?: number
  readonly readOnly?: boolean
  /** What is answered when somebody asks; nothing fails. */
  readonly refusal?: Refusal
}

export type Mounts = Readonly<Record<string, MemoryMount>>

export type MemoryTree = {
  /** Undefined where there is nothing; `hostile` where the way there leads through something else than directories. */
  find(path: RelPath): MemoryInode | undefined
  /** As `find`, but `not-found` instead of undefined. */
  get(path: RelPath): MemoryInode
  /** The directory that `path` is to be named in, on a file system that can be written to. */
  parentForWriting(path: RelPath): MemoryInode
  /** Names a new inode at `path`, which must be free. */
  add(path: RelPath, kind: DiskKind, parts?: Partial<MemoryInode>): MemoryInode
  /** Every change of a directory or a file is one tick of the tree's own clock. */
  touch(inode: MemoryInode): void
  mountOf(path: RelPath): MemoryMount & { readonly device: bigint; readonly top: RelPath }
}

export function failure(code: ErrorCode, path: RelPath, message: string): BinderyError {
  return new BinderyError(code, message, { subject: showPath(path) })
}

export function memoryTree(mounts: Mounts): MemoryTree {
  const tops = [rootPath, ...(Object.keys(mounts).filter((top) => top !== rootPath) as RelPath[])]
  let count = 1n
  let ticks = 0
  const tick = (): Timestamp => ({ sec: 1_000_000_000 + ++ticks, nsec: 0 })

  const make = (kind: DiskKind, device: bigint, parts: Partial<MemoryInode>): MemoryInode => {
    const empty = {
      mode: kind === 'symlink' ? 0o777 : 0o600,
      uid: 0,
      gid: 0,
      mtime: tick(),
      nlink: 1,
      content: new Uint8Array(0),
      target: '',
      major: 0,
      minor: 0,
    }
    return { ...empty, xattrs: new Map(), flags: [], children: new Map(), ...parts, kind, inode: ++count, device }
  }
  const root = make('dir', 1n, { mode: 0o755 })

  const mountOf: MemoryTree['mountOf'] = (path) => {
    let best = rootPath
    for (const top of tops) if (isWithin(path, top) && (best === rootPath || top.length > best.length)) best = top
    return { ...mounts[best], device: BigInt(tops.indexOf(best) + 1), top: best }
  }

  const find = (path: RelPath): MemoryInode | undefined => {
    if (path === rootPath) return root
    let dir = root
    const names = path.split('/')
    checkNames(path)
    for (const [i, name] of names.slice(0, -1).entries()) {
      const next = dir.children.get(name)
      if (next === undefined) return undefined
      if (next.kind !== 'dir') throw failure('hostile', names.slice(0, i + 1).join('/') as RelPath, 'is on the way and is no directory')
      dir = next
    }
    return dir.children.get(baseName(path))
  }

  const get = (path: RelPath): MemoryInode => {
    const inode = find(path)
    if (inode === undefined) throw failure('not-found', path, 'no such file or directory')
    return inode
  }

  const parentForWriting = (path: RelPath): MemoryInode => {
    checkNames(path)
    const parent = get(parentPath(path))
    if (parent.kind !== 'dir') throw failure('hostile', parentPath(path), 'is on the way and is no directory')
    if (mountOf(path).readOnly === true) throw failure('read-only', path, 'its file system is mounted read-only')
    return parent
  }

  const touch = (inode: MemoryInode): void => {
    inode.mtime = tick()
  }

  const add: MemoryTree['add'] = (path, kind, parts = {}) => {
    const parent = parentForWriting(path)
    if (path === rootPath || parent.children.has(baseName(path))) throw failure('exists', path, 'exists already')
    const inode = make(kind, mountOf(path).device, parts)
    parent.children.set(baseName(path), inode)
    touch(parent)
    return inode
  }

  for (const top of tops) if (top !== rootPath) addMountPoint(add, find, top)
  return { find, get, parentForWriting, add, touch, mountOf }
}

function checkNames(path: RelPath): void {
  if (path.length > maxNameBytes && path.split('/').some((name) => name.length > maxNameBytes))
    throw failure('io', path, 'the name is too long for the file system')
}

function addMountPoint(add: MemoryTree['add'], find: MemoryTree['find'], top: RelPath): void {
  if (find(top) !== undefined) return
  if (parentPath(top) !== rootPath) addMountPoint(add, find, parentPath(top))
  add(top, 'dir', { mode: 0o755 })
}
