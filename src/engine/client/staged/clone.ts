import { inParallel } from '../../../base/parallel.ts'
import { joinPath, rootPath } from '../../../base/path.ts'
import { makeSpecial, syncFile, tryLink } from '../apply/aside.ts'
import { inodeKey } from '../apply/links.ts'
import { isCarried } from './state-files.ts'
import type { Xattrs } from '../../../base/entry.ts'
import type { RelPath } from '../../../base/path.ts'
import type { Meter } from '../../../port/ambient.ts'
import type { Disk, DiskReader, Stat } from '../../../port/disk.ts'

/** A second tree with all that the first one has: other names of the same files where that does no harm, files of its own else. */

export type CloneRules = {
  /**
   * Whether the file becomes another name of the same file: what is written into it by the one name is seen by the other. `path` is
   * from the top of the tree.
   */
  readonly isShared: (path: RelPath, stat: Stat) => boolean
}

/** Where the two trees are on their disk. */
export type Trees = { readonly disk: Disk; readonly from: RelPath; readonly to: RelPath }

/** What was found at a path, and the inode that it became (`inodeKey`). */
export type Cloned = { readonly source: Stat; readonly made: string }

/** By path from the top, folders before what is in them. */
export type Clone = ReadonlyMap<RelPath, Cloned>

export function inTree(tree: RelPath, path: RelPath): RelPath {
  return path === rootPath ? tree : joinPath(tree, path)
}

/** All paths of a tree that a clone has, folders before what is in them. What is mounted in it is seen as the folder below. */
export async function lookOver(disk: DiskReader, tree: RelPath, signal?: AbortSignal): Promise<Map<RelPath, Stat>> {
  const top = (await disk.lstat(tree)) as Stat
  const found = new Map<RelPath, Stat>([[rootPath, top]])
  const open: RelPath[] = [rootPath]
  for (let folder = open.pop(); folder !== undefined; folder = open.pop()) {
    signal?.throwIfAborted()
    for (const name of await disk.readdir(inTree(tree, folder))) {
      const path = joinPath(folder, name)
      const stat = isCarried(path) ? await disk.lstat(inTree(tree, path)) : undefined
      if (stat === undefined) continue
      found.set(path, stat)
      if (stat.kind === 'dir' && stat.device === top.device) open.push(path)
    }
  }
  return found
}

/** Who may stop it, and who is told of each path. */
export type Watched = { readonly signal: AbortSignal; readonly meter?: Meter | undefined }

/** `to` must not be there, and is left in part by a failure. */
export async function cloneTree(trees: Trees, rules: CloneRules, { signal, meter }: Watched): Promise<Clone> {
  const run = await begin(trees, rules)
  for (const [path, stat] of await lookOver(trees.disk, trees.from, signal)) {
    signal.throwIfAborted()
    await makePath(run, path, stat)
    meter?.advance(1)
  }
  await finish(run)
  return run.clone
}

/** A part of a clone that is being made: its paths come one by one, and get their attributes together. */
export type Making = Trees & {
  readonly rules: CloneRules
  readonly clone: Map<RelPath, Cloned>
  /** By inode of the source: the copy that was made of it. */
  readonly copies: Map<string, RelPath>
  /** Folders and copies, which need attributes. */
  readonly own: Map<RelPath, Stat>
}

export async function begin(trees: Trees, rules: CloneRules): Promise<Making> {
  return { ...trees, rules, clone: new Map(), copies: new Map(), own: new Map() }
}

export async function makePath(making: Making, path: RelPath, stat: Stat): Promise<void> {
  const to = inTree(making.to, path)
  if (stat.kind === 'dir') {
    // Open to us until all is in it.
    await making.disk.mkdir(to, 0o700)
    making.own.set(path, stat)
  } else await makeLeaf(making, path, to, stat)
  making.clone.set(path, { source: stat, made: inodeKey((await making.disk.lstat(to)) as Stat) })
}

async function makeLeaf(making: Making, path: RelPath, to: RelPath, stat: Stat): Promise<void> {
  const { disk, rules, copies, own } = making
  const from = inTree(making.from, path)
  if (rules.isShared(path, stat) && (await tryLink(disk, to, from))) return
  const copy = copies.get(inodeKey(stat))
  if (copy !== undefined) return await disk.link(to, copy)
  if (stat.kind === 'file') await disk.clone(to, from, stat)
  else await makeSpecialLike(disk, to, from, stat)
  copies.set(inodeKey(stat), to)
  own.set(path, stat)
}

async function makeSpecialLike(disk: Disk, to: RelPath, from: RelPath, stat: Stat): Promise<void> {
  const { kind, major = 0, minor = 0 } = stat
  if (kind === 'symlink') return await makeSpecial(disk, to, { kind, target: await disk.readlink(from) })
  if (kind === 'char' || kind === 'block') return await makeSpecial(disk, to, { kind, major, minor })
  await makeSpecial(disk, to, { kind: 'fifo' })
}

/** Owners, modes, attributes, times and flags, in an order in which none takes back another; then all is durable but the folders. */
export async function finish(making: Making): Promise<void> {
  const { disk, own } = making
  const all = [...own]
  const sources = all.filter(([, stat]) => stat.kind === 'dir' || stat.kind === 'file').map(([path]) => inTree(making.from, path))
  const { xattrs, flags } = await attributesOf(disk, sources)
  // What is in a folder before the folder.
  for (const [path, stat] of all.toReversed()) await setOwn(making, path, stat, xattrs.get(inTree(making.from, path)))
  await disk.setTimes(all.toReversed().map(([path, { mtime }]) => ({ path: inTree(making.to, path), mtime })))
  const files = all.filter(([, stat]) => stat.kind === 'file').map(([path]) => inTree(making.to, path))
  await inParallel(files, syncWidth, async (path) => await syncFile(disk, path))
  for (const [path] of all.toReversed()) {
    const set = flags.get(inTree(making.from, path))
    if (set !== undefined) await disk.setFlags(inTree(making.to, path), set)
  }
}

/** Syncs wait for the disk, not for us. */
export const syncWidth = 16

type OwnAttributes = { readonly xattrs: ReadonlyMap<RelPath, Xattrs>; readonly flags: ReadonlyMap<RelPath, readonly string[]> }

/** Those of the machine, too: it is the same one. */
async function attributesOf(disk: DiskReader, paths: readonly RelPath[]): Promise<OwnAttributes> {
  const [xattrs, flags] = await Promise.all([disk.xattrsOf(paths), disk.flagsOf(paths)])
  return { xattrs, flags }
}

/** The owner before the mode: chown(2) takes set-id bits away, and capabilities. */
async function setOwn({ disk, to }: Making, path: RelPath, stat: Stat, xattrs: Xattrs | undefined): Promise<void> {
  const at = inTree(to, path)
  const made = (await disk.lstat(at)) as Stat
  if (made.uid !== stat.uid || made.gid !== stat.gid) await disk.chown(at, stat.uid, stat.gid)
  if (stat.kind !== 'symlink') await disk.chmod(at, stat.mode)
  if (xattrs !== undefined) await disk.setXattrs(at, xattrs)
}
