import { createHash } from 'node:crypto'
import { concatBytes, equalBytes, hex, utf8 } from '../../base/bytes.ts'
import { BinderyError } from '../../base/error.ts'
import { decodeSecretKey, encodePublicKey, encodeSecretKey, encodeSignature } from '../../format/signify.ts'
import { addSignatures, canonical, decodeMetadata, ed25519Key, encodeSigned, tufKeyId } from '../../format/tuf.ts'
import { ed25519PrivateKey, publicKeyOfSeed, signEd25519 } from './ed25519.ts'
import type { Random } from '../../port/ambient.ts'
import type { SignifySecretKey, SignifySignature } from '../../format/signify.ts'
import type { Metadata } from '../../format/tuf.ts'

/** Keys as signify files hold them: made, opened, signed with, verified with. */

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

/** What signify itself uses. */
const defaultRounds = 42
/** A round costs up to 20 ms in JavaScript: what a hostile key file may cost us is bounded. */
const maxRounds = 1000

/** `comment` is one char per byte; signify's own is `signify`. Without a passphrase the secret key lies open. */
export async function generateKey(random: Random, options: { readonly comment: string; readonly passphrase?: string }): Promise<KeyPair> {
  const seed = random.bytes(32)
  const keynum = random.bytes(8)
  const salt = random.bytes(16)
  const publicKey = publicKeyOfSeed(seed)
  const open = concatBytes([seed, publicKey])
  const rounds = options.passphrase === undefined ? 0 : defaultRounds
  const stream = await keyStream(options.passphrase ?? '', salt, rounds)
  const secret = { comment: `${options.comment} secret key`, rounds, salt, checksum: checksumOf(open), keynum, sealed: xor(open, stream) }
  return {
    publicKeyFile: encodePublicKey({ comment: `${options.comment} public key`, keynum, publicKey }),
    secretKeyFile: encodeSecretKey(secret),
  }
}

/** `passphrase` is only called for a key that has one. Throws `bad-passphrase`, `bad-format`. */
export async function openSigner(secretKeyFile: Uint8Array, passphrase: () => Promise<string>): Promise<Signer> {
  const secret = decodeSecretKey(secretKeyFile)
  const seed = await openSeed(secret, passphrase)
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

async function openSeed(secret: SignifySecretKey, passphrase: () => Promise<string>): Promise<Uint8Array> {
  if (secret.rounds > maxRounds) throw new BinderyError('over-limit', `is sealed with ${secret.rounds} rounds, more than ${maxRounds}`)
  const stream = await keyStream(secret.rounds === 0 ? '' : await passphrase(), secret.salt, secret.rounds)
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

/** bcrypt_pbkdf(3), loaded only for keys with a passphrase. */
async function keyStream(passphrase: string, salt: Uint8Array, rounds: number): Promise<Uint8Array> {
  const stream = new Uint8Array(64)
  if (rounds === 0) return stream
  const bytes = utf8(passphrase)
  if (bytes.length === 0) throw new BinderyError('bad-passphrase', 'the passphrase is empty')
  const { pbkdf } = (await import('bcrypt-pbkdf')).default
  if (pbkdf(bytes, bytes.length, salt, salt.length, stream, stream.length, rounds) !== 0)
    throw new Error('bcrypt_pbkdf refused its arguments')
  return stream
}

function checksumOf(open: Uint8Array): Uint8Array {
  return new Uint8Array(createHash('sha512').update(open).digest().subarray(0, 8))
}

function xor(a: Uint8Array, b: Uint8Array): Uint8Array {
  return a.map((byte, i) => byte ^ (b[i] as number))
}

/** A detached signature file. */
export function signMessage(signer: Signer, message: Uint8Array, comment: string): Uint8Array {
  return encodeSignature(signatureBy(signer, message, comment))
}

export function signatureBy(signer: Signer, message: Uint8Array, comment: string): SignifySignature {
  return { comment, keynum: signer.keynum, signature: signer.sign(message) }
}

/** A metadata file signed by all of `signers`. */
export function signMetadata(metadata: Metadata, signers: readonly Signer[]): Uint8Array {
  const message = canonical(metadata)
  return encodeSigned(
    metadata,
    signers.map((signer) => ({ keyId: signer.keyId, sig: hex(signer.sign(message)) })),
  )
}

/** Adds signatures to a metadata file that was made elsewhere; what it says is not touched. */
export function countersign(file: Uint8Array, signers: readonly Signer[]): Uint8Array {
  const { covered } = decodeMetadata(file)
  return addSignatures(
    file,
    signers.map((signer) => ({ keyId: signer.keyId, sig: hex(signer.sign(covered)) })),
  )
}
