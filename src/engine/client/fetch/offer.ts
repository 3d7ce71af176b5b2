import { isBinderyError } from '../../../base/error.ts'
import { channelRole, formatChannel, formatDistName } from '../../../base/name.ts'
import { didYouMean } from '../../../base/suggest.ts'
import { formatTime } from '../../../format/tuf.ts'
import { cheapestRoute } from '../../update/route.ts'
import { cachedSizes } from './cache.ts'
import { silentMeter } from './download.ts'
import { openTrust } from './open-trust.ts'
import { listReleases, readUpdate } from './releases.ts'
import { readPhase } from '../phase.ts'
import { isOffered } from './rollout.ts'
import { channelFile, channelFiles, keptDeltaFile, readEnrolled, readReleaseState } from '../state.ts'
import { diskTrustStore, readingTrustStore } from './trust-store.ts'
import { BinderyError } from '../../../base/error.ts'
import type { Sha256 } from '../../../base/digest.ts'
import type { Channel } from '../../../base/name.ts'
import type { Verified } from '../../../base/verified.ts'
import type { Enrolled } from '../../../format/enrolled.ts'
import type { ReleaseState } from '../../../format/release-state.ts'
import type { DeltaWay, TargetRef, Update } from '../../../format/update.ts'
import type { DiskReader } from '../../../port/disk.ts'
import type { Trust } from '../../repo/trust-types.ts'
import type { Route } from '../../update/route.ts'
import type { Session } from './session.ts'

/** What a channel has for this root. */
export type Offer = {
  readonly enrolled: Enrolled
  readonly installed: ReleaseState
  readonly trust: Trust
  /** The records after the installed release, oldest first; empty when it is the newest. */
  readonly updates: readonly Verified<Update>[]
  /** Those of them that this machine may come to; the others it may only pass. The last is the newest of all. */
  readonly goals: readonly Verified<Update>[]
  /** The digests of those records. */
  readonly records: readonly Sha256[]
  /** The targets that the channel's role lists, with their digests: what a record names beside them has been pruned. */
  readonly listed: ReadonlyMap<string, Sha256>
  /** bindery.conf says that this channel stays as it is. */
  readonly isHeld: boolean
}

/** Records further back than this are not read: the way from there is the full one, or a delta straight to the newest. */
const maxRecords = 64

/** One offer for each enrolled channel (or only for `channels`), each repository asked once. */
export async function findOffers(session: Session, channels: readonly Channel[] = []): Promise<readonly Offer[]> {
  const all = await readEnrolled(session.disk)
  const enrolled = selectChannels(all, channels)
  for (const held of strangersAmong(session.config.hold, all)) session.say(held)
  const offers: Offer[] = []
  for (const group of Map.groupBy(enrolled, ({ repository }) => repository).values()) {
    const trust = await openRepository(session, group)
    for (const one of group) offers.push(await offerOf(session, one, trust))
  }
  return offers
}

/** A slip of the pen would leave a channel without the hold that somebody counts on. */
export function strangersAmong(hold: readonly string[], enrolled: readonly Enrolled[]): readonly string[] {
  const known = enrolled.map(({ channel }) => formatChannel(channel))
  return hold.flatMap((held) => {
    if (held === 'all' || known.includes(held)) return []
    const near = didYouMean(held, known)
    return [`bindery.conf holds ${held}, which is not enrolled${near === undefined ? '' : `; did you mean '${near}'?`}`]
  })
}

export function selectChannels(enrolled: readonly Enrolled[], channels: readonly Channel[]): readonly Enrolled[] {
  if (enrolled.length === 0)
    throw new BinderyError('not-enrolled', 'nothing is enrolled here', { hint: 'bindery enroll URL ROOT.json CHANNEL' })
  if (channels.length === 0) return enrolled
  return channels.map((channel) => {
    const found = enrolled.find((one) => formatChannel(one.channel) === formatChannel(channel))
    if (found === undefined) throw new BinderyError('not-enrolled', 'is not enrolled', { subject: formatChannel(channel) })
    return found
  })
}

/**
 * The trusted metadata of the repository that these channels share. `graceDays`: for how long after it has expired; what
 * comes from it is then told to be stale.
 */
export async function openRepository(session: Session, group: readonly Enrolled[], graceDays = session.config.staleGrace): Promise<Trust> {
  const repository = (group[0] as Enrolled).repository
  const store = session.access === 'write' ? diskTrustStore(session.disk, repository) : readingTrustStore(session.disk, repository)
  const urls = [...new Set(group.flatMap((one) => one.urls))]
  const grace = graceDays * day
  const trust = await openTrust(session, { store, repository, urls, channels: group.map(({ channel }) => channel), grace })
  for (const line of doubtsOf(trust, grace)) session.say(line)
  return trust
}

