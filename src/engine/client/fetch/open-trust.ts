import { BinderyError, toldOf } from '../../../base/error.ts'
import { channelOfRole, channelRole, formatChannel } from '../../../base/name.ts'
import { loadTrustedRoot } from '../../repo/trust.ts'
import { repairHint } from '../state.ts'
import { mirrorFailures } from './mirror-failures.ts'
import { metadataSource } from './mirrors.ts'
import { pendingTrustStore, trustFile } from './trust-store.ts'
import type { Channel } from '../../../base/name.ts'
import type { Trust, TrustStore } from '../../repo/trust-types.ts'
import type { Session } from './session.ts'

/** Errors that another mirror may not have: it may be reachable, fresh, or not tampered with. */
const mirrorFaults = [
  'network',
  'too-slow',
  'not-found',
  'incomplete',
  'bad-format',
  'bad-signature',
  'under-threshold',
  'expired',
  'downgrade',
  'fast-forward',
  'mix-and-match',
  'over-limit',
  // Of a specification that nobody has signed yet.
  'not-supported',
] as const

export type TrustInput = {
  readonly store: TrustStore
  /** Its name in the state, for what is wrong with the store itself. */
  readonly repository: string
  /** In the order in which they are asked. */
  readonly urls: readonly string[]
  /** Their roles are loaded before this returns, so that a mirror that lacks them counts as bad. */
  readonly channels: readonly Channel[]
  /** For how many milliseconds metadata that has expired is taken where no mirror has any that has not. */
  readonly grace?: number
}

/**
 * Brings the trusted metadata up to date from the first mirror that can. Each mirror is asked for the whole of it, so
 * that what is read fits together.
 */
export async function openTrust(session: Session, input: TrustInput): Promise<Trust> {
  await checkOwnRoot(input)
  const urls = session.mirrors.of(input.urls)
  const failures = mirrorFailures(session, input.repository)
  const stale: string[] = []
  for (const [i, url] of urls.entries()) {
    const found = await tryMirror(session, { ...input, grace: 0 }, url)
    if (!(found instanceof BinderyError)) return found
    failures.add(found, urls[i + 1])
    session.mirrors.failed(url)
    if (found.code === 'expired') stale.push(url)
  }
  for (const url of (input.grace ?? 0) > 0 ? stale : []) {
    const found = await tryMirror(session, input, url)
    if (!(found instanceof BinderyError)) return found
  }
  throw failures.last()
}

/** Answers what is wrong with a mirror; throws what is wrong with all of them. */
async function tryMirror(session: Session, input: TrustInput, url: string): Promise<Trust | BinderyError> {
  session.signal.throwIfAborted()
  try {
    return await trustFrom(session, input, url)
  } catch (error) {
    if (!(error instanceof BinderyError) || !mirrorFaults.some((code) => error.code === code)) throw error
    return located(error, url)
  }
}

/** What is wrong with our own root is no mirror's fault. */
async function checkOwnRoot({ store, repository }: TrustInput): Promise<void> {
  try {
    await loadTrustedRoot({ store })
  } catch (error) {
    throw toldOf(error, trustFile(repository, 'root.json'), repairHint)
  }
}

/** What is wrong with a file of a mirror is told with the mirror; errors of the network name the whole URL already. */
function located({ code, message, subject, hint, cause }: BinderyError, url: string): BinderyError {
  const isUrl = subject !== undefined && /^[a-z]+:\/\//.test(subject)
  return new BinderyError(code, message, { subject: isUrl ? subject : [url, subject].filter(Boolean).join(': '), hint, cause })
}

async function trustFrom(session: Session, { store, channels, grace = 0 }: TrustInput, url: string): Promise<Trust> {
  const pending = pendingTrustStore(store)
  const trust = await session.refresh({ store: pending, clock: session.clock, grace, source: metadataSource(session, url) })
  for (const channel of channels) {
    if (!trust.delegated.includes(channelRole(channel))) throw noChannel(channel, trust.delegated)
    await trust.targetsOf(channelRole(channel))
  }
  await pending.complete()
  return trust
}

/** As many as fit a line. */
const maxListed = 8

function noChannel(channel: Channel, roles: readonly string[]): BinderyError {
  const there = roles.flatMap((role) => channelOfRole(role) ?? []).map(formatChannel)
  const hint = there.length === 0 ? 'it has none yet' : there.length > maxListed ? undefined : `it has ${there.sort().join(', ')}`
  return new BinderyError('not-found', 'is no channel of this repository', { subject: formatChannel(channel), hint })
}
