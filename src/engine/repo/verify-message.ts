import { hex } from '../../base/bytes.ts'
import { BinderyError } from '../../base/error.ts'
import { sameKeynum } from '../../format/signify.ts'
import { verifyEd25519, verifyEd25519Aside } from './ed25519.ts'
import type { SignifyPublicKey, SignifySignature } from '../../format/signify.ts'

/** Throws `wrong-key` when another key made the signature, `bad-signature` when it does not fit the message. */
export function verifyMessage(key: SignifyPublicKey, signature: SignifySignature, message: Uint8Array): void {
  refuseOtherKey(key, signature)
  if (!verifyEd25519(key.publicKey, message, signature.signature)) throw unfitting()
}

/** The same, for thousands of them. */
export async function verifyMessageAside(key: SignifyPublicKey, signature: SignifySignature, message: Uint8Array): Promise<void> {
  refuseOtherKey(key, signature)
  if (!(await verifyEd25519Aside(key.publicKey, message, signature.signature))) throw unfitting()
}

function refuseOtherKey(key: SignifyPublicKey, signature: SignifySignature): void {
  if (!sameKeynum(key, signature))
    throw new BinderyError('wrong-key', `was signed with key ${hex(signature.keynum)}, not with ${hex(key.keynum)}`)
}

function unfitting(): BinderyError {
  return new BinderyError('bad-signature', 'the signature does not fit the message')
}
