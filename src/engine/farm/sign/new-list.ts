import { fromHex, hex } from '../../../base/bytes.ts'
import { about } from '../../../base/about.ts'
import { decodeChecksumList } from '../../../format/checksum-list.ts'
import { decodeSignedMessage } from '../../../format/signify.ts'
import { verifyMessage } from '../../repo/verify-message.ts'
import { listName } from './request.ts'
import type { Sha256 } from '../../../base/digest.ts'
import type { Checksum } from '../../../format/checksum-list.ts'
import type { HandedSet } from '../../../format/handover.ts'
import type { SignifyPublicKey } from '../../../format/signify.ts'

/** By file. Only what `key` has signed counts. Throws `wrong-key`, `bad-signature`, `bad-format`. */
export async function readSignedList(set: HandedSet, file: Uint8Array, key: SignifyPublicKey): Promise<ReadonlyMap<string, Sha256>> {
  return await about(listName(set), () => {
    const { signature, message } = decodeSignedMessage(file)
    verifyMessage(key, signature, message)
    return new Map(decodeChecksumList(message).map(({ file: name, digest }) => [name, hex(digest) as Sha256]))
  })
}

/** What stays of the last list, and what is new; in byte order. */
export function newList(set: HandedSet, last: ReadonlyMap<string, Sha256>, signed: ReadonlyMap<string, Sha256>): readonly Checksum[] {
  const gone = new Set(set.packages.flatMap(({ replaces }) => replaces))
  const all = new Map([...[...last].filter(([file]) => !gone.has(file)), ...signed])
  return [...all]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([file, digest]) => ({ file, algorithm: 'SHA256', digest: fromHex(digest) as Uint8Array }))
}