const day = 86_400_000

function doubtsOf(trust: Trust, grace: number): readonly string[] {
  const { clockBehind, now } = trust
  const stale = trust.staleSince()
  const refused = Number.isFinite(grace) && stale !== undefined ? `; nothing is installed from it after ${formatTime(stale + grace)}` : ''
  return [
    ...(clockBehind === undefined
      ? []
      : [
          `the clock says ${formatTime(now - clockBehind)}, before the repository's newest signature of ${formatTime(now)}; that time is used`,
        ]),
    ...(stale === undefined ? [] : [`the repository is stale since ${formatTime(stale)}${refused}`]),
  ]
}

async function offerOf(session: Session, enrolled: Enrolled, trust: Trust): Promise<Offer> {
  const { channel, urls } = enrolled
  const installed = await readReleaseState(session.disk, channel)
  const begun = await readPhase(session.disk, channel, installed)
  const newer = (await listReleases(trust, channel)).filter(({ sequence }) => sequence > installed.sequence).slice(0, maxRecords)
  const [updates, goals, records]: [Verified<Update>[], Verified<Update>[], Sha256[]] = [[], [], []]
  for (const listed of newer) {
    if (listed.withdrawn && goals.length === 0) continue
    const update = await readUpdate(session, { urls, meter: silentMeter }, trust, listed)
    const isBegun = begun !== undefined && formatDistName(begun.release) === formatDistName(listed.name)
    const isGoal = await isOffered(session, listed, { security: update.value.security, isBegun, now: trust.now })
    if (isGoal) goals.unshift(update)
    if (goals.length === 0) continue
    updates.unshift(update)
    records.push(listed.sha256)
  }
  const listed = new Map((await trust.targetsOf(channelRole(channel))).value.map(({ path, sha256 }) => [path, sha256] as const))
  const names = [formatChannel(channel), 'all']
  return {
    enrolled,
    installed,
    trust,
    updates,
    goals,
    records,
    listed,
    isHeld: session.config.hold.some((held) => names.includes(held)),
  }
}

/** The record to go to; undefined when the installed release is the newest. */
export function newestOf(offer: Offer): Verified<Update> | undefined {
  return offer.updates.at(-1)
}

/** What is known of targets on this machine: those that were found to be of no use, and how many bytes of others are here. */
export type KnownTargets = { readonly broken: ReadonlySet<string>; readonly here: ReadonlyMap<string, number> }

/** The cheapest way that the repository still has. */
export function routeOf(offer: Offer, hasBase: boolean, { broken, here }: KnownTargets = nothingKnown): Route {
  const updates = offer.updates.map((update) => update.value)
  const named = updates.flatMap(({ full, deltas }) => [...full, ...deltas, ...manifestsOf(deltas)].map(({ target }) => target))
  const without = new Set([...broken, ...named.filter((target) => !offer.listed.has(target))])
  return cheapestRoute({ updates, from: hasBase ? offer.installed.tar.sha256 : undefined, without, here })
}

const nothingKnown: KnownTargets = { broken: new Set(), here: new Map() }

/** What an interrupted run has left of the channel's targets. */
export async function targetsHere({ disk }: Session, { listed }: Offer): Promise<ReadonlyMap<string, number>> {
  const sizes = await cachedSizes(disk)
  const found = [...listed].map(([target, sha256]) => [target, sizes.get(sha256)] as const)
  return new Map(found.filter((one): one is readonly [string, number] => one[1] !== undefined))
}

function manifestsOf(deltas: readonly DeltaWay[]): readonly TargetRef[] {
  return deltas.map(({ manifest }) => manifest).filter((ref) => ref !== undefined)
}

/** A quick look: whether what is kept of the old tar is there with its sizes. `--basis installed` keeps nothing. */
export async function seemsToHaveBase(disk: DiskReader, channel: Channel, { base }: ReleaseState): Promise<boolean> {
  if (base === undefined) return true
  const kept = [
    { file: channelFiles.base, size: base.file.size },
    ...base.deltas.map(({ file }, i) => ({ file: keptDeltaFile(i + 1), size: file.size })),
  ]
  for (const { file, size } of kept) {
    if ((await sizeOf(disk, channel, file)) !== size) return false
  }
  return true
}

async function sizeOf(disk: DiskReader, channel: Channel, file: Parameters<typeof channelFile>[1]): Promise<number | undefined> {
  try {
    return (await disk.lstat(channelFile(channel, file)))?.size
  } catch (error) {
    if (isBinderyError(error, 'permission')) return undefined
    throw error
  }
}
