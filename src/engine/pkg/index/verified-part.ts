import { collectBytes, concatBytes, emptyBytes, oneChunk } from '../../../base/bytes.ts'
import { readHeader } from '../../../format/gzip.ts'
import { checkBlock, checkedPayload, readSignedGzip, signedGzipHeader } from '../../../format/openbsd/signed-gzip.ts'
import { verifyMessage } from '../../repo/verify-message.ts'
import type { SignedGzipHead } from '../../../format/openbsd/signed-gzip.ts'
import type { SignifyPublicKey } from '../../../format/signify.ts'

/**
 * Of the beginning of a signed package what its signature vouches for: the header, and the blocks that are there as a whole. Nothing where
 * `bytes` end before the header does. Throws `wrong-key`, `bad-signature`, `bad-digest`, and `not-supported` for an unsigned one.
 */
export async function verifiedPart(bytes: Uint8Array, isWhole: boolean, key: SignifyPublicKey): Promise<Uint8Array> {
  if (!isWhole && readHeader(bytes, 0) === undefined) return emptyBytes
  const { head, payload } = await readSignedGzip(oneChunk(bytes))
  verifyMessage(key, head.signed.signature, head.signed.message)
  const verified = isWhole ? checkedPayload(head, payload) : wholeBlocks(head, (await collectBytes(payload, Infinity)) as Uint8Array)
  const parts: Uint8Array[] = [signedGzipHeader(head)]
  for await (const block of verified) parts.push(block)
  return concatBytes(parts)
}

function* wholeBlocks(head: SignedGzipHead, payload: Uint8Array): Generator<Uint8Array> {
  const { blockSize } = head.facts
  for (let index = 0; (index + 1) * blockSize <= payload.length; index++) {
    const block = payload.subarray(index * blockSize, (index + 1) * blockSize)
    checkBlock(head, index, block)
    yield block
  }
}
