import { BinderyError } from '../../base/error.ts'
import { decodeRoot } from '../../format/tuf.ts'
import { decodeFile, fetchFile, persist } from './refresh-session.ts'
import { storeName } from './role-files.ts'
import { verifySignatures } from './verify-signatures.ts'
import type { Root, Signed, TopRole } from '../../format/tuf.ts'
import type { Authority } from './verify-signatures.ts'
import type { Session } from './refresh-session.ts'

/** Steps 5.2 and 5.3 of the client workflow: the chain of roots. */

export function authorityOf({ value }: Signed<Root>, role: TopRole): Authority {
  return { role: value.roles[role], keys: value.keys, of: `root ${value.version}` }
}

/** 5.2: its expiry does not matter; its signatures do, as a guard against a damaged store. */
export async function loadTrustedRoot({ store }: Pick<Session, 'store'>): Promise<Signed<Root>> {
  const bytes = await store.load(storeName('root'))
  if (bytes === undefined) throw new BinderyError('not-found', 'there is no trusted root', { subject: storeName('root') })
  return checkFirstRoot(bytes)
}

/** A root that came by a trusted way: it must be signed by itself. */
export function checkFirstRoot(bytes: Uint8Array): Signed<Root> {
  const root = decodeFile(decodeRoot, bytes, storeName('root'))
  verifySignatures(root, authorityOf(root, 'root'), storeName('root'), '5.2')
  return root
}

/** 5.3.2 to 5.3.9, and 5.3.11. The expiry of the last one (5.3.10) is the caller's to check. */
export async function updateRoot(session: Session, trusted: Signed<Root>): Promise<Signed<Root>> {
  let root = trusted
  for (let count = 0; count < session.limits.rootRotations; count++) {
    const file = `${root.value.version + 1}.root.json`
    const answer = await fetchFile(session, file, session.limits.root)
    if (answer.kind !== 'bytes') break
    const next = checkNextRoot(root, answer.bytes, file)
    // Before the root is stored: after a crash in between, the same root comes again and rotates again.
    if (rotatesOnline(root, next)) await forgetTimestampAndSnapshot(session)
    await persist(session, storeName('root'), answer.bytes)
    root = next
  }
  return root
}

function checkNextRoot(root: Signed<Root>, bytes: Uint8Array, file: string): Signed<Root> {
  const next = decodeFile(decodeRoot, bytes, file)
  // 5.3.4: by the old and by the new keys.
  verifySignatures(next, authorityOf(root, 'root'), file, '5.3.4')
  verifySignatures(next, authorityOf(next, 'root'), file, '5.3.4')
  // 5.3.5: an old root under a new name, or one that skips its successors.
  if (next.value.version !== root.value.version + 1) {
    throw new BinderyError('downgrade', `is version ${next.value.version} (TUF 5.3.5)`, { subject: file })
  }
  return next
}

/** 5.3.11: a key of the timestamp or snapshot role is no longer trusted. A key that is only added rotates nothing. */
export function rotatesOnline({ value: old }: Signed<Root>, { value: next }: Signed<Root>): boolean {
  const isKept = (id: string, role: TopRole): boolean =>
    next.roles[role].keyIds.includes(id) && next.keys.get(id)?.publicKey === old.keys.get(id)?.publicKey
  return (['timestamp', 'snapshot'] as const).some((role) => old.roles[role].keyIds.some((id) => !isKept(id, role)))
}

/** Recovery from a fast-forward attack: versions that a stolen key has raised out of reach are forgotten. */
async function forgetTimestampAndSnapshot(session: Session): Promise<void> {
  await session.store.remove(storeName('timestamp'))
  await session.store.remove(storeName('snapshot'))
}
