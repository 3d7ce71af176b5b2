import { fromHex, hex } from '../../base/bytes.ts'
import { openPublicKey } from './signature-schemes.ts'
import type { Signed, TufKey } from '../../format/tuf.ts'
import type { FsckContext } from './fsck-findings.ts'

/**
 * Each signature of a file, not only as many as its role asks for: readers pass over one that does not fit, and nobody else would ever
 * tell. `keys` are those of the files that name the role's keys.
 */
export function checkEachSignature({ findings }: FsckContext, key: string, signed: Signed, keys: ReadonlyMap<string, TufKey>): void {
  for (const { keyId, sig } of signed.signatures) {
    const message = faultOf(signed, sig, keys.get(keyId))
    if (message !== undefined) findings.push({ severity: 'warning', code: 'bad-signature', key, message: `${message}: ${keyId}` })
  }
}

function faultOf(signed: Signed, sig: string, key: TufKey | undefined): string | undefined {
  if (key === undefined) return 'has a signature of a key that nothing names'
  const opened = openPublicKey(key)
  if (opened === undefined) return undefined
  const signature = fromHex(sig)
  // Another spelling of the same bytes is not how they were written.
  const isGood = signature !== undefined && hex(signature) === sig && opened.verify(signed.covered, signature)
  return isGood ? undefined : 'has a signature that does not fit'
}
