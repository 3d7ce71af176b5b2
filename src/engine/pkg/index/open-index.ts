import { collectBytes, oneChunk } from '../../../base/bytes.ts'
import { BinderyError } from '../../../base/error.ts'
import { decodeBinderyIndex, unsealIndex } from '../../../format/openbsd/bindery-index.ts'
import { decodeSignature } from '../../../format/signify.ts'
import { decompress } from '../../dist/wire.ts'
import { verifyMessage } from '../../repo/verify-message.ts'
import type { BinderyIndex } from '../../../format/openbsd/bindery-index.ts'
import type { SignifyPublicKey } from '../../../format/signify.ts'

const maxText = 512 << 20

/**
 * bindery's index out of its file, the packages that `wants` wants by their files. Whether it has expired is for whoever knows the time.
 * Throws `not-supported` for a file without a signature, `wrong-key`, `bad-signature`.
 */
export async function openSealedIndex(
  file: Uint8Array,
  key: Omit<SignifyPublicKey, 'comment'>,
  wants?: (file: string) => boolean,
): Promise<BinderyIndex> {
  const sealed = unsealIndex(file)
  if (sealed === undefined) throw new BinderyError('not-supported', 'is no index of bindery, or carries no signature')
  verifyMessage({ comment: '', ...key }, decodeSignature(sealed.signature), sealed.compressed)
  const text = await collectBytes(decompress(oneChunk(sealed.compressed), maxText), maxText)
  if (text === undefined) throw new BinderyError('over-limit', `is larger than ${maxText} bytes`)
  return decodeBinderyIndex(text, wants)
}
