import { constants, createPublicKey, verify } from 'node:crypto'
import { fromHex } from '../../base/bytes.ts'
import { ed25519PublicKey } from './ed25519.ts'
import type { KeyObject } from 'node:crypto'
import type { TufKey } from '../../format/tuf.ts'

/**
 * Verification of one signature by the scheme of its key (TUF 4.2.2). Answers only: a key or signature that cannot be
 * read is one that does not count.
 */
export type PublicKey = {
  /** The same for the same key, however its metadata is spelled. */
  readonly identity: string
  verify(message: Uint8Array, signature: Uint8Array): boolean
}

type Scheme = {
  readonly keytypes: readonly string[]
  readonly open: (publicKey: string) => KeyObject | undefined
  readonly verify: (key: KeyObject, message: Uint8Array, signature: Uint8Array) => boolean
}

/** 4.2.2: "All RSA keys MUST be at least 2048 bits"; the upper bound keeps a hostile key from costing seconds. */
const minRsaBits = 2048
const maxRsaBits = 16384

const schemes: Readonly<Record<string, Scheme>> = {
  ed25519: {
    keytypes: ['ed25519'],
    open: openEd25519,
    verify: (key, message, signature) => verify(null, message, key, signature),
  },
  'rsassa-pss-sha256': {
    keytypes: ['rsa'],
    open: openRsa,
    verify: (key, message, signature) =>
      verify('sha256', message, { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_AUTO }, signature),
  },
  'rsa-pkcs1v15-sha256': {
    keytypes: ['rsa'],
    open: openRsa,
    verify: (key, message, signature) => verify('sha256', message, { key, padding: constants.RSA_PKCS1_PADDING }, signature),
  },
  'ecdsa-sha2-nistp256': {
    // The second name is that of the reference implementation before its version 1.
    keytypes: ['ecdsa', 'ecdsa-sha2-nistp256'],
    open: openP256,
    verify: (key, message, signature) => verify('sha256', message, { key, dsaEncoding: 'der' }, signature),
  },
}

/** Undefined for a scheme or key that we do not read. */
export function openPublicKey(key: TufKey): PublicKey | undefined {
  const scheme = Object.hasOwn(schemes, key.scheme) ? schemes[key.scheme] : undefined
  if (scheme === undefined || !scheme.keytypes.includes(key.keytype)) return undefined
  const opened = quietly(() => scheme.open(key.publicKey))
  if (opened === undefined) return undefined
  return {
    identity: opened.export({ type: 'spki', format: 'der' }).toString('hex'),
    verify: (message, signature) => quietly(() => scheme.verify(opened, message, signature)) ?? false,
  }
}

function openEd25519(text: string): KeyObject | undefined {
  const raw = fromHex(text)
  return raw?.length === 32 ? ed25519PublicKey(raw) : undefined
}

function openRsa(pem: string): KeyObject | undefined {
  const key = createPublicKey({ key: pem, format: 'pem' })
  const bits = key.asymmetricKeyDetails?.modulusLength ?? 0
  return key.asymmetricKeyType === 'rsa' && bits >= minRsaBits && bits <= maxRsaBits ? key : undefined
}

function openP256(pem: string): KeyObject | undefined {
  const key = createPublicKey({ key: pem, format: 'pem' })
  return key.asymmetricKeyType === 'ec' && key.asymmetricKeyDetails?.namedCurve === 'prime256v1' ? key : undefined
}

/** node:crypto throws OpenSSL's many errors for input that is no key or no signature. */
function quietly<T>(work: () => T): T | undefined {
  try {
    return work()
  } catch {
    return undefined
  }
}
