import { hex } from '../../base/bytes.ts'
import { BinderyError } from '../../base/error.ts'
import { sameKeynum } from '../../format/signify.ts'
import { verifyEd25519 } from './ed25519.ts'
import type { SignifyPublicKey, SignifySignature } from '../../format/signify.ts'

/** Throws `wrong-key` when another key made the signature, `bad-signature` when it does not fit the message. */
export function verifyMessage(key: SignifyPublicKey, signature: SignifySignature, message: Uint8Array): void {
  if (!sameKeynum(key, signature)) {
    throw new BinderyError('wrong-key', `was signed with key ${hex(signature.keynum)}, not with ${hex(key.keynum)}`)
  }
  if (!verifyEd25519(key.publicKey, message, signature.signature))
    throw new BinderyError('bad-signature', 'the signature does not fit the message')
}
