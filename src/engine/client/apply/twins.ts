import { storeFolder, storeSlot } from './area.ts'
import { removeBelow } from './area-folders.ts'
import { copyNode, finishCopies, lstatDeep, tellingOf, tryLink } from './aside.ts'
import { inodeKey } from './links.ts'
import { savesOld } from './stage.ts'
import type { RelPath } from '../../../base/path.ts'
import type { Journal } from '../../../format/journal.ts'
import type { Disk, Stat } from '../../../port/disk.ts'
import type { SavingAction } from './stage.ts'

/** What is kept in the store although another name of the same file stays in the tree. */

/**
 * What a twin still shares with the store becomes a file of the store's own: otherwise the twin's count of links would
 * not be that of the release, and what is written to it would be written into the past. Done again, it finds nothing
 * more to do.
 */
export async function separateTwins(disk: Disk, journal: Journal): Promise<void> {
  const separated = new Map<string, RelPath>()
  for (const { action, slot, saved, twin } of await twinsOf(disk, journal)) {
    if (inodeKey(saved) !== inodeKey(twin)) continue
    const before = separated.get(inodeKey(saved))
    await tellingOf(action.path, async () => await separate(disk, action, slot, before))
    separated.set(inodeKey(saved), slot)
  }
  await syncStores(disk, journal)
}

/** `before` is the store's own file of the same twin, where it has one already. */
async function separate(disk: Disk, { old }: SavingAction, slot: RelPath, before: RelPath | undefined): Promise<void> {
  const half = await halfOf(disk, slot)
  if (before === undefined || !(await tryLink(disk, half, before))) await finishCopies(disk, [await copyNode(disk, slot, half, old)])
  await disk.rename(half, slot)
}

/** Before going back: the store holds the twin's own file again, so that the path becomes another name of it. */
export async function joinTwins(disk: Disk, journal: Journal): Promise<void> {
  for (const { action, slot, saved, twin } of await twinsOf(disk, journal)) {
    if (inodeKey(saved) === inodeKey(twin) || !(await holds(disk, action))) continue
    await tellingOf(action.path, async () => await join(disk, action, slot))
  }
  await syncStores(disk, journal)
}

async function join(disk: Disk, { twin }: SavingAction, slot: RelPath): Promise<void> {
  const half = await halfOf(disk, slot)
  if (await tryLink(disk, half, twin as RelPath)) await disk.rename(half, slot)
}

type Twin = { readonly action: SavingAction; readonly slot: RelPath; readonly saved: Stat; readonly twin: Stat }

async function twinsOf(disk: Disk, journal: Journal): Promise<readonly Twin[]> {
  const twins: Twin[] = []
  for (const action of journal.actions) {
    if (!savesOld(action) || action.twin === undefined) continue
    const slot = storeSlot(journal, action.slot)
    const [saved, twin] = [await disk.lstat(slot), await lstatDeep(disk, action.twin)]
    if (saved !== undefined && twin !== undefined && saved.kind === twin.kind) twins.push({ action, slot, saved, twin })
  }
  return twins
}

async function holds(disk: Disk, { old, twin }: SavingAction): Promise<boolean> {
  return old.kind !== 'file' || (await disk.digest(twin as RelPath)).sha256 === old.sha256
}

async function halfOf(disk: Disk, slot: RelPath): Promise<RelPath> {
  const half = `${slot}.half` as RelPath
  await removeBelow(disk, half)
  return half
}

async function syncStores(disk: Disk, { areas, transaction, actions }: Journal): Promise<void> {
  if (!actions.some((action) => savesOld(action) && action.twin !== undefined)) return
  for (const area of areas)
    if ((await disk.lstat(storeFolder(area, transaction))) !== undefined) await disk.sync(storeFolder(area, transaction))
}
