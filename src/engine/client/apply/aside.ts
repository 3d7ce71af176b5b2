import { BinderyError, isBinderyError, toldOf } from '../../../base/error.ts'
import { showPath } from '../../../base/path.ts'
import { writeXattrs } from '../../tree/attributes.ts'
import { sameXattrs } from './nodes.ts'
import type { RelPath } from '../../../base/path.ts'
import type { Leaf, Node } from '../../../format/journal-node.ts'
import type { Disk, DiskReader, DiskWriter, Inode, Stat } from '../../../port/disk.ts'

/** Small moves of single files between the live tree and its slots. */

export type PathTime = Parameters<DiskWriter['setTimes']>[0][number]

/** A slot says nothing to anybody: whatever fails on the way between it and its path is told of the path. */
export async function tellingOf<T>(path: RelPath, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw toldOf(error, `/${showPath(path)}`)
  }
}

/**
 * Gives a live path a second name in its slot, so that replacing the path cannot lose it; where the file system has no
 * hard links, a copy. Answers what the caller has yet to finish (`finishCopies`).
 */
export async function keepAside(disk: Disk, from: RelPath, to: RelPath, node: Leaf): Promise<PathTime | undefined> {
  return (await tryLink(disk, to, from)) ? undefined : await copyNode(disk, from, to, node)
}

/** False where the file system has no hard links, or does not allow this one. */
export async function tryLink(disk: Disk, to: RelPath, from: RelPath): Promise<boolean> {
  const source = await disk.lstat(from)
  try {
    await disk.link(to, from)
  } catch (error) {
    if (isBinderyError(error, 'not-supported') || isBinderyError(error, 'permission')) return false
    if (source?.kind === 'symlink' && isBinderyError(error, 'not-found')) return false
    throw error
  }
  // On some systems link(2) follows a symbolic link.
  if (source?.kind !== 'symlink' || (await disk.lstat(to))?.kind === 'symlink') return true
  await disk.unlink(to)
  return false
}

/** A file of its own at `to`, with all that `node` says but for the time: see `finishCopies`. */
export async function copyNode(disk: Disk, from: RelPath, to: RelPath, node: Leaf): Promise<PathTime> {
  if (node.kind === 'file') await disk.create(to, disk.read(from))
  else await makeSpecial(disk, to, node)
  // In a live folder its owner may exchange it at once. A file with a second name is none that we have made.
  const made = node.kind === 'file' ? await disk.lstat(to) : undefined
  if (made !== undefined && made.nlink !== 1) throw exchanged(to)
  await setAttributes(disk, to, node, made)
  return { path: to, mtime: node.mtime }
}

/** Sets the times of copies, many at once, and makes them durable. */
export async function finishCopies(disk: Disk, copies: readonly PathTime[]): Promise<void> {
  if (copies.length > 0) await disk.setTimes(copies)
  for (const { path } of copies) if ((await disk.lstat(path))?.kind === 'file') await syncFile(disk, path)
}

/** Without root, even one's own file must be readable to be synced: then its folder's sync will have to do. */
export async function syncFile(disk: Disk, path: RelPath): Promise<void> {
  try {
    await disk.sync(path)
  } catch (error) {
    const mode = (await disk.lstat(path))?.mode ?? 0
    if (!isBinderyError(error, 'permission') || (mode & 0o400) !== 0) throw error
  }
}

type Special =
  | { readonly kind: 'symlink'; readonly target: string }
  | { readonly kind: 'char' | 'block'; readonly major: number; readonly minor: number }
  | { readonly kind: 'socket' | 'fifo' }

/** What a link, a FIFO or a device is, without its attributes. */
export async function makeSpecial(disk: Disk, path: RelPath, node: Special): Promise<void> {
  switch (node.kind) {
    case 'symlink':
      return await disk.symlink(path, node.target)
    case 'char':
    case 'block':
      return await disk.mknod(path, { kind: node.kind, major: node.major, minor: node.minor })
    // Whoever listens on a socket makes it anew.
    case 'socket':
    case 'fifo':
      return await disk.mknod(path, { kind: 'fifo' })
  }
}

/**
 * Owner before mode, since chown(2) takes setuid away, and before attributes, since it drops capabilities. `seen`: what was made, where
 * somebody else may put another file in its place.
 */
export async function setAttributes(disk: Disk, path: RelPath, node: Leaf, seen?: Inode): Promise<void> {
  const live = await disk.lstat(path)
  // Only where it is another: without root, chown(2) to oneself may fail too.
  if (live?.uid !== node.uid || live.gid !== node.gid) await disk.chown(path, node.uid, node.gid, seen)
  if (node.kind !== 'symlink') await disk.chmod(path, node.mode, seen)
  if (node.xattrs !== undefined) await writeXattrs(disk, path, node.xattrs, seen)
}

/** The same file with its new owner. An overlay makes another inode of a file of its lower layer when that changes, with the same content. */
async function ownedNow(disk: Disk, path: RelPath, live: Stat, { uid, gid }: Node): Promise<Stat> {
  const now = await disk.lstat(path)
  const isSame = now?.inode === live.inode && now.device === live.device
  const isAlike = now?.size === live.size && now.mtime.sec === live.mtime.sec && now.mtime.nsec === live.mtime.nsec
  if (now === undefined || now.uid !== uid || now.gid !== gid || (!isSame && !isAlike)) throw exchanged(path)
  return now
}

function exchanged(path: RelPath): BinderyError {
  return new BinderyError('hostile', 'is another file than it was a moment ago', { subject: showPath(path) })
}

/** What lies there now, what the plan found there or brought, and what it shall be. */
export type Change = { readonly live: Stat; readonly old: Node; readonly next: Node }

/** A path whose parents may not be there, or be something else than directories by now: then it is not there either. */
export async function lstatDeep(disk: DiskReader, path: RelPath): Promise<Stat | undefined> {
  try {
    return await disk.lstat(path)
  } catch (error) {
    if (isBinderyError(error, 'hostile')) return undefined
    throw error
  }
}

/**
 * Brings a path from the attributes of `old` to those of `next`, but for the time; done again, it changes nothing. Throws `hostile` where it
 * is another file by now than `live`.
 */
export async function changeAttributes(disk: Disk, path: RelPath, { live, old, next }: Change): Promise<void> {
  const isOwned = live.uid === next.uid && live.gid === next.gid
  const seen = next.kind === 'symlink' ? undefined : live
  if (!isOwned) await disk.chown(path, next.uid, next.gid, seen)
  if (next.kind !== 'symlink' && (!isOwned || live.mode !== next.mode))
    await disk.chmod(path, next.mode, isOwned ? seen : await ownedNow(disk, path, live, next))
  if (sameXattrs(old, next) && (isOwned || next.xattrs === undefined)) return
  const isTouched = !isOwned || live.mode !== next.mode
  const now = seen === undefined || !isTouched ? seen : await ownedNow(disk, path, live, next)
  await writeXattrs(disk, path, next.xattrs ?? new Map(), now)
}
