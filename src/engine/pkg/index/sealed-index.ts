import { collectBytes, oneChunk } from '../../../base/bytes.ts'
import { BinderyError } from '../../../base/error.ts'
import { decodeBinderyIndex, encodeBinderyIndex, sealIndex, unsealIndex } from '../../../format/openbsd/bindery-index.ts'
import { decodeSignature } from '../../../format/signify.ts'
import { compress, decompress } from '../../dist/wire.ts'
import { signMessage } from '../../repo/keys.ts'
import { verifyMessage } from '../../repo/verify-message.ts'
import type { BinderyIndex } from '../../../format/openbsd/bindery-index.ts'
import type { SignifyPublicKey } from '../../../format/signify.ts'
import type { Signer } from '../../repo/keys.ts'

/** bindery's index as a file: compressed, then signed, so that nothing unverified is ever decompressed. */

const maxText = 512 << 20

export async function sealedIndex(index: BinderyIndex, by: { readonly signer: Signer; readonly comment: string }): Promise<Uint8Array> {
  const compressed = (await collectBytes(compress(oneChunk(encodeBinderyIndex(index)), 'zstd'), Infinity)) as Uint8Array
  return sealIndex(signMessage(by.signer, compressed, by.comment), compressed)
}

/** Whether it has expired is for whoever knows the time. Throws `not-supported` for a file without a signature, `wrong-key`, `bad-signature`. */
export async function openSealedIndex(file: Uint8Array, key: Omit<SignifyPublicKey, 'comment'>): Promise<BinderyIndex> {
  const sealed = unsealIndex(file)
  if (sealed === undefined) throw new BinderyError('not-supported', 'is no index of bindery, or carries no signature')
  verifyMessage({ comment: '', ...key }, decodeSignature(sealed.signature), sealed.compressed)
  const text = await collectBytes(decompress(oneChunk(sealed.compressed), maxText), maxText)
  if (text === undefined) throw new BinderyError('over-limit', `is larger than ${maxText} bytes`)
  return decodeBinderyIndex(text)
}
