import { BinderyError } from '../../../base/error.ts'
import { markVerified } from '../../../base/verified.ts'
import { applyDelta, readDeltaInfo } from '../../delta/apply.ts'
import { packIntoCache } from './cache.ts'
import { streamBlob } from './download.ts'
import { blaming } from './fault.ts'
import type { ByteStream } from '../../../base/bytes.ts'
import type { Verified } from '../../../base/verified.ts'
import type { CachedBlob } from './download.ts'
import type { FaultFinder } from './fault.ts'
import type { Session } from './session.ts'

export type Patching = {
  readonly old: ByteStream
  /** At least one, to be applied one after the other. */
  readonly deltas: readonly Verified<CachedBlob>[]
  /** Bytes that none of them may make more of. */
  readonly limit: number
  /** Learns which of the deltas is broken. */
  readonly finder: FaultFinder
}

/**
 * Brings what signed deltas make of `old` into the cache, compressed. It is as trusted as they are: each names the
 * digests of what it leads from and to, and applying it hands out nothing else.
 */
export async function keepPatched(session: Session, { old, deltas, limit, finder }: Patching): Promise<Verified<CachedBlob>> {
  let content = old
  for (const delta of deltas) {
    content = blaming(finder, { kind: 'target', target: delta.value.target }, patched(session, delta, content, limit))
  }
  const last = (deltas.at(-1) as Verified<CachedBlob>).value
  return markVerified({ target: last.target, ...(await packIntoCache(session.disk, `${last.sha256}.patched`, content)) })
}

async function* patched(session: Session, delta: Verified<CachedBlob>, old: ByteStream, limit: number): ByteStream {
  const { size } = (await readDeltaInfo(streamBlob(session, delta))).new
  if (size > limit) throw new BinderyError('over-limit', `makes ${size} bytes, more than ${limit}`)
  yield* applyDelta(streamBlob(session, delta), old)
}
