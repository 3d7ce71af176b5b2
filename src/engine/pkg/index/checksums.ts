import { isBinderyError } from '../../../base/error.ts'
import { decodeChecksumList } from '../../../format/checksum-list.ts'
import { decodeSignedMessage } from '../../../format/signify.ts'
import { verifyMessage } from '../../repo/verify-message.ts'
import type { Checksum } from '../../../format/checksum-list.ts'
import type { SignifyPublicKey } from '../../../format/signify.ts'
import type { PackageMirror } from '../../../port/package-mirror.ts'

const maxList = 16 << 20

/**
 * The digests that the mirror itself tells, in `SHA256.sig` or else in `SHA256`: without them, they would cost reading all of each package.
 * None where the list is damaged, which hides no package. With a key only what it has signed counts, and what another signed is refused.
 */
export async function mirrorChecksums(mirror: PackageMirror, key: SignifyPublicKey | undefined): Promise<readonly Checksum[]> {
  const signed = await mirror.read('SHA256.sig', maxList)
  if (signed !== undefined) return tolerant(() => decodeChecksumList(messageOf(signed, key)))
  const plain = key === undefined ? await mirror.read('SHA256', maxList) : undefined
  return plain === undefined ? [] : tolerant(() => decodeChecksumList(plain))
}

function messageOf(file: Uint8Array, key: SignifyPublicKey | undefined): Uint8Array {
  const { signature, message } = decodeSignedMessage(file)
  if (key !== undefined) verifyMessage(key, signature, message)
  return message
}

function tolerant(decode: () => readonly Checksum[]): readonly Checksum[] {
  try {
    return decode()
  } catch (error) {
    if (isBinderyError(error, 'bad-format')) return []
    throw error
  }
}
