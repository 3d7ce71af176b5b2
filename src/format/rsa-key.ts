import { createPrivateKey, createPublicKey } from 'node:crypto'
import { latin1 } from '../base/bytes.ts'
import { BinderyError } from '../base/error.ts'
import type { KeyObject } from 'node:crypto'

/** Keys in PEM of those whose signatures are RSA over SHA-1: PBIs and the lists of PC-BSD's updates. */

export function rsaPublicKey(pem: Uint8Array): KeyObject {
  return rsaKey(() => createPublicKey(latin1(pem)), 'is no public key in PEM')
}

export function rsaSecretKey(pem: Uint8Array): KeyObject {
  return rsaKey(() => createPrivateKey(latin1(pem)), 'is no secret key in PEM, or one with a passphrase')
}

function rsaKey(read: () => KeyObject, message: string): KeyObject {
  let key: KeyObject
  try {
    key = read()
  } catch (cause) {
    throw new BinderyError('bad-format', message, { cause })
  }
  if (key.asymmetricKeyType !== 'rsa') throw new BinderyError('not-supported', 'is no RSA key; PC-BSD signs with RSA alone')
  return key
}
