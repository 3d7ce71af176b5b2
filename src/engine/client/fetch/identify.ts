import { BinderyError } from '../../../base/error.ts'
import { formatChannel, formatDistName } from '../../../base/name.ts'
import { downloadBlob, readBlob } from './download.ts'
import { maxManifestFileBytes, unpackManifest } from '../installed.ts'
import { listReleases, needTarget, readUpdate } from './releases.ts'
import { matchTree, openEye } from './tree-match.ts'
import type { Manifest } from '../../../base/entry.ts'
import type { Channel } from '../../../base/name.ts'
import type { RelPath } from '../../../base/path.ts'
import type { Verified } from '../../../base/verified.ts'
import type { Update } from '../../../format/update.ts'
import type { Trust } from '../../repo/trust-types.ts'
import type { CachedBlob, Place } from './download.ts'
import type { ListedRelease } from './releases.ts'
import type { Session } from './session.ts'
import type { TreeEye, TreeMatch } from './tree-match.ts'

/** Which release a live tree is: the manifests of the channel are compared with it, the newest first. */

export type Candidate = {
  readonly update: Verified<Update>
  readonly manifest: Verified<Manifest>
  readonly manifestBlob: Verified<CachedBlob>
  readonly match: TreeMatch
}

/** Older releases are not looked at: a machine that far behind says `--release NAME`. */
const maxCandidates = 16
/** After so many that fit worse than the best, older ones will not fit better. */
const patience = 2
/** Less than this share of the files in common is no release with local changes any more. */
const minShare = 0.5

export async function identifyRelease(session: Session, place: Place, trust: Trust, channel: Channel): Promise<Candidate> {
  const releases = await listReleases(trust, channel)
  if (releases.length === 0) throw new BinderyError('not-found', 'has no releases', { subject: formatChannel(channel) })
  const eye = openEye(session.disk)
  const candidates: Candidate[] = []
  let best = Infinity
  let worse = 0
  for (const listed of releases.slice(0, maxCandidates)) {
    const candidate = await examine(session, place, trust, listed, eye)
    candidates.push(candidate)
    worse = candidate.match.differing.length > best ? worse + 1 : 0
    best = Math.min(best, candidate.match.differing.length)
    if (worse === patience) break
  }
  const found = await nearest(session, eye, candidates)
  if (found.match.sameFiles < found.match.files * minShare) throw nothingFits(channel, found)
  return found
}

/** The release that a person names; it fits because they say so. */
export async function takeRelease(session: Session, place: Place, trust: Trust, channel: Channel, name: string): Promise<Candidate> {
  const listed = (await listReleases(trust, channel)).find((release) => formatDistName(release.name) === name)
  if (listed === undefined) throw new BinderyError('not-found', `has no release '${name}'`, { subject: formatChannel(channel) })
  return await examine(session, place, trust, listed, openEye(session.disk))
}

async function examine(session: Session, place: Place, trust: Trust, listed: ListedRelease, eye: TreeEye): Promise<Candidate> {
  const update = await readUpdate(session, place, trust, listed)
  const manifestBlob = await downloadBlob(session, place, await needTarget(trust, update.value.manifest.target))
  const manifest = await readBlob(session, manifestBlob, maxManifestFileBytes, unpackManifest)
  const match = await matchTree(session, eye, manifest.value)
  session.explain(`${formatDistName(listed.name)}: ${match.differing.length} of ${manifest.value.entries.length} paths differ`)
  return { update, manifest, manifestBlob, match }
}

/** Fewest differences, then fewest other modes, owners and times, then the newest. */
async function nearest(session: Session, eye: TreeEye, candidates: readonly Candidate[]): Promise<Candidate> {
  const scored = []
  for (const candidate of candidates) {
    const leftovers = await countLeftovers(session, eye, candidate, candidates)
    scored.push({ candidate, differences: candidate.match.differing.length + leftovers })
  }
  scored.sort((a, b) => a.differences - b.differences || a.candidate.match.otherMeta - b.candidate.match.otherMeta)
  return (scored[0] as (typeof scored)[number]).candidate
}

/** Paths of other releases that this one does not have, and that are there: without them, a release that only removes files would always fit. */
async function countLeftovers({ signal }: Session, eye: TreeEye, candidate: Candidate, all: readonly Candidate[]): Promise<number> {
  const own = new Set(candidate.manifest.value.entries.map(({ path }) => path))
  const leftovers = new Set<RelPath>()
  for (const { manifest } of all) {
    const others = manifest.value.entries.filter(({ path }) => !own.has(path))
    const { differing } = await matchTree({ signal }, eye, { entries: others })
    const gone = new Set(differing)
    for (const { path } of others) if (!gone.has(path)) leftovers.add(path)
  }
  return leftovers.size
}

function nothingFits(channel: Channel, { update, match }: Candidate): BinderyError {
  const share = Math.floor((100 * match.sameFiles) / match.files)
  return new BinderyError(
    'not-found',
    `no release looks like what is installed: ${formatDistName(update.value.release.name)} fits best, with ${share} % of its files`,
    {
      subject: formatChannel(channel),
      hint: 'if you know which release it is, say --release NAME',
    },
  )
}
