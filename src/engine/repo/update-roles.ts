import { sha256 } from '../../base/digest.ts'
import { BinderyError } from '../../base/error.ts'
import { decodeSnapshot, decodeTargets, decodeTimestamp } from '../../format/tuf.ts'
import { checkFresh, decodeFile, fetchBytes, fetchFile, isGood, loadStored, persist } from './refresh-session.ts'
import { checkMetaFile, sourceName, storeName } from './role-files.ts'
import { authorityOf } from './update-root.ts'
import { verifySignatures } from './verify-signatures.ts'
import type { MetaFile, Metadata, Root, Signed, Snapshot, Targets, Timestamp } from '../../format/tuf.ts'
import type { Authority } from './verify-signatures.ts'
import type { CheckState } from './check-state.ts'
import type { Session } from './refresh-session.ts'

/** Steps 5.4 to 5.6 of the client workflow: timestamp, snapshot and one targets role at a time. */

const timestampFile = storeName('timestamp')
const snapshotFile = storeName('snapshot')

export type StoredTimestamp = { readonly bytes: Uint8Array; readonly timestamp: Signed<Timestamp> }

export async function loadTimestamp(session: Session, root: Signed<Root>): Promise<StoredTimestamp | undefined> {
  return await loadStored(session, timestampFile, (bytes) => ({ bytes, timestamp: readTimestamp(bytes, root) }))
}

function readTimestamp(bytes: Uint8Array, root: Signed<Root>): Signed<Timestamp> {
  const timestamp = decodeFile(decodeTimestamp, bytes, timestampFile)
  verifySignatures(timestamp, authorityOf(root, 'timestamp'), timestampFile, '5.4.2')
  return timestamp
}

/** Timestamp.json as the source has it now, and the source's name for that state. */
export type TimestampAnswer = { readonly bytes: Uint8Array; readonly etag?: string }

/** 5.4.1, conditionally where `state` has a name for what is stored. */
export async function askTimestamp(session: Session, stored?: StoredTimestamp, state?: CheckState): Promise<TimestampAnswer> {
  const etag = stored !== undefined && state?.etag?.of === sha256(stored.bytes) ? state.etag.value : undefined
  const answer = await fetchFile(session, timestampFile, session.limits.timestamp, etag)
  switch (answer.kind) {
    case 'bytes':
      return answer
    case 'absent':
      throw new BinderyError('not-found', 'is not on the repository', { subject: timestampFile })
    case 'unchanged':
      if (stored !== undefined && etag !== undefined) return { bytes: stored.bytes, etag }
      throw new BinderyError('network', "is 'not modified', which nobody asked", { subject: timestampFile })
  }
}

/** The start of this refresh, or the newest time that the timestamp role has signed for where that is later. */
export function timeOf(session: Session, timestamp: Signed<Timestamp> | undefined): number {
  return Math.max(session.start, timestamp?.value.issued ?? 0)
}

/** 5.4 for `bytes` that were just fetched; answers the timestamp that is trusted from now on. */
export async function updateTimestamp(
  session: Session,
  root: Signed<Root>,
  trusted: Signed<Timestamp> | undefined,
  bytes: Uint8Array,
): Promise<Signed<Timestamp>> {
  const next = readTimestamp(bytes, root)
  checkReach(timestampFile, [next.value.version, next.value.snapshot.version])
  const decision = trusted === undefined ? 'newer' : compareTimestamps(trusted.value, next.value)
  // 5.4.3.1: an equal version brings nothing new, whatever it says.
  const kept = decision === 'same' && trusted !== undefined ? trusted : next
  checkFresh(session, kept, timeOf(session, kept), { subject: timestampFile, clause: '5.4.4' })
  if (kept === next) await persist(session, timestampFile, bytes)
  return kept
}

function compareTimestamps(old: Timestamp, next: Timestamp): 'same' | 'newer' {
  // 5.4.3.1
  if (next.version < old.version) throw older(timestampFile, 'timestamp', next.version, old.version, '5.4.3.1')
  if (next.version === old.version) return 'same'
  // 5.4.3.2: a snapshot that is rolled back by a timestamp that is not.
  if (next.snapshot.version < old.snapshot.version)
    throw older(timestampFile, 'snapshot', next.snapshot.version, old.snapshot.version, '5.4.3.2')
  return 'newer'
}

