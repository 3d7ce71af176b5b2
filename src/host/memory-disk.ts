import { concatBytes, oneChunk } from '../base/bytes.ts'
import { sha256 } from '../base/digest.ts'
import { baseName, isWithin, rootPath } from '../base/path.ts'
import { changedWhileRead, checkRights } from './disk-error.ts'
import { failure, memoryTree } from './memory-tree.ts'
import type { ByteStream } from '../base/bytes.ts'
import type { Xattrs } from '../base/entry.ts'
import type { RelPath } from '../base/path.ts'
import type { Disk, DiskReader, DiskWriter, Inode, ReadOptions, Stat, XattrsHow } from '../port/disk.ts'
import type { MemoryInode, MemoryTree, Mounts } from './memory-tree.ts'

/**
 * The disk port without a disk, for tests: everything is supported, time is a counter, every write is durable. `mounts`
 * makes file systems of their own below some paths, full or read-only where wanted; `.` stands for the root's.
 */
export function memoryDisk(options: { readonly mounts?: Mounts } = {}): Disk {
  const tree = memoryTree(options.mounts ?? {})
  return { ...reader(tree), ...writer(tree) }
}

function reader(tree: MemoryTree): DiskReader {
  return {
    capabilities: async () => ({ xattrs: true, flags: true, privileged: true }),
    lstat: async (path) => {
      const inode = tree.find(path)
      return inode === undefined ? undefined : statOf(inode)
    },
    readdir: async (path) => [...ofKind(tree, path, 'dir').children.keys()],
    readlink: async (path) => ofKind(tree, path, 'symlink').target,
    read: (path, options = {}) => readContent(tree, path, options),
    digest: async (path) => {
      const { content } = ofKind(tree, path, 'file')
      return { size: content.length, sha256: sha256(content) }
    },
    xattrsOf: async (paths) => select(tree, paths, (inode) => (inode.xattrs.size > 0 ? inode.xattrs : undefined)),
    flagsOf: async (paths) => select(tree, paths, (inode) => (inode.flags.length > 0 ? inode.flags : undefined)),
    refusalsOf: async (paths) =>
      select(tree, paths, (_, path) => {
        const { readOnly, refusal } = tree.mountOf(path)
        return readOnly === true ? 'read-only' : refusal
      }),
    mountPointsAmong: async (paths) => new Set(paths.filter((path) => tree.mountOf(path).top === path)),
    space: async (path) => {
      tree.get(path)
      const { freeBytes = 2 ** 40, freeInodes = 2 ** 20, readOnly = false } = tree.mountOf(path)
      return { freeBytes, freeInodes, blockSize: 4096, readOnly, isOrdered: false }
    },
  }
}

function writer(tree: MemoryTree): DiskWriter {
  const change = (path: RelPath, edit: (inode: MemoryInode) => void): void => {
    tree.parentForWriting(path)
    edit(tree.get(path))
  }
  return {
    create: async (path, content) => await createFile(tree, path, content),
    append: async (path, content) => await appendFile(tree, path, content),
    clone: async (path, existing, rights) => {
      const node = ofKind(tree, existing, 'file')
      if (rights !== undefined) checkRights(existing, node, rights)
      await createFile(tree, path, oneChunk(node.content))
    },
    truncate: async (path, size) => change(path, () => truncateFile(tree, path, size)),
    mkdir: async (path, mode) => void tree.add(path, 'dir', { mode }),
    symlink: async (path, target) => void tree.add(path, 'symlink', { target }),
    link: async (path, existing) => link(tree, path, existing),
    mknod: async (path, { kind, major = 0, minor = 0 }) => void tree.add(path, kind, { major, minor }),
    rename: async (from, to) => rename(tree, from, to),
    unlink: async (path) => unlink(tree, path),
    rmdir: async (path) => rmdir(tree, path),
    chmod: async (path, mode, seen) => change(path, (inode) => (mustBe(path, inode, seen), setMode(path, inode, mode))),
    chown: async (path, uid, gid, seen) => change(path, (inode) => (mustBe(path, inode, seen), void Object.assign(inode, { uid, gid }))),
    setTimes: async (times) => {
      for (const { path, mtime } of times) change(path, (inode) => void Object.assign(inode, { mtime: { ...mtime } }))
    },
    setXattrs: async (path, xattrs, { seen, stays } = {}) =>
      change(path, (inode) => (mustBe(path, inode, seen), void (inode.xattrs = xattrsAfter(inode.xattrs, xattrs, stays)))),
    setFlags: async (path, flags) => change(path, (inode) => void (inode.flags = [...flags].sort())),
    sync: async (path) => void tree.get(path),
  }
}

function statOf(inode: MemoryInode): Stat {
  const { kind, mode, uid, gid, mtime, device, major, minor, content } = inode
  const links = kind === 'dir' ? 2 + [...inode.children.values()].filter((child) => child.kind === 'dir').length : inode.nlink
  const numbers = kind === 'char' || kind === 'block' ? { major, minor } : {}
  const allocated = Math.ceil(content.length / 4096) * 4096
  return { kind, mode, uid, gid, size: content.length, mtime, nlink: links, inode: inode.inode, device, allocated, ...numbers }
}

function ofKind(tree: MemoryTree, path: RelPath, kind: 'file' | 'dir' | 'symlink'): MemoryInode {
  const inode = tree.get(path)
  if (inode.kind !== kind) throw failure('wrong-type', path, `is no ${kind}`)
  return inode
}

