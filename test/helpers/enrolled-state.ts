import { collectBytes, oneChunk, utf8 } from '../../src/base/bytes.ts'
import { sha256 } from '../../src/base/digest.ts'
import { compress } from '../../src/engine/dist/wire.ts'
import { channelFile, channelFiles, statePaths } from '../../src/engine/client/state.ts'
import { encodeEnrolled } from '../../src/format/enrolled.ts'
import { encodeManifest } from '../../src/format/manifest.ts'
import { encodeReleaseState } from '../../src/format/release-state.ts'
import { file } from './plant.ts'
import type { Release } from './client-world.ts'
import type { Literal } from './plant.ts'

/** The state of a machine on which these releases are enrolled, each in the channel of its product. */
export async function enrolledState(...releases: readonly Pick<Release, 'manifest' | 'name'>[]): Promise<Literal> {
  const nothing = { sha256: sha256(utf8('')), size: 0 }
  const enrolled = releases.map(({ name: { product, arch } }) => ({
    channel: { product, arch },
    repository: '0'.repeat(16),
    basis: 'installed' as const,
    urls: ['http://updates.test/'],
  }))
  const files = await Promise.all(
    releases.map(async ({ manifest, name }, i) => {
      const packed = (await collectBytes(compress(oneChunk(encodeManifest(manifest)), 'zstd'), Infinity)) as Uint8Array
      const state = { name, sequence: i + 1, tar: nothing, manifest: { sha256: sha256(packed), size: packed.length } }
      return [
        [channelFile(name, channelFiles.manifest), file(packed)],
        [channelFile(name, channelFiles.release), file(encodeReleaseState(state))],
      ] as const
    }),
  )
  return { [statePaths.enrolled]: file(encodeEnrolled(enrolled)), ...Object.fromEntries(files.flat()) }
}
