import { collectBytes, oneChunk } from '../../../base/bytes.ts'
import { BinderyError } from '../../../base/error.ts'
import { decodeObsolete, maxObsoleteBytes } from '../../../format/obsolete.ts'
import { decompress } from '../../dist/wire.ts'
import { readBlob } from './download.ts'
import { readToRemove } from '../to-remove.ts'
import type { Verified } from '../../../base/verified.ts'
import type { ObsoleteList } from '../../../format/obsolete.ts'
import type { Update } from '../../../format/update.ts'
import type { CachedBlob } from './download.ts'
import type { Offer } from './offer.ts'
import type { Session } from './session.ts'

export type FetchedObsolete = { readonly list?: Verified<ObsoleteList>; readonly files: readonly CachedBlob[] }

/**
 * What earlier releases left on a machine that did not follow them. It is worked through once: what later releases remove,
 * the difference of the manifests says.
 */
export async function fetchObsolete(
  session: Session,
  { enrolled, listed }: Offer,
  { obsolete }: Update,
  fetchTarget: (path: string) => Promise<Verified<CachedBlob>>,
): Promise<FetchedObsolete> {
  if (obsolete === undefined || !listed.has(obsolete.target)) return { files: [] }
  if ((await readToRemove(session.disk, enrolled.channel)).through > 0) return { files: [] }
  const file = await fetchTarget(obsolete.target)
  return { list: await readBlob(session, file, maxObsoleteBytes, unpackObsolete), files: [file.value] }
}

async function unpackObsolete(compressed: Uint8Array): Promise<ObsoleteList> {
  const text = await collectBytes(decompress(oneChunk(compressed), maxObsoleteBytes), maxObsoleteBytes)
  if (text === undefined) throw new BinderyError('over-limit', `unpacks to more than ${maxObsoleteBytes} bytes`)
  return decodeObsolete(text)
}
