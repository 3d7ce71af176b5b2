import { BinderyError } from '../../base/error.ts'
import { channelRole, formatDistName, parseDistName } from '../../base/name.ts'
import { decodeListing, encodeListing } from '../../format/listing.ts'
import { releaseTargets } from '../update/compose.ts'
import { expiryAfter, renewed } from './commit.ts'
import type { DistName } from '../../base/name.ts'
import type { Listing, Rollout } from '../../format/listing.ts'
import type { TargetFile, Targets } from '../../format/tuf.ts'
import type { Clock } from '../../port/ambient.ts'
import type { Lifetimes } from './commit.ts'
import type { Repository } from './repository.ts'

/** What is said anew of releases that are published; what is absent stays as it is. */
export type Amendment = {
  /** A day, or `none`. */
  readonly endOfLife?: string
  readonly rollout?: WantedRollout
  readonly withdrawn?: boolean
}

/** `percent` of the machines; with `seconds`, all of them after so long. */
export type WantedRollout = { readonly percent: number; readonly seconds?: number }

export function rolloutFrom({ percent, seconds }: WantedRollout, clock: Clock): Rollout | undefined {
  if (percent === 100) return undefined
  const begin = Math.floor(clock.now() / 1000)
  return { percent, ...(seconds === undefined ? {} : { ramp: { begin, end: begin + seconds } }) }
}

export type Amending = { readonly clock: Clock; readonly lifetimes: Lifetimes }

/** The next metadata of the channels that these releases belong to. Throws `not-found`, `usage`. */
export function draftAmendment(
  repository: Repository,
  { clock, lifetimes }: Amending,
  names: readonly string[],
  amendment: Amendment,
): readonly { readonly role: string; readonly value: Targets }[] {
  const releases = Map.groupBy(names.map(releaseNamed), (name) => channelRole(name))
  return [...releases].map(([role, own]) => {
    const before = repository.channels.get(role)?.signed.value
    if (before === undefined) throw new BinderyError('not-found', 'is no channel of this repository', { subject: role })
    const targets = new Map(before.targets)
    for (const name of own) amend(targets, name, clock, amendment)
    return { role, value: renewed({ ...before, targets }, expiryAfter(clock, lifetimes.role)) }
  })
}

function releaseNamed(text: string): DistName {
  const name = parseDistName(text)
  if (name === undefined) throw new BinderyError('usage', `'${text}' is no name of a release`, { hint: 'PRODUCT-REVISION-DATE-ARCH' })
  return name
}

function amend(targets: Map<string, TargetFile>, name: DistName, clock: Clock, amendment: Amendment): void {
  const path = releaseTargets(name).update
  const file = targets.get(path)
  const listing = decodeListing(path, file?.custom)
  if (file === undefined || listing === undefined)
    throw new BinderyError('not-found', 'is no release of this repository', { subject: formatDistName(name) })
  targets.set(path, { ...file, custom: encodeListing(amended(listing, clock, amendment), file.custom) })
}

function amended({ sequence, ...before }: Listing, clock: Clock, { endOfLife, rollout, withdrawn }: Amendment): Listing {
  const end = endOfLife ?? before.endOfLife
  const part = rollout === undefined ? before.rollout : rolloutFrom(rollout, clock)
  return {
    sequence,
    ...(end === undefined || end === 'none' ? {} : { endOfLife: end }),
    ...(part === undefined ? {} : { rollout: part }),
    ...((withdrawn ?? before.withdrawn) === true ? { withdrawn: true } : {}),
  }
}
