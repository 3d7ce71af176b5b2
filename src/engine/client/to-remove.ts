import { decodeObsolete, maxObsoleteBytes } from '../../format/obsolete.ts'
import { channelFile, channelFiles, naming, readStateFile } from './state.ts'
import type { Channel } from '../../base/name.ts'
import type { ObsoleteList } from '../../format/obsolete.ts'
import type { DiskReader } from '../../port/disk.ts'

/** What is still to be removed of a channel's former releases, once nothing needs it any more. */
export async function readToRemove(disk: DiskReader, channel: Channel): Promise<ObsoleteList> {
  const path = channelFile(channel, channelFiles.obsolete)
  const bytes = await readStateFile(disk, path, maxObsoleteBytes)
  return bytes === undefined ? { through: 0, items: [] } : naming(path, () => decodeObsolete(bytes))
}
