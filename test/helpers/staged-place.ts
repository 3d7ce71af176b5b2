import { diskBelow } from './disk-below.ts'
import { relPath } from './plant.ts'
import type { RelPath } from '../../src/base/path.ts'
import type { Place } from '../../src/engine/client/staged/place.ts'
import type { Disk } from '../../src/port/disk.ts'

/** A staged root of the name `jail`, at the top of a disk. */

export const link = relPath('jail')

export function placeOn(disk: Disk): Place {
  return { disk, link }
}

export function belowOn(disk: Disk): (path: RelPath) => Disk {
  return (path) => diskBelow(disk, path)
}