/** 5.5: from the store where that is the right one already. */
export async function updateSnapshot(
  session: Session,
  root: Signed<Root>,
  timestamp: Signed<Timestamp>,
  now: number,
): Promise<Signed<Snapshot>> {
  const meta = timestamp.value.snapshot
  const trusted = await loadStored(session, snapshotFile, (bytes) => ({ bytes, snapshot: readSnapshot(bytes, root) }))
  if (trusted !== undefined && isGood(session, trusted.snapshot.value, now) && isCurrent(trusted.bytes, trusted.snapshot, meta))
    return trusted.snapshot
  const file = sourceName('snapshot', meta.version, root.value.consistentSnapshot)
  // 5.5.1
  const bytes = await fetchBytes(session, file, meta.length ?? session.limits.snapshot)
  checkMetaFile(bytes, meta, snapshotFile, '5.5.2')
  const next = readSnapshot(bytes, root)
  checkVersion(next, meta, snapshotFile, '5.5.4')
  checkReach(
    snapshotFile,
    [...next.value.meta.values()].map(({ version }) => version),
  )
  if (trusted !== undefined) checkNothingOlder(trusted.snapshot.value, next.value)
  checkFresh(session, next, now, { subject: snapshotFile, clause: '5.5.6' })
  await persist(session, snapshotFile, bytes)
  return next
}

function readSnapshot(bytes: Uint8Array, root: Signed<Root>): Signed<Snapshot> {
  const snapshot = decodeFile(decodeSnapshot, bytes, snapshotFile)
  verifySignatures(snapshot, authorityOf(root, 'snapshot'), snapshotFile, '5.5.3')
  return snapshot
}

/** 5.5.5: no targets role goes back or away. */
function checkNothingOlder(old: Snapshot, next: Snapshot): void {
  for (const [role, { version }] of old.meta) {
    const now = next.meta.get(role)
    if (now === undefined) throw new BinderyError('downgrade', `no longer lists the role ${role} (TUF 5.5.5)`, { subject: snapshotFile })
    if (now.version < version) throw older(snapshotFile, role, now.version, version, '5.5.5')
  }
}

/** 5.6 for the top-level role, and 5.6.7 for those that others delegate to; `authority` is that of the delegator. */
export async function updateTargets(input: {
  readonly session: Session
  readonly role: string
  readonly authority: Authority
  readonly snapshot: Signed<Snapshot>
  readonly consistent: boolean
  readonly now: number
}): Promise<Signed<Targets>> {
  const { session, role, authority, snapshot, consistent, now } = input
  const file = storeName(role)
  const meta = snapshot.value.meta.get(role)
  if (meta === undefined) throw new BinderyError('mix-and-match', 'is not listed in snapshot.json (TUF 5.6.4)', { subject: file })
  const read = (bytes: Uint8Array): Signed<Targets> => {
    const targets = decodeFile(decodeTargets, bytes, file)
    verifySignatures(targets, authority, file, '5.6.3')
    return targets
  }
  const stored = await loadStored(session, file, (bytes) => ({ bytes, targets: read(bytes) }))
  if (stored !== undefined && isGood(session, stored.targets.value, now) && isCurrent(stored.bytes, stored.targets, meta))
    return stored.targets
  // 5.6.1
  const bytes = await fetchBytes(session, sourceName(role, meta.version, consistent), meta.length ?? session.limits.targets)
  checkMetaFile(bytes, meta, file, '5.6.2')
  const next = read(bytes)
  checkVersion(next, meta, file, '5.6.4')
  checkFresh(session, next, now, { subject: file, clause: '5.6.5' })
  await persist(session, file, bytes)
  return next
}

/** Whether a stored file, already verified by its signatures, is the one that is asked for. */
function isCurrent(bytes: Uint8Array, { value }: Signed<Metadata>, meta: MetaFile): boolean {
  if (value.version !== meta.version) return false
  try {
    checkMetaFile(bytes, meta, '', '')
    return true
  } catch (error) {
    if (error instanceof BinderyError) return false
    throw error
  }
}

/** 5.5.4 and 5.6.4: files of two different states of the repository. */
function checkVersion({ value }: Signed<Metadata>, meta: MetaFile, subject: string, clause: string): void {
  if (value.version === meta.version) return
  throw new BinderyError('mix-and-match', `is version ${value.version}, and ${meta.version} is signed (TUF ${clause})`, { subject })
}

/** What would be taken once could never be followed by anything: no honest repository comes here (doc/decisions/0178). */
export const farthestVersion = 2 ** 40

/** The check for a fast-forward attack, which the specification only recovers from (5.3.11). Throws `fast-forward`. */
function checkReach(subject: string, versions: readonly number[]): void {
  const far = versions.find((version) => version > farthestVersion)
  if (far === undefined) return
  const hint = 'a key of the repository may have been stolen: its maker has to change it'
  throw new BinderyError('fast-forward', `names version ${far}, which no repository comes to`, { subject, hint })
}

function older(subject: string, role: string, next: number, old: number, clause: string): BinderyError {
  return new BinderyError('downgrade', `goes back from version ${old} of ${role} to ${next} (TUF ${clause})`, { subject })
}
