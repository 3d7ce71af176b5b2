import { createPrivateKey, createPublicKey, generateKeyPairSync, sign } from 'node:crypto'
import { hex } from '../../src/base/bytes.ts'
import { ed25519Key, tufKeyId } from '../../src/format/tuf.ts'
import { publicKeyOfSeed, signEd25519, ed25519PrivateKey } from '../../src/engine/repo/ed25519.ts'
import type { TufKey } from '../../src/format/tuf.ts'

/** A key that signs in a test, of any kind that TUF names. */
export type TestSigner = { readonly keyId: string; readonly key: TufKey; sign(message: Uint8Array): string }

export const signerKinds = ['ed25519', 'rsassa-pss-sha256', 'rsa-pkcs1v15-sha256', 'ecdsa-sha2-nistp256'] as const
export type SignerKind = (typeof signerKinds)[number]

/** The same number, the same key. */
export function ed25519Signer(number: number): TestSigner {
  const seed = new Uint8Array(32).fill(number)
  const key = ed25519Key(publicKeyOfSeed(seed))
  const opened = ed25519PrivateKey(seed)
  return { keyId: tufKeyId(key), key, sign: (message) => hex(signEd25519(opened, message)) }
}

/** Making RSA keys is slow: a run makes two of each kind at most. */
export function signerOf(kind: SignerKind, bits = 2048): TestSigner {
  if (kind === 'ed25519') return ed25519Signer(250)
  const pem = kind === 'ecdsa-sha2-nistp256' ? ecPem() : rsaPem(bits)
  const privateKey = createPrivateKey(pem)
  const publicKey = createPublicKey(pem).export({ type: 'spki', format: 'pem' }).toString()
  const keytype = kind === 'ecdsa-sha2-nistp256' ? 'ecdsa' : 'rsa'
  const key = { keytype, scheme: kind, publicKey, json: { keytype, scheme: kind, keyval: { public: publicKey } } }
  const padding = kind === 'rsassa-pss-sha256' ? { padding: 6, saltLength: 32 } : {}
  return { keyId: tufKeyId(key), key, sign: (message) => sign('sha256', message, { key: privateKey, ...padding }).toString('hex') }
}

function rsaPem(modulusLength: number): string {
  return generateKeyPairSync('rsa', { modulusLength }).privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
}

function ecPem(): string {
  return generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
}