async function* readContent(tree: MemoryTree, path: RelPath, { start = 0, end, seen }: ReadOptions): ByteStream {
  const inode = ofKind(tree, path, 'file')
  const bytes = inode.content.slice(start, end)
  for (let at = 0; at < bytes.length; at += 65_536) yield bytes.subarray(at, at + 65_536)
  if (seen === undefined) return
  const { sec, nsec } = inode.mtime
  if (inode.content.length !== seen.size || sec !== seen.mtime.sec || nsec !== seen.mtime.nsec) throw changedWhileRead(path)
}

function select<T>(
  tree: MemoryTree,
  paths: readonly RelPath[],
  look: (inode: MemoryInode, path: RelPath) => T | undefined,
): ReadonlyMap<RelPath, T> {
  const found = new Map<RelPath, T>()
  for (const path of paths) {
    const inode = tree.find(path)
    const value = inode === undefined ? undefined : look(inode, path)
    if (value !== undefined) found.set(path, value)
  }
  return found
}

async function createFile(tree: MemoryTree, path: RelPath, content: ByteStream): Promise<number> {
  const inode = tree.add(path, 'file')
  try {
    return await fill(tree, path, inode, content)
  } catch (error) {
    unlink(tree, path)
    throw error
  }
}

async function appendFile(tree: MemoryTree, path: RelPath, content: ByteStream): Promise<number> {
  tree.parentForWriting(path)
  if (tree.find(path) === undefined) tree.add(path, 'file')
  return await fill(tree, path, ofKind(tree, path, 'file'), content)
}

/** Chunk by chunk, so that a crash in the middle leaves what a crash would. */
async function fill(tree: MemoryTree, path: RelPath, inode: MemoryInode, content: ByteStream): Promise<number> {
  const before = inode.content.length
  for await (const chunk of content) {
    if (inode.content.length - before + chunk.length > (tree.mountOf(path).freeBytes ?? Infinity))
      throw failure('no-space', path, 'no space left on its file system')
    inode.content = concatBytes([inode.content, chunk.slice()])
  }
  tree.touch(inode)
  return inode.content.length - before
}

function truncateFile(tree: MemoryTree, path: RelPath, size: number): void {
  const inode = ofKind(tree, path, 'file')
  const content = new Uint8Array(size)
  content.set(inode.content.subarray(0, size))
  inode.content = content
  tree.touch(inode)
}

function link(tree: MemoryTree, path: RelPath, existing: RelPath): void {
  const inode = tree.get(existing)
  const parent = tree.parentForWriting(path)
  if (inode.kind === 'dir') throw failure('permission', existing, 'permission denied')
  if (parent.children.has(baseName(path))) throw failure('exists', path, 'exists already')
  if (inode.device !== tree.mountOf(path).device) throw failure('not-supported', path, 'is on another file system')
  inode.nlink++
  parent.children.set(baseName(path), inode)
  tree.touch(parent)
}

function rename(tree: MemoryTree, from: RelPath, to: RelPath): void {
  const inode = tree.get(from)
  const source = tree.parentForWriting(from)
  const parent = tree.parentForWriting(to)
  const replaced = parent.children.get(baseName(to))
  if (inode.device !== tree.mountOf(to).device) throw failure('not-supported', from, 'is on another file system')
  if (inode.kind === 'dir' && isWithin(to, from)) throw failure('io', from, 'rename failed (EINVAL)')
  // rename(2) of one name of an inode onto another does nothing at all.
  if (replaced === inode) return
  if (replaced !== undefined) checkReplaceable(to, inode, replaced)
  source.children.delete(baseName(from))
  parent.children.set(baseName(to), inode)
  if (replaced !== undefined) replaced.nlink--
  tree.touch(source)
  tree.touch(parent)
}

function checkReplaceable(to: RelPath, inode: MemoryInode, replaced: MemoryInode): void {
  if (replaced.kind === 'dir' && inode.kind !== 'dir') throw failure('wrong-type', to, 'is a directory')
  if (replaced.kind !== 'dir' && inode.kind === 'dir') throw failure('wrong-type', to, 'is no directory')
  if (replaced.children.size > 0) throw failure('wrong-type', to, 'the directory is not empty')
}

function unlink(tree: MemoryTree, path: RelPath): void {
  const parent = tree.parentForWriting(path)
  const inode = tree.get(path)
  if (inode.kind === 'dir') throw failure('wrong-type', path, 'is a directory')
  parent.children.delete(baseName(path))
  inode.nlink--
  tree.touch(parent)
}

function rmdir(tree: MemoryTree, path: RelPath): void {
  const parent = tree.parentForWriting(path)
  const inode = tree.get(path)
  if (inode.kind !== 'dir') throw failure('wrong-type', path, 'is no directory')
  if (inode.children.size > 0 || path === rootPath) throw failure('wrong-type', path, 'the directory is not empty')
  parent.children.delete(baseName(path))
  tree.touch(parent)
}

function setMode(path: RelPath, inode: MemoryInode, mode: number): void {
  if (inode.kind === 'symlink') throw failure('not-supported', path, 'a symbolic link has no mode')
  inode.mode = mode
}

/** Throws `hostile` where it is not the one that was seen. */
function mustBe(path: RelPath, { inode, device }: MemoryInode, seen: Inode | undefined): void {
  if (seen !== undefined && (seen.inode !== inode || seen.device !== device))
    throw failure('hostile', path, 'is another file than it was a moment ago')
}

function xattrsAfter(present: Xattrs, wanted: Xattrs, stays: XattrsHow['stays'] = () => false): Map<string, string> {
  return new Map([...[...present].filter(([name]) => stays(name)), ...[...wanted].filter(([name]) => !stays(name))])
}
