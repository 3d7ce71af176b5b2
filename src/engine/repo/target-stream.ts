import { createHash } from 'node:crypto'
import { BinderyError } from '../../base/error.ts'
import { quoteName, usableHashes } from './role-files.ts'
import type { ByteStream } from '../../base/bytes.ts'
import type { FoundTarget } from './trust-types.ts'

/** Step 5.7 of the client workflow for any TUF repository; the fleet client has a richer download of its own. */

/** Below the URL of the targets: HASH.FILENAME.EXT with consistent snapshots (5.7.3), quoted for a URL. */
export function targetLocation(target: FoundTarget, consistent: boolean): string {
  const names = target.path.split('/').map(quoteName)
  const [hash] = usableHashes(target.hashes, target.path)
  const last = names.pop() as string
  return [...names, consistent ? `${target.hashes[hash as string] as string}.${last}` : last].join('/')
}

/**
 * Passes on at most the signed length, and throws (`over-limit`, `bad-digest`) at the end where anything differs: what
 * was passed on before may only be kept aside.
 */
export async function* verifyTarget(stream: ByteStream, target: FoundTarget): ByteStream {
  const hashes = usableHashes(target.hashes, target.path).map((name) => ({ name, hash: createHash(name) }))
  let size = 0
  for await (const bytes of stream) {
    size += bytes.length
    if (size > target.length)
      throw new BinderyError('over-limit', `is longer than the ${target.length} bytes signed (TUF 5.7.3)`, { subject: target.path })
    for (const { hash } of hashes) hash.update(bytes)
    yield bytes
  }
  if (size < target.length)
    throw new BinderyError('bad-digest', `holds ${size} of ${target.length} bytes (TUF 5.7.3)`, { subject: target.path })
  for (const { name, hash } of hashes) {
    if (hash.digest('hex') !== target.hashes[name])
      throw new BinderyError('bad-digest', `does not have the ${name} that is signed (TUF 5.7.3)`, { subject: target.path })
  }
}
