import { channelRole } from '../../base/name.ts'
import { readPresentManifest } from './phase.ts'
import { readEnrolled, readReleaseState } from './state.ts'
import type { Channel } from '../../base/name.ts'
import type { RelPath } from '../../base/path.ts'
import type { DiskReader } from '../../port/disk.ts'

/** The paths of the other channels' installed releases: they are not the ones' to remove that are updated. */
export async function pathsOfOthers(disk: DiskReader, channels: readonly Channel[]): Promise<ReadonlySet<RelPath>> {
  const paths = new Set<RelPath>()
  const own = new Set(channels.map(channelRole))
  for (const { channel: other } of await readEnrolled(disk)) {
    if (own.has(channelRole(other))) continue
    const manifest = await readPresentManifest(disk, other, await readReleaseState(disk, other))
    for (const { path } of manifest.entries) paths.add(path)
  }
  return paths
}
