import { BinderyError } from '../../../base/error.ts'
import { joinPath, parentPath, showPath } from '../../../base/path.ts'
import { closedOf, folderOf, lead, lockOf, readStanding, treeOf, writeTreeState } from './place.ts'
import { mountsIn, readReleased, refuseMounts } from './rules.ts'
import { sweepLeftovers, removeTree } from './sweep.ts'
import { lookOver } from './clone.ts'
import { removeBelow } from '../apply/area-folders.ts'
import { readJournal } from '../apply/receipts.ts'
import { listSteps } from '../apply/steps.ts'
import { statePaths } from '../state.ts'
import type { RelPath } from '../../../base/path.ts'
import type { Disk } from '../../../port/disk.ts'
import type { Place } from './place.ts'

/**
 * From a folder to a link and back. Neither is one call to the system: between two of them there is no root for a moment, and whoever
 * was killed there finishes by doing it again (`mendLink`).
 */

const first = 1

/** The folder becomes the first tree. Throws `conflict` where something is half done or in the way. */
export async function makeStaged(place: Place, diskOf: (path: RelPath) => Disk, now: number): Promise<void> {
  const { disk, link } = place
  const root = diskOf(link)
  await refuseUnfinished(root)
  refuseMounts(await mountsIn(disk, link, await lookOver(disk, link)), await readReleased(root))
  if ((await disk.mountPointsAmong([link])).size > 0)
    throw new BinderyError('conflict', 'is mounted there: a mount cannot become a link', {
      subject: showPath(link),
      hint: 'mount its file system one folder higher, so that the root is a folder in it',
    })
  await makeFolders(place)
  await disk.rename(link, treeOf(place, first))
  await writeTreeState(diskOf(treeOf(place, first)), { number: first, from: undefined, made: now })
  await lead(place, first)
}

async function refuseUnfinished(root: Disk): Promise<void> {
  if ((await readJournal(root)) === undefined && (await listSteps(root)).length === 0) return
  throw new BinderyError('interrupted', 'an earlier run was interrupted', { hint: "'bindery recover' finishes it" })
}

async function makeFolders(place: Place): Promise<void> {
  const { disk, link } = place
  const folder = folderOf(place)
  if ((await disk.lstat(folder)) !== undefined && !(await isUnused(place)))
    throw new BinderyError('exists', 'is in the place of the trees', {
      subject: showPath(folder),
      hint: 'look at what it is, and move it away',
    })
  if ((await disk.lstat(folder)) === undefined) await disk.mkdir(folder, 0o755)
  for (const path of [closedOf(place), lockOf(place)]) if ((await disk.lstat(path)) === undefined) await disk.mkdir(path, 0o700)
  for (const path of [folder, parentPath(link)]) await disk.sync(path)
}

/** What a run left that was killed before the rename, or behind that of the way back. */
async function isUnused(place: Place): Promise<boolean> {
  const { disk } = place
  if ((await disk.lstat(folderOf(place)))?.kind !== 'dir') return false
  const found = (await disk.readdir(folderOf(place))).map((name) => joinPath(folderOf(place), name))
  if (found.some((path) => path !== closedOf(place) && path !== lockOf(place))) return false
  return !found.includes(closedOf(place)) || (await disk.readdir(closedOf(place))).length === 0
}

/** The tree that counts becomes the folder again, and the others go. */
export async function makeLive(place: Place, diskOf: (path: RelPath) => Disk): Promise<void> {
  const { disk, link } = place
  const standing = await readStanding(place, diskOf)
  const root = diskOf(standing.current.path)
  await refuseUnfinished(root)
  await sweepLeftovers(place, standing)
  for (const { path } of standing.others) await removeTree(disk, path)
  // A folder that says that it is a tree would be refused.
  if ((await root.lstat(statePaths.tree)) !== undefined) await root.unlink(statePaths.tree)
  await disk.unlink(link)
  await disk.rename(standing.current.path, link)
  for (const path of [closedOf(place), lockOf(place)]) await removeBelow(disk, path)
  await disk.rmdir(folderOf(place))
  await disk.sync(parentPath(link))
}

/** Where a conversion was cut off there is no root, but trees: the newest becomes it. Answers whether that was so. */
export async function mendLink(place: Place): Promise<boolean> {
  const { disk, link } = place
  if ((await disk.lstat(link)) !== undefined || (await disk.lstat(folderOf(place)))?.kind !== 'dir') return false
  const numbers = (await disk.readdir(folderOf(place))).filter((name) => /^[1-9][0-9]{0,14}$/.test(name)).map(Number)
  const newest = Math.max(0, ...numbers)
  if (newest === 0) return false
  await lead(place, newest)
  return true
}
