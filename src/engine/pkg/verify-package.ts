import { closeStream } from '../../base/bytes.ts'
import { checkedPayload, readSignedGzip, signedGzipHeader } from '../../format/openbsd/signed-gzip.ts'
import { verifyMessage } from '../repo/verify-message.ts'
import type { ByteStream } from '../../base/bytes.ts'
import type { SignedGzipHead, SigningFacts } from '../../format/openbsd/signed-gzip.ts'
import type { SignifyPublicKey, SignifySignature } from '../../format/signify.ts'

/** What `signify -zV` does with a signed gzip file, a package of OpenBSD for instance. */

export type SignedPackage = {
  readonly facts: SigningFacts
  /** The file as signify passes it on, each block verified before. To be read to its end, or left by `return()`. */
  readonly bytes: ByteStream
}

/** `keyFor` finds the key that may have made this signature. The signature is verified when this returns, the blocks while they flow. */
export async function verifyPackage(
  file: ByteStream,
  keyFor: (signature: SignifySignature) => Promise<SignifyPublicKey>,
): Promise<SignedPackage> {
  try {
    const { head, payload } = await readSignedGzip(file)
    verifyMessage(await keyFor(head.signed.signature), head.signed.signature, head.signed.message)
    return { facts: head.facts, bytes: passedOn(file, head, payload) }
  } catch (error) {
    await closeStream(file)
    throw error
  }
}

async function* passedOn(file: ByteStream, head: SignedGzipHead, payload: ByteStream): ByteStream {
  try {
    yield signedGzipHeader(head)
    yield* checkedPayload(head, payload)
  } finally {
    await closeStream(file)
  }
}
