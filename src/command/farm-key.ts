import { BinderyError, isBinderyError } from '../base/error.ts'
import { oneChunk } from '../base/bytes.ts'
import { generateKey, openSigner } from '../engine/repo/keys.ts'
import { encodePublicKey } from '../format/signify.ts'
import { refuseExisting, writeNewFile } from '../host/new-file.ts'
import { writeFileAtomically } from '../host/source.ts'
import { readKeyFile } from './signed-files.ts'
import type { Signer } from '../engine/repo/key-file.ts'
import type { Random } from '../port/ambient.ts'

export type FarmKey = { readonly secret: string; readonly public: string; readonly comment: string }

/** The key of a builder or a controller, which starts without anybody who knew a passphrase; made where there is none. */
export async function farmKey(random: Random, key: FarmKey): Promise<Signer> {
  try {
    await refuseExisting(key.secret)
    await writeNewFile(key.secret, (await generateKey(random, { comment: key.comment })).secretKeyFile, 0o600)
  } catch (error) {
    if (!isBinderyError(error, 'exists')) throw error
  }
  const signer = await openFarmKey(key.secret)
  const { keynum, publicKey } = signer
  await writeFileAtomically(key.public, oneChunk(encodePublicKey({ comment: `${key.comment} public key`, keynum, publicKey })))
  return signer
}

export async function openFarmKey(secret: string): Promise<Signer> {
  return await readKeyFile({ stdin: oneChunk(new Uint8Array(0)) }, secret, async (bytes) => await openSigner(bytes, noPassphrase))
}

async function noPassphrase(): Promise<string> {
  throw new BinderyError('not-supported', 'has a passphrase, and a farm starts without anybody who knew it', {
    hint: 'keygen --no-passphrase makes a key without one',
  })
}
