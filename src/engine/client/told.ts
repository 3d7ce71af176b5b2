import { equalBytes } from '../../base/bytes.ts'
import { isBinderyError } from '../../base/error.ts'
import { decodeTold, encodeTold, maxToldBytes, nothingTold } from '../../format/told.ts'
import { readStateFile, statePaths, writeStateFile } from './state.ts'
import type { Told } from '../../format/told.ts'
import type { Disk, DiskReader } from '../../port/disk.ts'

/** A damaged one is as none: a thing is then said twice. */
export async function readTold(disk: DiskReader): Promise<Told> {
  try {
    const bytes = await readStateFile(disk, statePaths.told, maxToldBytes)
    return bytes === undefined ? nothingTold : decodeTold(bytes)
  } catch (error) {
    if (isBinderyError(error)) return nothingTold
    throw error
  }
}

/** Written where something changes, and by those who may. */
export async function changeTold({ disk, access }: Writer, change: (told: Told) => Told): Promise<void> {
  const before = await readTold(disk)
  const after = encodeTold(change(before))
  if (access === 'write' && !equalBytes(after, encodeTold(before))) await writeStateFile(disk, statePaths.told, after, 0o644)
}

export type Writer = { readonly disk: Disk; readonly access: 'read' | 'write' }
