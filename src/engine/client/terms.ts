import { decodeTerms, maxTermsBytes, noTerms } from '../../format/release-terms.ts'
import { channelFile, channelFiles, naming, readStateFile } from './state.ts'
import type { Channel } from '../../base/name.ts'
import type { ReleaseState } from '../../format/release-state.ts'
import type { ReleaseTerms } from '../../format/release-terms.ts'
import type { Update } from '../../format/update.ts'
import type { DiskReader } from '../../port/disk.ts'

/** What holds as long as the release is installed; undefined where its record says nothing of the kind. */
export function termsOf({ needs = [], generated = [] }: Update): ReleaseTerms | undefined {
  return needs.length + generated.length === 0 ? undefined : { needs, generated }
}

/** Of the installed release. */
export async function readTerms(disk: DiskReader, channel: Channel, { name }: ReleaseState): Promise<ReleaseTerms> {
  const path = channelFile(channel, channelFiles.terms)
  const bytes = await readStateFile(disk, path, maxTermsBytes)
  return bytes === undefined ? noTerms : naming(path, () => decodeTerms(bytes, name))
}
