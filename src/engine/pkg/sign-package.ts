import { byteReader } from '../../base/byte-reader.ts'
import { concatBytes } from '../../base/bytes.ts'
import { digestsOfBlocks, emptyMember, signedGzipHeader, signingPreamble, usualBlockSize } from '../../format/openbsd/signed-gzip.ts'
import { encodeSignedMessage } from '../../format/signify.ts'
import { signatureBy } from '../repo/key-file.ts'
import { gzipHeaderOf } from './gzip-header.ts'
import type { ByteStream } from '../../base/bytes.ts'
import type { ByteSource } from '../../port/source.ts'
import type { Signer } from '../repo/key-file.ts'

/** What `signify -zS` does with a gzip file. */

export type Signing = {
  readonly signer: Signer
  /** Of the signature, unsigned. */
  readonly comment: string
  readonly date: string
  /** The name of the secret key's file. */
  readonly key: string
}

/**
 * The signed twin of a gzip file, which is read twice. A payload that is a multiple of 64 KiB long gets an empty member behind it, since
 * signify before 2023 cannot verify what it signs itself where the last block is a whole one. Throws `bad-format`.
 */
export async function* signPackage(gzip: ByteSource, { signer, comment, date, key }: Signing): ByteStream {
  const { start, effort } = await gzipHeaderOf(gzip)
  const more = (gzip.size - start) % usualBlockSize === 0 ? [emptyMember] : []
  const payload = (): ByteStream => payloadOf(gzip, start, more)
  const parts: Uint8Array[] = [signingPreamble({ date, key, blockSize: usualBlockSize })]
  const blocks = byteReader(payload(), 'the gzip file')
  for (let block = await blocks.upTo(usualBlockSize); block.length > 0; block = await blocks.upTo(usualBlockSize))
    parts.push(digestsOfBlocks(block))
  const message = concatBytes(parts)
  yield signedGzipHeader({ effort, comment: encodeSignedMessage({ signature: signatureBy(signer, message, comment), message }) })
  yield* payload()
}

async function* payloadOf(gzip: ByteSource, start: number, more: readonly Uint8Array[]): ByteStream {
  for (let at = start; at < gzip.size; at += 16 * usualBlockSize) yield await gzip.read(at, Math.min(gzip.size, at + 16 * usualBlockSize))
  yield* more
}
