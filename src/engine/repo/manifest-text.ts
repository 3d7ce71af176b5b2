import { collectBytes } from '../../base/bytes.ts'
import { BinderyError } from '../../base/error.ts'
import { decompress } from '../dist/wire.ts'
import { openTarget } from './blob.ts'
import type { TargetFile } from '../../format/tuf.ts'
import type { Update } from '../../format/update.ts'
import type { Store } from '../../port/store.ts'

/** A manifest of a whole system is some megabytes. */
const maxManifestBytes = 256 << 20

/** The uncompressed manifest of a release of the repository, verified. */
export async function readManifestText(store: Store, { manifest }: Update, targets: ReadonlyMap<string, TargetFile>): Promise<Uint8Array> {
  const { target } = manifest
  const file = targets.get(target)
  if (file === undefined) throw new BinderyError('not-found', 'is no target', { subject: target })
  const text = await collectBytes(decompress(await openTarget(store, target, file), maxManifestBytes), maxManifestBytes)
  return text as Uint8Array
}
