import { collectBytes, concatBytes, emptyBytes, oneChunk } from '../../base/bytes.ts'
import { BinderyError } from '../../base/error.ts'
import { comparePaths, joinPath, parentPath, rootPath, showPath } from '../../base/path.ts'
import { readAnyTar } from '../../format/any-tar.ts'
import { encodeHeader, endOfArchive, paddingOf } from '../../format/tar.ts'
import type { RelPath } from '../../base/path.ts'
import type { Disk, DiskReader } from '../../port/disk.ts'
import type { AnyTarEntry } from '../../format/any-tar.ts'

/**
 * What a package holds: everything below a root. Two paths of one file have one and the same node, so that whoever changes one of
 * them leaves the other alone. Nothing is written anywhere before it is known to be safe as a whole.
 */
export type FileTree = ReadonlyMap<RelPath, TreeNode>

export type TreeNode = { readonly kind: 'dir'; readonly mode: number } | FileNode | { readonly kind: 'symlink'; readonly target: string }

export type FileNode = { readonly kind: 'file'; readonly mode: number; readonly size: number; content(): Promise<Uint8Array> }

/** Neither setuid nor setgid leaves a package by unpacking it. */
const modeBits = 0o777

export function fileNode(bytes: Uint8Array, mode = 0o644): FileNode {
  return { kind: 'file', mode: mode & modeBits, size: bytes.length, content: async () => bytes }
}

// --- of a tar

export async function treeOfTar(tar: Uint8Array): Promise<FileTree> {
  return withParents(await nodesOfTar(tar))
}

/** What the tar mentions, in its order: part of a tree that has the rest. */
export async function nodesOfTar(tar: Uint8Array): Promise<FileTree> {
  const tree = new Map<RelPath, TreeNode>()
  for (const entry of await readAnyTar(tar)) {
    const node = nodeOf(entry, tree)
    const former = tree.get(entry.path)
    if (former !== undefined && (former.kind !== 'dir' || node.kind !== 'dir'))
      throw new BinderyError('hostile', 'is in the tar twice', { subject: showPath(entry.path) })
    tree.set(entry.path, node)
  }
  return tree
}

function nodeOf(entry: AnyTarEntry, tree: FileTree): TreeNode {
  switch (entry.kind) {
    case 'file':
      return fileNode(entry.content, entry.mode)
    case 'dir':
      return { kind: 'dir', mode: entry.mode & modeBits }
    case 'symlink':
      return { kind: 'symlink', target: entry.target }
    case 'hardlink': {
      const leader = tree.get(entry.leader)
      if (leader?.kind === 'file') return leader
      throw new BinderyError('hostile', `is a link to ${showPath(entry.leader)}, which is no file of the tar`, {
        subject: showPath(entry.path),
      })
    }
  }
}

/** In the order of paths, with folders that nobody mentioned; refuses what lies below anything but a folder. */
export function withParents(tree: FileTree): FileTree {
  const whole = new Map(tree)
  for (const path of tree.keys()) {
    for (let parent = parentPath(path); parent !== rootPath; parent = parentPath(parent)) {
      const node = whole.get(parent)
      if (node === undefined) whole.set(parent, { kind: 'dir', mode: 0o755 })
      // Written through a link it would land elsewhere.
      else if (node.kind !== 'dir')
        throw new BinderyError('hostile', `lies below ${showPath(parent)}, which is no folder`, { subject: showPath(path) })
    }
  }
  return new Map([...whole].sort(([a], [b]) => comparePaths(a, b)))
}

// --- into a tar

