import { BinderyError, isBinderyError } from '../../../base/error.ts'
import { baseName, joinPath, parentPath, showPath } from '../../../base/path.ts'
import { inodeKey } from '../apply/links.ts'
import { inTree, lookOver } from './clone.ts'
import { closedOf, folderOf, nextLinkOf, treeOf } from './place.ts'
import { isStateFile } from './state-files.ts'
import type { RelPath } from '../../../base/path.ts'
import type { Timestamp } from '../../../base/entry.ts'
import type { Disk, Stat } from '../../../port/disk.ts'
import type { Place, Standing, Tree } from './place.ts'

/** What killed runs left is removed, whoever comes next. Throws `hostile` for what we cannot have left. */
export async function sweepLeftovers(place: Place, { leftovers, current }: Standing): Promise<void> {
  const { disk } = place
  const owners = new Set<number>()
  for (const path of [folderOf(place), current.path]) owners.add(((await disk.lstat(path)) as Stat).uid)
  for (const path of leftovers) {
    const stat = await disk.lstat(path)
    if (stat === undefined) continue
    if (!owners.has(stat.uid) || (stat.kind !== 'dir') !== (path === nextLinkOf(place)))
      throw new BinderyError('hostile', `is in the place of what a run may have left, and belongs to user ${stat.uid}`, {
        subject: showPath(path),
        hint: 'look at who made it, and remove it; nothing was changed',
      })
    await removeTree(disk, path)
  }
}

/** A tree loses its name first: what is left of it is no tree for whoever comes next. */
export async function removeTree(disk: Disk, path: RelPath): Promise<void> {
  const stat = await disk.lstat(path)
  if (stat === undefined) return
  if (stat.kind !== 'dir') return await disk.unlink(path)
  const name = baseName(path).split('.')[0] as string
  const gone = joinPath(parentPath(path), `${name}.gone`)
  if (path !== gone) {
    await removeAll(disk, gone, stat.device)
    await disk.rename(path, gone)
  }
  await removeAll(disk, gone, stat.device)
  await disk.sync(parentPath(path))
}

/** Never into what is mounted below: that is somebody's who may still use it. */
async function removeAll(disk: Disk, path: RelPath, device: bigint): Promise<void> {
  const stat = await disk.lstat(path)
  if (stat === undefined) return
  if (stat.device !== device && (await isMounted(disk, path, stat)))
    throw new BinderyError('conflict', 'is mounted in a tree that is to be removed', {
      subject: showPath(path),
      hint: 'unmount it there, and mount it in the tree that counts now',
    })
  if (stat.kind === 'dir') {
    await allowing(disk, path, async () => await disk.chmod(path, stat.mode | 0o700))
    for (const name of await disk.readdir(path)) await removeAll(disk, joinPath(path, name), device)
  }
  await allowing(disk, path, async () => await (stat.kind === 'dir' ? disk.rmdir(path) : disk.unlink(path)))
}

/** On an overlay of two file systems files have other devices than their folders. */
async function isMounted(disk: Disk, path: RelPath, { kind }: Stat): Promise<boolean> {
  return kind === 'dir' || (await disk.mountPointsAmong([path])).has(path)
}

/** Flags that forbid changes are of this tree's own files: what has another name has none. */
async function allowing(disk: Disk, path: RelPath, work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (error) {
    if (!isBinderyError(error, 'permission') || !(await disk.capabilities()).flags) throw error
    for (const one of [parentPath(path), path]) await disk.setFlags(one, [])
    await work()
  }
}

/** Whether programs that ran as another user in the old tree are no longer the ones of the new tree. */
export async function hasOldPrivileges(disk: Disk, { old, next }: { readonly old: RelPath; readonly next: RelPath }): Promise<boolean> {
  for (const [path, stat] of await lookOver(disk, old)) {
    if (stat.kind !== 'file' || (stat.mode & 0o6000) === 0 || isStateFile(path)) continue
    const other = await lstatBelow(disk, inTree(next, path))
    if (other?.inode !== stat.inode) return true
  }
  return false
}

async function lstatBelow(disk: Disk, path: RelPath): Promise<Stat | undefined> {
  try {
    return await disk.lstat(path)
  } catch (error) {
    if (isBinderyError(error, 'hostile')) return undefined
    throw error
  }
}

/** Whoever has it open, or works in it, keeps it; nobody else comes in any more. */
export async function closeTree(place: Place, tree: Tree): Promise<Tree> {
  const { disk } = place
  if (tree.path !== treeOf(place, tree.number)) return tree
  const path = joinPath(closedOf(place), String(tree.number))
  await disk.rename(tree.path, path)
  for (const folder of [folderOf(place), closedOf(place)]) await disk.sync(folder)
  return { ...tree, path }
}

/**
 * Files that were written into a tree after another one had come in its place, by who still had them open: nobody would look for them
 * there. What has a name in another tree, too, is not lost.
 */
export async function writtenLate(disk: Disk, tree: RelPath, current: RelPath, left: Timestamp): Promise<readonly RelPath[]> {
  const late: RelPath[] = []
  const stats = await lookOver(disk, tree)
  const names = new Map<string, number>()
  for (const key of [...stats.values()].map(inodeKey)) names.set(key, (names.get(key) ?? 0) + 1)
  for (const [path, stat] of stats) {
    const { kind, size, mtime, nlink } = stat
    if (kind !== 'file' || nlink > (names.get(inodeKey(stat)) as number) || isStateFile(path)) continue
    if (mtime.sec < left.sec || (mtime.sec === left.sec && mtime.nsec <= left.nsec)) continue
    const now = await lstatBelow(disk, inTree(current, path))
    if (now?.size !== size || now.mtime.sec !== mtime.sec || now.mtime.nsec !== mtime.nsec) late.push(path)
  }
  return late
}
