import { about } from '../base/about.ts'
import { markVerified } from '../base/verified.ts'
import { verifyMessage } from '../engine/repo/verify-message.ts'
import { decodeErrata } from '../format/errata.ts'
import { decodeSignedMessage } from '../format/signify.ts'
import type { Verified } from '../base/verified.ts'
import type { Errata } from '../format/errata.ts'
import type { SignifyPublicKey } from '../format/signify.ts'

/** `name` is the file, for errors. Nothing of the message is parsed before its signature is good. */
export async function readErrata(file: Uint8Array, name: string, key: SignifyPublicKey): Promise<Verified<Errata>> {
  return await about(name, () => {
    const { signature, message } = decodeSignedMessage(file)
    verifyMessage(key, signature, message)
    return markVerified(decodeErrata(message))
  })
}

/** For who has said that it need not be signed; the signature of a file that has one is not looked at. */
export async function readUnsignedErrata(file: Uint8Array, name: string): Promise<Errata> {
  return await about(name, () => decodeErrata(hasSignature(file) ? decodeSignedMessage(file).message : file))
}

const signatureStart = Buffer.from('untrusted comment: ')

function hasSignature(file: Uint8Array): boolean {
  return signatureStart.equals(file.subarray(0, signatureStart.length))
}
