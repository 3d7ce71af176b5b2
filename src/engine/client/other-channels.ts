import { channelRole } from '../../base/name.ts'
import { readInstalledManifest } from './installed.ts'
import { readEnrolled, readReleaseState } from './state.ts'
import type { Channel } from '../../base/name.ts'
import type { RelPath } from '../../base/path.ts'
import type { DiskReader } from '../../port/disk.ts'

/** The paths of the other channels' installed releases: they are not this one's to remove. */
export async function pathsOfOthers(disk: DiskReader, channel: Channel): Promise<ReadonlySet<RelPath>> {
  const paths = new Set<RelPath>()
  for (const { channel: other } of await readEnrolled(disk)) {
    if (channelRole(other) === channelRole(channel)) continue
    const manifest = await readInstalledManifest(disk, other, await readReleaseState(disk, other))
    for (const { path } of manifest.entries) paths.add(path)
  }
  return paths
}
