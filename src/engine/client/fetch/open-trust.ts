import { exitStatusOf, isBinderyError } from '../../../base/error.ts'
import { channelRole } from '../../../base/name.ts'
import { refreshTrust } from '../../repo/trust.ts'
import { metadataSource } from './mirrors.ts'
import type { Channel } from '../../../base/name.ts'
import type { Trust, TrustStore } from '../../repo/trust-types.ts'
import type { Session } from './session.ts'

/** Errors that another mirror may not have: it may be reachable, fresh, or not tampered with. */
const mirrorFaults = [
  'network',
  'not-found',
  'bad-format',
  'bad-digest',
  'bad-signature',
  'expired',
  'downgrade',
  'mix-and-match',
  'over-limit',
] as const

export type TrustInput = {
  readonly store: TrustStore
  /** In the order in which they are asked. */
  readonly urls: readonly string[]
  /** Their roles are loaded before this returns, so that a mirror that lacks them counts as bad. */
  readonly channels: readonly Channel[]
}

/**
 * Brings the trusted metadata up to date from the first mirror that can. Each mirror is asked for the whole of it, so
 * that what is read fits together. When all fail, the first failure is thrown: it comes from the preferred one.
 */
export async function openTrust(session: Session, input: TrustInput): Promise<Trust> {
  let first: unknown
  for (const url of session.mirrors.of(input.urls)) {
    session.signal.throwIfAborted()
    try {
      return await trustFrom(session, input, url)
    } catch (error) {
      if (!mirrorFaults.some((code) => isBinderyError(error, code))) throw error
      tell(session, url, error)
      session.mirrors.failed(url)
      first ??= error
    }
  }
  throw first
}

/** A mirror that is away is nobody's alarm; one that serves what must be refused is. */
function tell(session: Session, url: string, error: unknown): void {
  if (!isBinderyError(error)) return
  const talk = exitStatusOf[error.code] === exitStatusOf.hostile ? session.say : session.explain
  talk(`${url}: ${error.message}`)
}

async function trustFrom(session: Session, { store, channels }: TrustInput, url: string): Promise<Trust> {
  const trust = await refreshTrust({ store, clock: session.clock, source: metadataSource(session, url) })
  for (const channel of channels) await trust.targetsOf(channelRole(channel))
  return trust
}
