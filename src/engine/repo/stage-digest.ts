import { fromLatin1 } from '../../base/bytes.ts'
import { sha256 } from '../../base/digest.ts'
import { BinderyError } from '../../base/error.ts'
import { decodeMetadata } from '../../format/tuf.ts'
import { parseMetadataKey } from './layout.ts'
import { decoding, readKey } from './repository.ts'
import type { Sha256 } from '../../base/digest.ts'
import type { Store } from '../../port/store.ts'

/** Far more than any role has. */
const maxRole = 64 << 20

/** Over what signatures cover: the same before the stage is signed and after. Throws `not-found` for what is no stage. */
export async function stageDigest(stage: Store): Promise<Sha256> {
  const lines: string[] = []
  for (const key of await stage.list('metadata/')) {
    const role = parseMetadataKey(key)?.role
    // Snapshot and timestamp come with the signatures.
    if (role === undefined || role === 'snapshot') continue
    if (((await stage.size(key)) ?? 0) > maxRole) throw new BinderyError('over-limit', `is larger than ${maxRole} bytes`, { subject: key })
    const file = await readKey(stage, key)
    lines.push(`${key} ${sha256(decoding(key, () => decodeMetadata(file)).covered)}\n`)
  }
  if (lines.length === 0) throw new BinderyError('not-found', 'the folder holds no publication')
  return sha256(fromLatin1(lines.toSorted().join('')))
}
