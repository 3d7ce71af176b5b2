import { createHash } from 'node:crypto'
import { concatBytes, equalBytes } from '../../base/bytes.ts'
import { BinderyError } from '../../base/error.ts'
import { decodeSecretKey, encodePublicKey, encodeSecretKey } from '../../format/signify.ts'
import { ed25519Key, tufKeyId } from '../../format/tuf.ts'
import { ed25519PrivateKey, publicKeyOfSeed, signEd25519 } from './ed25519.ts'
import type { Random } from '../../port/ambient.ts'
import type { SignifySecretKey, SignifySignature } from '../../format/signify.ts'

/** Key files, however they are sealed: a client that signs with a key that lies open has no use for passphrases. */

export type Signer = {
  /** The id of the public key in TUF metadata. */
  readonly keyId: string
  readonly publicKey: Uint8Array
  readonly keynum: Uint8Array
  /** Of the secret key file. */
  readonly comment: string
  sign(message: Uint8Array): Uint8Array
}

export type KeyPair = { readonly publicKeyFile: Uint8Array; readonly secretKeyFile: Uint8Array }

/** 64 bytes that the open key is xored with. */
export type Sealing = { readonly rounds: number; readonly stream: (salt: Uint8Array) => Promise<Uint8Array> }

export const unsealed: Sealing = { rounds: 0, stream: async () => await Promise.resolve(new Uint8Array(64)) }

/** `comment` is one char per byte; signify's own is `signify`. */
export async function makeKeyPair(random: Random, comment: string, { rounds, stream }: Sealing): Promise<KeyPair> {
  const seed = random.bytes(32)
  const keynum = random.bytes(8)
  const salt = random.bytes(16)
  const publicKey = publicKeyOfSeed(seed)
  const open = concatBytes([seed, publicKey])
  const sealed = xor(open, await stream(salt))
  const secret = { comment: `${comment} secret key`, rounds, salt, checksum: checksumOf(open), keynum, sealed }
  return {
    publicKeyFile: encodePublicKey({ comment: `${comment} public key`, keynum, publicKey }),
    secretKeyFile: encodeSecretKey(secret),
  }
}

/** Throws `bad-passphrase` where the stream is not the one that it was sealed with, `bad-format`. */
export async function openKeyFile(secretKeyFile: Uint8Array, stream: (secret: SignifySecretKey) => Promise<Uint8Array>): Promise<Signer> {
  const secret = decodeSecretKey(secretKeyFile)
  const seed = seedOf(secret, await stream(secret))
  const key = ed25519PrivateKey(seed)
  const publicKey = publicKeyOfSeed(seed)
  return {
    keyId: tufKeyId(ed25519Key(publicKey)),
    publicKey,
    keynum: secret.keynum,
    comment: secret.comment,
    sign: (message) => signEd25519(key, message),
  }
}

function seedOf(secret: SignifySecretKey, stream: Uint8Array): Uint8Array {
  const open = xor(secret.sealed, stream)
  if (!equalBytes(checksumOf(open), secret.checksum)) {
    if (secret.rounds > 0) throw new BinderyError('bad-passphrase', 'the passphrase is wrong')
    throw new BinderyError('bad-format', 'is damaged: its checksum is wrong')
  }
  const seed = open.subarray(0, 32)
  // Signing with a public half that is not the seed's own would give the seed away.
  if (!equalBytes(publicKeyOfSeed(seed), open.subarray(32)))
    throw new BinderyError('bad-format', 'holds two halves that do not belong together')
  return seed
}

function checksumOf(open: Uint8Array): Uint8Array {
  return new Uint8Array(createHash('sha512').update(open).digest().subarray(0, 8))
}

function xor(a: Uint8Array, b: Uint8Array): Uint8Array {
  return a.map((byte, i) => byte ^ (b[i] as number))
}

export function signatureBy(signer: Signer, message: Uint8Array, comment: string): SignifySignature {
  return { comment, keynum: signer.keynum, signature: signer.sign(message) }
}
