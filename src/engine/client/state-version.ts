import { BinderyError, isBinderyError, toldOf } from '../../base/error.ts'
import { decodeStateVersion, encodeStateVersion, isAtLeast, maxStateVersionBytes } from '../../format/state-version.ts'
import { readStateFile, statePaths, writeStateFile } from './state.ts'
import type { Disk, DiskReader } from '../../port/disk.ts'

/** The first bindery that reads all that this one writes: raised with the version of a format (doc/decisions/0210). */
const leastVersion = '0.1.0'

/** Before anything of the state is read that may be of a later format, and before anything is changed. Throws `not-supported`. */
export async function refuseNewerState(disk: DiskReader, version: string): Promise<void> {
  const least = await readLeast(disk)
  if (least === undefined || isAtLeast(version, least)) return
  throw new BinderyError('not-supported', `needs bindery ${least} or newer, and this is ${version}`, {
    subject: `/${statePaths.version}`,
    hint: 'nothing was changed; a newer bindery has updated this root',
  })
}

/** Written with the first change of a root, and by a bindery whose formats are later ones. */
export async function noteStateVersion(disk: Disk): Promise<void> {
  const least = await readLeast(disk)
  if (least === undefined || !isAtLeast(least, leastVersion))
    await writeStateFile(disk, statePaths.version, encodeStateVersion(leastVersion), 0o644)
}

async function readLeast(disk: DiskReader): Promise<string | undefined> {
  const bytes = await readStateFile(disk, statePaths.version, maxStateVersionBytes)
  if (bytes === undefined) return undefined
  try {
    return decodeStateVersion(bytes)
  } catch (error) {
    const hint = 'the state is damaged: where no newer bindery was here, remove the file'
    throw toldOf(error, `/${statePaths.version}`, isBinderyError(error, 'not-supported') ? undefined : hint)
  }
}
