import { joinPath, parentPath, rootPath } from '../../../base/path.ts'
import { stateFolder } from '../state.ts'
import type { RelPath } from '../../../base/path.ts'
import type { Slot } from '../../../format/journal.ts'
import type { Stat } from '../../../port/disk.ts'

/**
 * An area is where a file system keeps what comes and what went: a folder with `stage` and `store`, which have a
 * folder for each transaction, which has numbered slots. The state folder is the area of its own file system; any
 * other has `.bindery` at its top. All are 0700, so that old setuid files are out of reach.
 */
export const areaName = '.bindery'

export type SlotHolder = { readonly transaction: number; readonly areas: readonly RelPath[] }

export function stageSlot(holder: SlotHolder, slot: Slot): RelPath {
  return `${stageFolder(holder.areas[slot.area] as RelPath, holder.transaction)}/${slot.number}` as RelPath
}

export function storeSlot(holder: SlotHolder, slot: Slot): RelPath {
  return `${storeFolder(holder.areas[slot.area] as RelPath, holder.transaction)}/${slot.number}` as RelPath
}

export function stageFolder(area: RelPath, transaction: number): RelPath {
  return `${area}/stage/${transaction}` as RelPath
}

export function storeFolder(area: RelPath, transaction: number): RelPath {
  return `${area}/store/${transaction}` as RelPath
}

/** The areas of a plan, found as paths come; the first is the state folder, whether used or not. */
export class AreaFinder {
  readonly areas: RelPath[] = [stateFolder]
  readonly #stats: ReadonlyMap<RelPath, Stat>
  readonly #byDevice: Map<bigint, number>

  /** `stats` knows the state folder and all folders above what is asked for. */
  constructor(stats: ReadonlyMap<RelPath, Stat>) {
    this.#stats = stats
    this.#byDevice = new Map([[(stats.get(stateFolder) as Stat).device, 0]])
  }

  /** The area of the file system that names in `folder` live on, where it is or will be. */
  areaOf(folder: RelPath): number {
    const device = this.deviceOf(folder)
    const known = this.#byDevice.get(device)
    if (known !== undefined) return known
    const number = this.areas.push(joinPath(this.#topOf(folder), areaName)) - 1
    this.#byDevice.set(device, number)
    return number
  }

  deviceOf(folder: RelPath): bigint {
    return (this.#stats.get(this.#existing(folder)) as Stat).device
  }

  /** The folder that a file system is mounted on. */
  #topOf(folder: RelPath): RelPath {
    const device = this.deviceOf(folder)
    let top = this.#existing(folder)
    while (top !== rootPath && this.deviceOf(parentPath(top)) === device) top = parentPath(top)
    return top
  }

  #existing(folder: RelPath): RelPath {
    let at = folder
    while (at !== rootPath && this.#stats.get(at)?.kind !== 'dir') at = parentPath(at)
    return at
  }
}
