import { BinderyError, isBinderyError } from '../../../base/error.ts'
import { joinPath, parentPath, showPath } from '../../../base/path.ts'
import { stageFolder, storeFolder } from './area.ts'
import { readAreas, writeAreas } from './area-list.ts'
import { stateFolder } from '../state.ts'
import type { RelPath } from '../../../base/path.ts'
import type { Disk } from '../../../port/disk.ts'
import type { SlotHolder } from './area.ts'
import type { KnownArea } from './area-list.ts'

/** Making the folders of a transaction, and removing what no transaction needs any more. */

export async function makeAreas(disk: Disk, { transaction, areas }: SlotHolder): Promise<void> {
  await makeMissing(disk, areas)
  for (const area of areas) {
    for (const folder of [area, `${area}/stage`, `${area}/store`] as RelPath[]) await ensureFolder(disk, folder)
    for (const folder of [stageFolder(area, transaction), storeFolder(area, transaction)]) {
      await removeBelow(disk, folder)
      await disk.mkdir(folder, 0o700)
    }
  }
}

/** An area is remembered before it is made, with the time of the folder above it. */
async function makeMissing(disk: Disk, areas: readonly RelPath[]): Promise<void> {
  const missing: RelPath[] = []
  for (const area of areas) if ((await disk.lstat(area)) === undefined) missing.push(area)
  if (missing.length === 0) return
  const others = (await readAreas(disk)).filter(({ path }) => !missing.includes(path))
  await aroundAreas(disk, others, missing, async () => {
    for (const area of missing) await ensureFolder(disk, area)
    return missing
  })
}

/**
 * The folder above an area belongs to the release: that we made or removed a name in it shall not show. Its time is
 * written down before `work` and put back after it, by whoever comes next if need be. `work` answers what there is of
 * `changing` afterwards.
 */
async function aroundAreas(
  disk: Disk,
  others: readonly KnownArea[],
  changing: readonly RelPath[],
  work: () => Promise<readonly RelPath[]>,
): Promise<void> {
  const timed: KnownArea[] = []
  for (const path of changing) timed.push({ path, above: (await disk.lstat(parentPath(path)))?.mtime })
  await writeAreas(disk, [...others, ...timed])
  const left = await work()
  await putBackTimes(disk, timed)
  await writeAreas(disk, [...others, ...left.map((path) => ({ path }))])
}

async function putBackTimes(disk: Disk, areas: readonly KnownArea[]): Promise<void> {
  const times = areas.flatMap(({ path, above }) => (above === undefined ? [] : [{ path: parentPath(path), mtime: above }]))
  await disk.setTimes(times)
  for (const { path } of times) await disk.sync(path)
}

async function ensureFolder(disk: Disk, folder: RelPath): Promise<void> {
  const stat = await disk.lstat(folder)
  if (stat === undefined) return await disk.mkdir(folder, 0o700)
  const subject = `/${showPath(folder)}`
  if (stat.kind !== 'dir') throw new BinderyError('conflict', 'is no directory, and bindery needs it', { subject })
  // Whoever may write in it could exchange what was verified before it gets its place.
  if ((stat.mode & 0o022) === 0 && stat.uid === (await disk.lstat(stateFolder))?.uid) return
  throw new BinderyError(
    'hostile',
    `belongs to user ${stat.uid}, or others may write in it, and what becomes part of the system would lie there`,
    {
      subject,
      hint: 'look at who made it, and remove it',
    },
  )
}

/** Makes the names in `folder` durable, and what leads to them. */
export async function syncAreas(disk: Disk, { transaction, areas }: SlotHolder): Promise<void> {
  for (const area of areas) {
    const slots = [stageFolder(area, transaction), storeFolder(area, transaction)]
    for (const folder of [...slots, `${area}/stage`, `${area}/store`, area, parentPath(area)]) await disk.sync(folder as RelPath)
  }
}

/**
 * Removes stores but those of `needed`, then every stage, and areas outside the state folder that have become empty. A file
 * system that is not mounted is left for later. The stage tells that there is something to sweep: it goes when the rest has gone for good.
 */
export async function sweepAreas(disk: Disk, needed: ReadonlySet<number>): Promise<void> {
  const known = await finishTimes(disk, await readAreas(disk))
  const areas: RelPath[] = []
  for (const path of [...known.map((area) => area.path), stateFolder]) if (await isFolder(disk, path)) areas.push(path)
  for (const path of areas) {
    const store = `${path}/store` as RelPath
    if (await sweep(disk, store, needed)) await disk.sync(store)
  }
  for (const path of areas) await sweep(disk, `${path}/stage` as RelPath, new Set())
  const empty: RelPath[] = []
  for (const path of areas) if (path !== stateFolder && (await isEmptyArea(disk, path))) empty.push(path)
  if (empty.length === 0) return
  const others = known.filter(({ path }) => !empty.includes(path))
  await aroundAreas(disk, others, empty, async () => {
    for (const area of empty) await removeBelow(disk, area)
    return []
  })
}

/** Of a run that was stopped between making or removing an area and putting the time back. Answers what is left, as of what is not mounted. */
async function finishTimes(disk: Disk, known: readonly KnownArea[]): Promise<readonly KnownArea[]> {
  const pending: KnownArea[] = []
  for (const area of known) if (area.above !== undefined && (await isFolder(disk, parentPath(area.path)))) pending.push(area)
  if (pending.length === 0) return known
  await putBackTimes(disk, pending)
  const left = known.map((area) => (pending.includes(area) ? { path: area.path } : area))
  await writeAreas(disk, left)
  return left
}

/** What a folder above became a link of is not ours to look into. */
async function isFolder(disk: Disk, path: RelPath): Promise<boolean> {
  try {
    return (await disk.lstat(path))?.kind === 'dir'
  } catch (error) {
    if (isBinderyError(error, 'hostile')) return false
    throw error
  }
}

/** Answers whether anything was removed. */
async function sweep(disk: Disk, folder: RelPath, stays: ReadonlySet<number>): Promise<boolean> {
  if ((await disk.lstat(folder)) === undefined) return false
  const names = (await disk.readdir(folder)).filter((name) => !/^[0-9]+$/.test(name) || !stays.has(Number(name)))
  for (const name of names) await removeBelow(disk, joinPath(folder, name))
  return names.length > 0
}

async function isEmptyArea(disk: Disk, area: RelPath): Promise<boolean> {
  for (const folder of [`${area}/stage`, `${area}/store`] as RelPath[]) {
    if ((await disk.lstat(folder)) !== undefined && (await disk.readdir(folder)).length > 0) return false
  }
  return true
}

/** A path and everything below it, without following links. Nothing is no error. */
export async function removeBelow(disk: Disk, path: RelPath): Promise<void> {
  const stat = await disk.lstat(path)
  if (stat === undefined) return
  if (stat.kind !== 'dir') return await disk.unlink(path)
  for (const name of await disk.readdir(path)) await removeBelow(disk, joinPath(path, name))
  await disk.rmdir(path)
}
