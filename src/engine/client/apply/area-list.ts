import { BinderyError, toldOf } from '../../../base/error.ts'
import { parseRelPath } from '../../../base/path.ts'
import { decodeLines, encodeLines } from '../../../format/lines.ts'
import { readStateFile, stateFolder, writeStateFile } from '../state.ts'
import type { Timestamp } from '../../../base/entry.ts'
import type { RelPath } from '../../../base/path.ts'
import type { LinesFormat } from '../../../format/lines.ts'
import type { Disk, DiskReader } from '../../../port/disk.ts'

/** Every area outside the state folder that was made and may still be there: where the rests of a killed run are looked for. */
export type KnownArea = {
  readonly path: RelPath
  /** While the area is being made or removed: the time that the folder above it shall get back. */
  readonly above?: Timestamp | undefined
}

const areasFile = `${stateFolder}/areas` as RelPath
const format: LinesFormat = { firstLine: 'bindery-areas 1', maxBytes: 1 << 20, maxLines: 4096 }

export async function readAreas(disk: DiskReader): Promise<readonly KnownArea[]> {
  const bytes = await readStateFile(disk, areasFile, format.maxBytes)
  try {
    return bytes === undefined ? [] : decodeAreas(bytes)
  } catch (error) {
    throw toldOf(error, `/${areasFile}`, 'remove it; .bindery folders at the top of file systems are found again when they are used')
  }
}

function decodeAreas(bytes: Uint8Array): readonly KnownArea[] {
  const areas: KnownArea[] = []
  for (const { key, value } of decodeLines(format, bytes)) {
    const last = areas.at(-1)
    if (key === 'area') areas.push({ path: parseRelPath(value) ?? refuse() })
    else if (key === 'above' && last !== undefined) areas.splice(-1, 1, { ...last, above: decodeTime(value) })
    else refuse()
  }
  return areas
}

export async function writeAreas(disk: Disk, areas: readonly KnownArea[]): Promise<void> {
  const lines = areas.flatMap(({ path, above }) => [
    { key: 'area', value: path },
    ...(above === undefined ? [] : [{ key: 'above', value: encodeTime(above) }]),
  ])
  await writeStateFile(disk, areasFile, encodeLines(format, lines))
}

function encodeTime({ sec, nsec }: Timestamp): string {
  return `${sec}.${String(nsec).padStart(9, '0')}`
}

function decodeTime(text: string): Timestamp {
  const match = /^(-?[0-9]{1,16})\.([0-9]{9})$/.exec(text)
  return match === null ? refuse() : { sec: Number(match[1]), nsec: Number(match[2]) }
}

function refuse(): never {
  throw new BinderyError('bad-format', 'is no list of areas')
}
