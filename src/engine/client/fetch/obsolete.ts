import { collectBytes, oneChunk } from '../../../base/bytes.ts'
import { BinderyError } from '../../../base/error.ts'
import { decodeObsolete, maxObsoleteBytes } from '../../../format/obsolete.ts'
import { decompress } from '../../dist/wire.ts'
import { releaseTargets } from '../../update/compose.ts'
import { readBlob } from './download.ts'
import { readToRemove } from '../to-remove.ts'
import type { Verified } from '../../../base/verified.ts'
import type { ObsoleteList } from '../../../format/obsolete.ts'
import type { TargetRef, Update } from '../../../format/update.ts'
import type { CachedBlob } from './download.ts'
import type { Offer } from './offer.ts'
import type { Session } from './session.ts'

export type FetchedObsolete = { readonly list?: Verified<ObsoleteList>; readonly files: readonly CachedBlob[] }

/**
 * The list of what earlier releases left on a machine that did not follow them, where it is needed. It is worked through
 * once: what later releases remove, the difference of the manifests says. Nothing was left by the releases before one
 * that had no list itself.
 */
export async function neededList({ disk }: Pick<Session, 'disk'>, offer: Offer, { obsolete }: Update): Promise<TargetRef | undefined> {
  const { enrolled, installed, listed } = offer
  if (obsolete === undefined || !listed.has(obsolete.target)) return undefined
  const own = releaseTargets(installed.name)
  if (installed.sequence === 1 || (listed.has(own.update) && !listed.has(own.obsolete))) return undefined
  return (await readToRemove(disk, enrolled.channel)).through > 0 ? undefined : obsolete
}

export async function fetchObsolete(
  session: Session,
  needed: TargetRef | undefined,
  fetchTarget: (path: string) => Promise<Verified<CachedBlob>>,
): Promise<FetchedObsolete> {
  if (needed === undefined) return { files: [] }
  const file = await fetchTarget(needed.target)
  return { list: await readBlob(session, file, maxObsoleteBytes, unpackObsolete), files: [file.value] }
}

async function unpackObsolete(compressed: Uint8Array): Promise<ObsoleteList> {
  const text = await collectBytes(decompress(oneChunk(compressed), maxObsoleteBytes), maxObsoleteBytes)
  if (text === undefined) throw new BinderyError('over-limit', `unpacks to more than ${maxObsoleteBytes} bytes`)
  return decodeObsolete(text)
}
