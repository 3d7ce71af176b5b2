import { BinderyError } from '../../../base/error.ts'
import { channelOf, channelRole, formatChannel, formatDistName, parseDistName } from '../../../base/name.ts'
import { decodeListing } from '../../../format/listing.ts'
import { decodeUpdate, updateLimits } from '../../../format/update.ts'
import { releaseTargets } from '../../update/compose.ts'
import { downloadSmall } from './download.ts'
import type { Sha256 } from '../../../base/digest.ts'
import type { Channel, DistName } from '../../../base/name.ts'
import type { Verified } from '../../../base/verified.ts'
import type { Listing } from '../../../format/listing.ts'
import type { Update } from '../../../format/update.ts'
import type { TargetInfo, Trust } from '../../repo/trust-types.ts'
import type { Place } from './download.ts'
import type { Session } from './session.ts'

/** A release as its channel's role lists it: its update record, and where that stands in the line. */
export type ListedRelease = Listing & { readonly name: DistName; readonly target: string; readonly sha256: Sha256 }

const suffix = '.update'

/** Newest first. Targets that are no update records of this channel are passed over. */
export async function listReleases(trust: Trust, channel: Channel): Promise<readonly ListedRelease[]> {
  const targets = await trust.targetsOf(channelRole(channel))
  const listed = targets.value.map(listedOf).filter((release) => release !== undefined)
  const own = listed.filter(({ name }) => formatChannel(channelOf(name)) === formatChannel(channel))
  return own.sort((a, b) => b.sequence - a.sequence)
}

function listedOf({ path, custom, sha256 }: TargetInfo): ListedRelease | undefined {
  if (!path.endsWith(suffix)) return undefined
  const name = parseDistName(path.slice(path.lastIndexOf('/') + 1, -suffix.length))
  const listing = decodeListing(path, custom)
  if (name === undefined || listing === undefined || releaseTargets(name).update !== path) return undefined
  return { ...listing, name, target: path, sha256 }
}

/** The record of a listed release; `bad-format` when it says something else than the list does. */
export async function readUpdate(session: Session, place: Place, trust: Trust, listed: ListedRelease): Promise<Verified<Update>> {
  const target = await needTarget(trust, listed.target)
  const update = await downloadSmall(session, place, target, updateLimits.bytes, decodeUpdate)
  const { release, sequence } = update.value
  if (formatDistName(release.name) !== formatDistName(listed.name) || sequence !== listed.sequence) {
    throw new BinderyError('bad-format', 'is the record of another release than its name says', { subject: listed.target })
  }
  return update
}

/** A target that a signed record names; `not-found` when its channel's role does not list it (any more). */
export async function needTarget(trust: Trust, path: string): Promise<Verified<TargetInfo>> {
  const target = await trust.target(path)
  if (target === undefined) throw new BinderyError('not-found', 'is not in the repository', { subject: path })
  return target
}
