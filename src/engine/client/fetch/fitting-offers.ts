import { BinderyError } from '../../../base/error.ts'
import { formatChannel, formatDistName } from '../../../base/name.ts'
import { readEnrolled, readReleaseState } from '../state.ts'
import { readTerms } from '../terms.ts'
import { chooseFitting, describeUnmet, fittingGroups, whyNot } from './fitting.ts'
import { listReleases } from './releases.ts'
import type { Verified } from '../../../base/verified.ts'
import type { Enrolled } from '../../../format/enrolled.ts'
import type { Update } from '../../../format/update.ts'
import type { Candidate, Line, Unmet } from './fitting.ts'
import type { Offer } from './offer.ts'
import type { Session } from './session.ts'

/** Which releases are to come to all channels of a root, so that they have what they need of each other. */
export type FittingOffers = {
  /** Offers that end with the release to come to; those of one group need each other, and come by one plan. */
  readonly groups: readonly (readonly Offer[])[]
  readonly keptBack: readonly KeptBack[]
}

/** A channel that does not come to the release that it could have, and why. */
export type KeptBack = { readonly channel: string; readonly unmet: Unmet; readonly release: string }

/** To which of its releases a channel may go; to none where it stays. */
export type Goals = (offer: Offer) => readonly Verified<Update>[]

export async function fitOffers(session: Session, offers: readonly Offer[], goals: Goals): Promise<FittingOffers> {
  const enrolled = await readEnrolled(session.disk)
  const offerOf = ({ channel }: Pick<Enrolled, 'channel'>): Offer | undefined =>
    offers.find((offer) => formatChannel(offer.enrolled.channel) === formatChannel(channel))
  const lines: Line[] = []
  for (const one of enrolled) lines.push(await lineOf(session, one, offerOf(one), goals))
  const fitting = chooseFitting(lines)
  const upTo = (i: number): Offer => offerUpTo(offerOf(lines[i] as Line) as Offer, (fitting[i] as Candidate).sequence)
  return {
    groups: fittingGroups(lines, fitting).map((group) => group.map(upTo)),
    keptBack: lines.flatMap(({ channel, releases }, i) => {
      const unmet = whyNot(lines, fitting, i)
      const release = formatDistName((releases.at(-1) as Candidate).name)
      return unmet === undefined ? [] : [{ channel: formatChannel(channel), unmet, release }]
    }),
  }
}

async function lineOf({ disk }: Session, { channel, repository }: Enrolled, offer: Offer | undefined, goals: Goals): Promise<Line> {
  const installed = offer?.installed ?? (await readReleaseState(disk, channel))
  const { needs } = await readTerms(disk, channel, installed)
  const own = { name: installed.name, sequence: installed.sequence, needs }
  const others = offer === undefined ? [] : goals(offer).map(({ value }) => candidateOf(value))
  return { channel, repository, releases: [own, ...others] }
}

function candidateOf({ release, sequence, needs = [] }: Update): Candidate {
  return { name: release.name, sequence, needs }
}

/** As if nothing had come after that release. */
function offerUpTo(offer: Offer, sequence: number): Offer {
  const updates = offer.updates.filter(({ value }) => value.sequence <= sequence)
  const goals = offer.goals.filter(({ value }) => value.sequence <= sequence)
  // The digests are those of the records, newest first.
  return { ...offer, updates, goals, records: offer.records.slice(offer.updates.length - updates.length) }
}

export function describeKeptBack({ channel, unmet, release }: KeptBack): string {
  return `${channel}: ${release} is not installed: ${describeUnmet(unmet)}`
}

/** Where nothing can be installed although there is something. */
export function refuseKeptBack({ unmet, release, channel }: KeptBack): never {
  throw new BinderyError('unmet-need', `${release} is not installed: ${describeUnmet(unmet)}`, { subject: channel, hint: wayOut(unmet) })
}

function wayOut({ need, instead, by }: Unmet): string {
  const channel = formatChannel(need.channel)
  switch (instead.kind) {
    case 'not-followed':
      return `follow it: bindery enroll URL ROOT.json ${channel}`
    case 'elsewhere':
      return `enroll ${channel} from the repository that ${formatDistName(by)} comes from`
    case 'release':
      return `both channels have to be installed together: name both, hold neither, or wait until a release that fits is published`
  }
}

/** The release of this name or revision and no other, for the channels that have it. Throws `downgrade`, `not-found`. */
export async function goalsNamed(offers: readonly Offer[], to: string): Promise<Goals> {
  const goals = new Map(offers.map((offer) => [offer, offer.goals.findLast(({ value }) => isNamed(value.release, to))]))
  const isThere = (offer: Offer): boolean => goals.get(offer) !== undefined || isNamed(offer.installed, to)
  if (!offers.some(isThere)) throw await unknownGoal(offers, to)
  return (offer) => {
    const goal = goals.get(offer)
    return goal === undefined ? [] : [goal]
  }
}

function isNamed({ name }: Pick<Update['release'], 'name'>, to: string): boolean {
  return formatDistName(name) === to || name.revision === to
}

async function unknownGoal(offers: readonly Offer[], to: string): Promise<BinderyError> {
  for (const { trust, enrolled, installed } of offers) {
    const older = (await listReleases(trust, enrolled.channel)).find((release) => isNamed(release, to))
    if (older === undefined) continue
    if (older.withdrawn)
      return new BinderyError('not-found', `${formatDistName(older.name)} was withdrawn`, { subject: formatChannel(enrolled.channel) })
    if (older.sequence >= installed.sequence) continue
    return new BinderyError(
      'downgrade',
      `${formatDistName(older.name)} is older than ${formatDistName(installed.name)}, which is installed`,
      {
        subject: formatChannel(enrolled.channel),
        hint: `'bindery rollback --to ${formatDistName(older.name)}' goes back to what was installed here`,
      },
    )
  }
  return new BinderyError('not-found', `no release '${to}' is offered`, { hint: "'bindery check' shows the newest ones" })
}
