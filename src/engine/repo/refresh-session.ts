import { BinderyError } from '../../base/error.ts'
import { formatTime } from '../../format/tuf.ts'
import type { Metadata, Signed } from '../../format/tuf.ts'
import type { Limits, MetadataSource, RefreshInput, SourceAnswer, TrustStore } from './trust-types.ts'

/** What all steps of one refresh share. */
export type Session = {
  readonly store: TrustStore
  readonly source: MetadataSource
  readonly limits: Limits
  /** 5.1: the fixed start time, in milliseconds, not before the caller's floor. */
  readonly start: number
  /** What the clock said then. */
  readonly clockNow: number
  readonly grace: number
  /** Whether anything was stored. */
  changed: boolean
}

export const defaultLimits: Limits = {
  root: 512_000,
  rootRotations: 256,
  timestamp: 16_384,
  snapshot: 2_000_000,
  targets: 5_000_000,
  ceiling: 64 << 20,
  visitedRoles: 32,
}

export function startSession({ store, source, clock, floor, grace = 0, limits }: RefreshInput): Session {
  const clockNow = clock.now()
  const start = Math.max(clockNow, floor ?? 0)
  return { store, source, limits: { ...defaultLimits, ...limits }, start, clockNow, grace, changed: false }
}

/** The source is not trusted to keep the limit (endless data, 5.3.3, 5.4.1, 5.5.1, 5.6.1). */
export async function fetchFile(session: Session, file: string, limit: number, etag?: string): Promise<SourceAnswer> {
  if (limit > session.limits.ceiling) throw new BinderyError('over-limit', `is signed as ${limit} bytes long`, { subject: file })
  const answer = await session.source.fetch(file, limit, etag)
  if (answer.kind === 'bytes' && answer.bytes.length > limit)
    throw new BinderyError('over-limit', `is longer than ${limit} bytes`, { subject: file })
  return answer
}

export async function fetchBytes(session: Session, file: string, limit: number): Promise<Uint8Array> {
  const answer = await fetchFile(session, file, limit)
  // Also of a mirror in the middle of its sync.
  if (answer.kind !== 'bytes') throw new BinderyError('incomplete', 'is signed, and not on the repository', { subject: file })
  return answer.bytes
}

/** 5.3.8, 5.4.5, 5.5.7, 5.6.6: only ever called with bytes that have passed every check. */
export async function persist(session: Session, file: string, bytes: Uint8Array): Promise<void> {
  await session.store.save(file, bytes)
  session.changed = true
}

/** The check for a freeze attack (5.3.10, 5.4.4, 5.5.6, 5.6.5). Throws `expired`. */
export function checkFresh(session: Session, { value }: Signed<Metadata>, now: number, { subject, clause }: Place): void {
  if (isGood(session, value, now)) return
  throw new BinderyError('expired', `is stale since ${formatTime(value.expires)} (TUF ${clause})`, {
    subject,
    hint: `either nobody renewed the repository, or somebody keeps its news from us, or this machine's clock is ahead: it says ${formatTime(session.clockNow)}`,
  })
}

type Place = { readonly subject: string; readonly clause: string }

/** Whether it has not expired, or not longer ago than is forgiven. */
export function isGood({ grace }: Session, { expires }: Metadata, now: number): boolean {
  return expires + grace > now
}

/** Names the file in errors of decoders. */
export function decodeFile<T>(decode: (bytes: Uint8Array) => T, bytes: Uint8Array, subject: string): T {
  try {
    return decode(bytes)
  } catch (error) {
    if (error instanceof BinderyError && error.subject === undefined)
      throw new BinderyError(error.code, error.message, { subject, cause: error })
    throw error
  }
}

/**
 * Reads a stored file again. Undefined where there is none, and where it no longer passes: its keys were rotated or
 * its disk lost it; then it is fetched anew.
 */
export async function loadStored<T>(session: Session, file: string, check: (bytes: Uint8Array) => T): Promise<T | undefined> {
  const bytes = await session.store.load(file)
  if (bytes === undefined) return undefined
  try {
    return check(bytes)
  } catch (error) {
    if (error instanceof BinderyError) return undefined
    throw error
  }
}