/** A function of the tree and the time: owner root, paths in byte order. */
export async function tarOfTree(tree: FileTree, seconds: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  const leaders = new Map<TreeNode, RelPath>()
  for (const [path, node] of tree) {
    const meta = { path, uid: 0, gid: 0, mtime: { sec: seconds, nsec: 0 } }
    const leader = leaders.get(node)
    leaders.set(node, leader ?? path)
    if (node.kind === 'symlink') parts.push(encodeHeader({ ...meta, kind: 'symlink', mode: 0o777, target: node.target }))
    else if (node.kind === 'dir') parts.push(encodeHeader({ ...meta, kind: 'dir', mode: node.mode }))
    else if (leader !== undefined) parts.push(encodeHeader({ ...meta, kind: 'hardlink', mode: node.mode, leader }))
    else parts.push(...(await fileMember({ ...meta, mode: node.mode }, await node.content())))
  }
  return concatBytes([...parts, endOfArchive])
}

type Meta = Omit<Parameters<typeof encodeHeader>[0], 'kind'>

async function fileMember(meta: Meta, bytes: Uint8Array): Promise<readonly Uint8Array[]> {
  return [encodeHeader({ ...meta, kind: 'file', size: bytes.length }), bytes, new Uint8Array(paddingOf(bytes.length))]
}

// --- on a disk

const mostFile = 1 << 30

/** Below `folder`, which is no part of it. */
export async function readTree(disk: DiskReader, folder: RelPath): Promise<FileTree> {
  const tree = new Map<RelPath, TreeNode>()
  const byInode = new Map<string, TreeNode>()
  const walk = async (at: RelPath, inTree: RelPath): Promise<void> => {
    for (const name of await disk.readdir(at)) {
      const [path, place] = [joinPath(inTree, name), joinPath(at, name)]
      const stat = await disk.lstat(place)
      const key = `${stat?.device}:${stat?.inode}`
      const node = (stat?.kind === 'file' && byInode.get(key)) || (await nodeOnDisk(disk, place))
      if (stat?.kind === 'file') byInode.set(key, node)
      tree.set(path, node)
      if (node.kind === 'dir') await walk(place, path)
    }
  }
  await walk(folder, rootPath)
  return withParents(tree)
}

async function nodeOnDisk(disk: DiskReader, path: RelPath): Promise<TreeNode> {
  const stat = await disk.lstat(path)
  switch (stat?.kind) {
    case 'file':
      return { kind: 'file', mode: stat.mode & modeBits, size: stat.size, content: async () => await readFile(disk, path) }
    case 'dir':
      return { kind: 'dir', mode: stat.mode & modeBits }
    case 'symlink':
      return { kind: 'symlink', target: await disk.readlink(path) }
    default:
      throw new BinderyError('not-supported', 'is no file, folder or symbolic link', { subject: showPath(path) })
  }
}

async function readFile(disk: DiskReader, path: RelPath): Promise<Uint8Array> {
  const bytes = await collectBytes(disk.read(path), mostFile)
  if (bytes !== undefined) return bytes
  throw new BinderyError('over-limit', `is larger than ${mostFile} bytes`, { subject: showPath(path) })
}

/** Makes `folder`, which is not there. Modes of folders come last: one without `w` takes nothing more. */
export async function writeTree(disk: Disk, folder: RelPath, tree: FileTree): Promise<void> {
  await disk.mkdir(folder, 0o755)
  const leaders = new Map<TreeNode, RelPath>()
  for (const [path, node] of tree) {
    const place = within(folder, path)
    const leader = leaders.get(node)
    leaders.set(node, place)
    if (node.kind === 'dir') await disk.mkdir(place, 0o755)
    else if (node.kind === 'symlink') await disk.symlink(place, node.target)
    else if (leader !== undefined) await disk.link(place, leader)
    else {
      const bytes = await node.content()
      await disk.create(place, bytes.length === 0 ? oneChunk(emptyBytes) : oneChunk(bytes.slice()))
      await disk.chmod(place, node.mode)
    }
  }
  for (const [path, node] of [...tree].reverse()) if (node.kind === 'dir') await disk.chmod(within(folder, path), node.mode | 0o700)
}

function within(folder: RelPath, path: RelPath): RelPath {
  return folder === rootPath ? path : (`${folder}/${path}` as RelPath)
}
