import { BinderyError, isBinderyError } from '../../base/error.ts'
import { decodePublicKey } from '../../format/signify.ts'
import { ed25519Key, tufKeyId } from '../../format/tuf.ts'
import { openSigner } from './keys.ts'
import type { RoleKeys, TufKey } from '../../format/tuf.ts'
import type { AskPassphrase } from '../../port/ambient.ts'
import type { Signer } from './key-file.ts'

/** `NAME.sec` and `NAME.pub` of a folder of keys; either may be missing. */
export type KeyFile = { readonly name: string; readonly secret?: Uint8Array; readonly public?: Uint8Array }

/** The keys that are at hand. A secret key is opened, and its passphrase asked for, once and only when it is needed. */
export type Keyring = {
  /** Signers for those of `keyIds` that are at hand. */
  signers(keyIds: readonly string[]): Promise<readonly Signer[]>
  /** The public key of that name, undefined where there is no such file. */
  publicKey(name: string): TufKey | undefined
  /** The name of the file that holds the key, for messages. */
  nameOf(keyId: string): string | undefined
}

export const emptyKeyring: Keyring = { signers: async () => [], publicKey: () => undefined, nameOf: () => undefined }

export function openKeyring(files: readonly KeyFile[], ask: AskPassphrase): Keyring {
  const known = new Map(files.flatMap((file) => (file.public === undefined ? [] : [[idOf(file), file.name] as const])))
  const opened = new Map<string, Signer>()
  const passphrases = new Set<string>()
  const open = async (file: KeyFile): Promise<Signer> => {
    const signer = opened.get(file.name) ?? (await openFile(file, ask, passphrases))
    opened.set(file.name, signer)
    known.set(signer.keyId, file.name)
    return signer
  }
  return {
    signers: async (keyIds) => {
      const signers = new Map<string, Signer>()
      for (const file of files) {
        // The public half tells which key it is without a passphrase; where it is missing, only opening does.
        if (file.secret === undefined || (file.public !== undefined && !keyIds.includes(idOf(file)))) continue
        const signer = await open(file)
        if (keyIds.includes(signer.keyId)) signers.set(signer.keyId, signer)
      }
      return [...signers.values()]
    },
    publicKey: (name) => publicOf(files.find((file) => file.name === name)),
    nameOf: (keyId) => known.get(keyId),
  }
}

/** Ids of the secret keys of a folder, without opening any; one whose public half is missing is not known. */
export function secretKeysOf(files: readonly KeyFile[]): ReadonlySet<string> {
  return new Set(files.filter((file) => file.secret !== undefined && file.public !== undefined).map(idOf))
}

function idOf(file: KeyFile): string {
  return tufKeyId(publicOf(file) as TufKey)
}

function publicOf(file: KeyFile | undefined): TufKey | undefined {
  if (file?.public === undefined) return undefined
  return withSubject(`${file.name}.pub`, () => ed25519Key(decodePublicKey(file.public as Uint8Array).publicKey))
}

async function openFile(file: KeyFile, ask: AskPassphrase, passphrases: Set<string>): Promise<Signer> {
  const subject = `${file.name}.sec`
  try {
    const signer = await openWith(file.secret as Uint8Array, passphrases, async () => await ask(`passphrase for ${subject}: `))
    if (file.public === undefined || signer.keyId === idOf(file)) return signer
  } catch (error) {
    throw about(subject, error)
  }
  throw new BinderyError('wrong-key', `does not belong to ${file.name}.pub`, { subject })
}

/** Keys that were made together have one passphrase: what has opened one is tried before a person is asked again. */
async function openWith(secret: Uint8Array, passphrases: Set<string>, ask: () => Promise<string>): Promise<Signer> {
  for (const passphrase of passphrases) {
    try {
      return await openSigner(secret, async () => passphrase)
    } catch (error) {
      if (!isBinderyError(error, 'bad-passphrase')) throw error
    }
  }
  let given: string | undefined
  const signer = await openSigner(secret, async () => (given = await ask()))
  if (given !== undefined) passphrases.add(given)
  return signer
}

function withSubject<T>(subject: string, work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw about(subject, error)
  }
}

function about(subject: string, error: unknown): unknown {
  if (!(error instanceof BinderyError) || error.subject !== undefined) return error
  return new BinderyError(error.code, error.message, { subject, hint: error.hint, cause: error })
}

/** Everyone at hand who may sign for the role; `wrong-key` when they are fewer than its threshold. */
export async function requireSigners(keyring: Keyring, role: string, keys: RoleKeys): Promise<readonly Signer[]> {
  const signers = await keyring.signers(keys.keyIds)
  if (signers.length >= keys.threshold) return signers
  throw new BinderyError('wrong-key', `needs the signatures of ${keys.threshold}, and ${signers.length} of its keys are at hand`, {
    subject: `role ${role}`,
    hint: 'where the keys lie on another machine, use --unsigned, sign and --signed',
  })
}
