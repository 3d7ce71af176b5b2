import { checkedPayload, readSignedGzip, signedGzipHeader } from '../../format/openbsd/signed-gzip.ts'
import { verifyMessage } from '../repo/verify-message.ts'
import type { ByteStream } from '../../base/bytes.ts'
import type { SigningFacts } from '../../format/openbsd/signed-gzip.ts'
import type { SignifyPublicKey, SignifySignature } from '../../format/signify.ts'

/** Signed gzip files, OpenBSD's packages: what `signify -zV` does. */
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
  const { head, payload } = await readSignedGzip(file)
  verifyMessage(await keyFor(head.signed.signature), head.signed.signature, head.signed.message)
  return {
    facts: head.facts,
    bytes: (async function* () {
      yield signedGzipHeader(head)
      yield* checkedPayload(head, payload)
    })(),
  }
}
