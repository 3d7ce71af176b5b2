import { fromHex } from '../../base/bytes.ts'
import { BinderyError, isBinderyError } from '../../base/error.ts'
import { openPublicKey } from './signature-schemes.ts'
import type { RoleKeys, Signed, TufKey } from '../../format/tuf.ts'

/** Who must have signed: a role's key ids and threshold, and the keys of the file that names them. */
export type Authority = { readonly role: RoleKeys; readonly keys: ReadonlyMap<string, TufKey>; /** For messages. */ readonly of: string }

/**
 * The check for an arbitrary software attack (5.3.4, 5.4.2, 5.5.3, 5.6.3): a threshold of the role's own keys, each
 * counted once. Signatures of other keys, and signatures that do not fit, are ignored. Throws `bad-signature`, and `under-threshold` where
 * some of the keys have signed, and not enough: so a stolen key looks, and a signature that is still to come.
 */
export function verifySignatures(signed: Signed, authority: Authority, subject: string, clause: string): void {
  const valid = countValid(signed, authority)
  if (valid >= authority.role.threshold) return
  const message = `has ${valid} of the ${authority.role.threshold} signatures that ${authority.of} asks for (TUF ${clause})`
  throw new BinderyError(valid === 0 ? 'bad-signature' : 'under-threshold', message, { subject })
}

/** What `verifySignatures` throws. */
export function isUnsigned(error: unknown): boolean {
  return isBinderyError(error, 'bad-signature') || isBinderyError(error, 'under-threshold')
}

export function isSatisfied(signed: Signed, authority: Authority): boolean {
  return countValid(signed, authority) >= authority.role.threshold
}

function countValid(signed: Signed, authority: Authority): number {
  const counted = new Set<string>()
  for (const { identity } of validSignatures(signed, authority)) {
    counted.add(identity)
    if (counted.size >= authority.role.threshold) break
  }
  return counted.size
}

/** The ids of the role's keys that have signed, each key once. */
export function signersOf(signed: Signed, authority: Authority): readonly string[] {
  const byIdentity = new Map<string, string>()
  for (const { identity, keyId } of validSignatures(signed, authority)) byIdentity.set(identity, keyId)
  return [...byIdentity.values()]
}

/** By the key itself, not its id: one key listed under two ids must not meet a threshold of two. */
function* validSignatures(signed: Signed, { role, keys }: Authority): Iterable<{ readonly keyId: string; readonly identity: string }> {
  for (const { keyId, sig } of signed.signatures) {
    const key = role.keyIds.includes(keyId) ? keys.get(keyId) : undefined
    const opened = key === undefined ? undefined : openPublicKey(key)
    const signature = fromHex(sig)
    if (opened === undefined || signature === undefined) continue
    if (opened.verify(signed.covered, signature)) yield { keyId, identity: opened.identity }
  }
}
