import { createPrivateKey, createPublicKey, sign, verify } from 'node:crypto'
import { concatBytes } from '../../base/bytes.ts'
import type { KeyObject } from 'node:crypto'

/** Ed25519 (RFC 8032) on raw keys; node:crypto wants them in DER (RFC 8410), whose prefixes are constant. */

const privatePrefix = new Uint8Array([0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20])
const publicPrefix = new Uint8Array([0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00])

export function ed25519PrivateKey(seed: Uint8Array): KeyObject {
  return createPrivateKey({ key: Buffer.from(concatBytes([privatePrefix, seed])), format: 'der', type: 'pkcs8' })
}

export function ed25519PublicKey(publicKey: Uint8Array): KeyObject {
  return createPublicKey({ key: Buffer.from(concatBytes([publicPrefix, publicKey])), format: 'der', type: 'spki' })
}

/** The 32 bytes of the public key that belongs to a seed. */
export function publicKeyOfSeed(seed: Uint8Array): Uint8Array {
  const spki = createPublicKey(ed25519PrivateKey(seed)).export({ format: 'der', type: 'spki' })
  return new Uint8Array(spki.subarray(publicPrefix.length))
}

export function signEd25519(key: KeyObject, message: Uint8Array): Uint8Array {
  return new Uint8Array(sign(null, message, key))
}

export function verifyEd25519(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  return verify(null, message, ed25519PublicKey(publicKey), signature)
}

/** The same on a thread of the runtime, whose keys cost less here: for thousands of signatures. */
export async function verifyEd25519Aside(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): Promise<boolean> {
  const { subtle } = crypto
  const key = await subtle.importKey('raw', publicKey.slice(), 'Ed25519', false, ['verify'])
  return await subtle.verify('Ed25519', key, signature.slice(), message.slice())
}
