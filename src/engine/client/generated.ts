import { matchesAny } from '../../format/conf.ts'
import { coveredBy } from './phase.ts'
import { channelFile, channelFiles, readEnrolled, readReleaseState } from './state.ts'
import { readTerms } from './terms.ts'
import type { RelPath } from '../../base/path.ts'
import type { ClientConfig } from '../../format/conf.ts'
import type { Update } from '../../format/update.ts'
import type { DiskReader } from '../../port/disk.ts'

/**
 * Paths that the system makes anew by itself, as the installed releases, those that come and bindery.conf say: relinked libraries,
 * databases, indexes. What is there is nobody's work.
 */
export async function generatedHere(
  disk: DiskReader,
  config: Pick<ClientConfig, 'generated'>,
  coming: readonly Update[] = [],
): Promise<(path: RelPath) => boolean> {
  const patterns = new Set(coming.flatMap(({ generated = [] }) => generated))
  for (const { channel } of await readEnrolled(disk)) {
    if ((await disk.lstat(channelFile(channel, channelFiles.terms))) === undefined) continue
    const { generated } = await readTerms(disk, channel, await readReleaseState(disk, channel))
    for (const pattern of generated) patterns.add(pattern)
  }
  const isNamed = coveredBy([...patterns])
  return (path) => matchesAny(config.generated, path) || isNamed(path)
}
