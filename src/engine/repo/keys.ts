import { hex, utf8 } from '../../base/bytes.ts'
import { BinderyError } from '../../base/error.ts'
import { encodeSignature } from '../../format/signify.ts'
import { addSignatures, canonical, decodeMetadata, encodeSigned } from '../../format/tuf.ts'
import { makeKeyPair, openKeyFile, signatureBy, unsealed } from './key-file.ts'
import type { Random } from '../../port/ambient.ts'
import type { Metadata } from '../../format/tuf.ts'
import type { KeyPair, Signer } from './key-file.ts'

/** Keys as signify files hold them, with their passphrases: made, opened, signed with. */

/** What signify itself uses. */
const defaultRounds = 42
/** A round costs up to 20 ms in JavaScript: what a hostile key file may cost us is bounded. */
const maxRounds = 1000

/** Without a passphrase the secret key lies open. */
export async function generateKey(
  random: Random,
  { comment, passphrase }: { readonly comment: string; readonly passphrase?: string },
): Promise<KeyPair> {
  if (passphrase === undefined) return await makeKeyPair(random, comment, unsealed)
  const stream = async (salt: Uint8Array): Promise<Uint8Array> => await keyStream(passphrase, salt, defaultRounds)
  return await makeKeyPair(random, comment, { rounds: defaultRounds, stream })
}

/** `passphrase` is only called for a key that has one. Throws `bad-passphrase`, `bad-format`. */
export async function openSigner(secretKeyFile: Uint8Array, passphrase: () => Promise<string>): Promise<Signer> {
  return await openKeyFile(secretKeyFile, async ({ rounds, salt }) => {
    if (rounds > maxRounds) throw new BinderyError('over-limit', `is sealed with ${rounds} rounds, more than ${maxRounds}`)
    return rounds === 0 ? await unsealed.stream(salt) : await keyStream(await passphrase(), salt, rounds)
  })
}

/** bcrypt_pbkdf(3), loaded only for keys with a passphrase. */
async function keyStream(passphrase: string, salt: Uint8Array, rounds: number): Promise<Uint8Array> {
  const stream = new Uint8Array(64)
  const bytes = utf8(passphrase)
  if (bytes.length === 0) throw new BinderyError('bad-passphrase', 'the passphrase is empty')
  const { pbkdf } = (await import('bcrypt-pbkdf')).default
  if (pbkdf(bytes, bytes.length, salt, salt.length, stream, stream.length, rounds) !== 0)
    throw new Error('bcrypt_pbkdf refused its arguments')
  return stream
}

/** A detached signature file. */
export function signMessage(signer: Signer, message: Uint8Array, comment: string): Uint8Array {
  return encodeSignature(signatureBy(signer, message, comment))
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
