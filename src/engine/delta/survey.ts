import { createHash } from 'node:crypto'
import { concatBytes } from '../../base/bytes.ts'
import { listMembers } from '../../format/tar-members.ts'
import { sumSoFar } from './block-hash.ts'
import type { Sha256 } from '../../base/digest.ts'
import type { DeltaSide } from '../../format/delta.ts'
import type { TarMember } from '../../format/tar-members.ts'
import type { ByteSource } from '../../port/source.ts'

/** What must be known of a side before the first byte of a delta: its digests, and its members if it is a tar. */
export type Survey = {
  readonly side: DeltaSide
  /** Block digests as the delta's table has them. */
  readonly digests: Uint8Array
  readonly members: readonly TarMember[]
}

const readSize = 1 << 20

/** `members`: where somebody knows more of them than a tar tells. */
export async function survey(
  source: ByteSource,
  blockSize: number,
  digestSize: number,
  signal: AbortSignal | undefined,
  members?: readonly TarMember[],
): Promise<Survey> {
  const hash = createHash('sha256')
  const digests: Uint8Array[] = []
  const step = Math.min(readSize, blockSize)
  const room = new Uint8Array(Math.min(step, source.size))
  for (let at = 0; at < source.size; at += step) {
    signal?.throwIfAborted()
    if (at > 0 && at % blockSize === 0) digests.push(sumSoFar(hash).subarray(0, digestSize))
    hash.update(await source.read(at, Math.min(source.size, at + step), room))
  }
  const side = { size: source.size, sha256: hash.digest('hex') as Sha256 }
  return { side, digests: concatBytes(digests), members: members ?? (await listMembers(source)) }
}
