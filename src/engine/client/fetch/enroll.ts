import { sha256 } from '../../../base/digest.ts'
import { BinderyError, failureIn } from '../../../base/error.ts'
import { formatChannel, formatDistName } from '../../../base/name.ts'
import { joinPath } from '../../../base/path.ts'
import { encodeReleaseState } from '../../../format/release-state.ts'
import { encodeTerms } from '../../../format/release-terms.ts'
import { establishTrust } from '../../repo/trust.ts'
import { sweepCache } from './cache.ts'
import { firstBase } from './first-base.ts'
import { identifyRelease, takeRelease } from './identify.ts'
import { openTrust } from './open-trust.ts'
import {
  channelFile,
  channelFiles,
  channelFolder,
  readEnrolled,
  removeStateFolder,
  statePaths,
  writeEnrolled,
  writeStateFile,
} from '../state.ts'
import { termsOf } from '../terms.ts'
import { diskTrustStore, emptyTrustStore, passingTrustStore, sweepTrust } from './trust-store.ts'
import { noteStateVersion } from '../state-version.ts'
import type { Channel } from '../../../base/name.ts'
import type { RelPath } from '../../../base/path.ts'
import type { Basis, Enrolled } from '../../../format/enrolled.ts'
import type { ReleaseState } from '../../../format/release-state.ts'
import type { Trust } from '../../repo/trust-types.ts'
import type { Candidate } from './identify.ts'
import type { Session } from './session.ts'
import type { CachedFile } from './cache.ts'

export type EnrollInput = {
  /** The repository first, then its mirrors. */
  readonly urls: readonly string[]
  /** The root of trust, from a file that the administrator trusts. */
  readonly root: Uint8Array
  readonly channels: readonly Channel[]
  readonly basis: Basis
  /** The installed release, where the administrator knows it. */
  readonly release?: string
  /** Replace what is enrolled, and the trust in its repository. */
  readonly force: boolean
}

/** What was found out about one channel. */
export type Enrollment = {
  readonly enrolled: Enrolled
  readonly state: ReleaseState
  readonly differing: readonly RelPath[]
  readonly paths: number
}

/**
 * Ties the root to channels of a repository. The state folders are there and locked. Everything is found out and
 * downloaded before the first file of the state is written, and `enrolled` is written last; a failure leaves the state
 * as it was.
 */
export async function enrollChannels(session: Session, input: EnrollInput): Promise<readonly Enrollment[]> {
  const before = await readBefore(session, input)
  const repository = sha256(input.root).slice(0, 16)
  const store = await trustStoreFor(session, input, repository)
  try {
    const trust = await openTrust(session, { store, repository, urls: input.urls, channels: input.channels })
    const drafts: Draft[] = []
    for (const channel of input.channels) drafts.push(await draftChannel(session, input, trust, channel))
    await saveTrust(session, repository, store.changed)
    for (const draft of drafts) await saveChannel(session, draft)
    const added = drafts.map(({ channel }) => ({ channel, repository, basis: input.basis, urls: input.urls }))
    await writeEnrolled(session.disk, [...before, ...added])
    await sweepTrust(session.disk, [...before, ...added])
    await noteStateVersion(session.disk)
    return drafts.map((draft, i) => enrollmentOf(draft, added[i] as Enrolled))
  } catch (error) {
    await takeBack(session, before, input.channels, repository)
    throw error
  } finally {
    // What cannot go is for the next fetch.
    await failureIn(async () => await sweepCache(session.disk, new Set()))
  }
}

/** The channels that stay as they are. */
async function readBefore({ disk }: Session, { channels, force }: EnrollInput): Promise<readonly Enrolled[]> {
  if ((await disk.lstat(statePaths.journal)) !== undefined) {
    throw new BinderyError('interrupted', 'an install was interrupted', {
      subject: statePaths.journal,
      hint: "run 'bindery recover' first",
    })
  }
  const names = channels.map(formatChannel)
  if (new Set(names).size !== names.length) throw new BinderyError('usage', 'a channel is named twice')
  const enrolled = await readEnrolledOr(disk, force)
  const again = enrolled.find(({ channel }) => names.includes(formatChannel(channel)))
  if (again !== undefined && !force) {
    throw new BinderyError('exists', 'is enrolled already', { subject: formatChannel(again.channel), hint: '--force enrolls it anew' })
  }
  return enrolled.filter(({ channel }) => !names.includes(formatChannel(channel)))
}

/** `--force` is also the way out of a damaged state. */
async function readEnrolledOr(disk: Session['disk'], force: boolean): Promise<readonly Enrolled[]> {
  try {
    return await readEnrolled(disk)
  } catch (error) {
    if (force && error instanceof BinderyError && error.code === 'bad-format') return []
    throw error
  }
}

/** Trust that is there already goes on, so that it cannot be rolled back by enrolling another channel. */
async function trustStoreFor(
  { disk }: Session,
  { root, force }: EnrollInput,
  repository: string,
): Promise<ReturnType<typeof passingTrustStore>> {
  const store = passingTrustStore(force ? emptyTrustStore : diskTrustStore(disk, repository))
  if ((await store.load('root.json')) === undefined) await establishTrust(store, root)
  return store
}

/** What a channel's folder will say. */
export type Draft = {
  readonly channel: Channel
  readonly candidate: Candidate
  readonly state: ReleaseState
  readonly base: CachedFile | undefined
}

export async function draftChannel(
  session: Session,
  input: Pick<EnrollInput, 'urls' | 'release' | 'basis'>,
  trust: Trust,
  channel: Channel,
): Promise<Draft> {
  const meter = session.progress.start(`looking at ${formatChannel(channel)}`, undefined)
  const place = { urls: input.urls, meter }
  try {
    const candidate =
      input.release === undefined
        ? await identifyRelease(session, place, trust, channel)
        : await takeRelease(session, place, trust, channel, input.release)
    const base = input.basis === 'tar' ? await firstBase(session, place, trust, candidate) : undefined
    return { channel, candidate, base, state: stateOf(candidate, base) }
  } finally {
    meter.end()
  }
}

function stateOf({ update, manifestBlob }: Candidate, base: CachedFile | undefined): ReleaseState {
  const { release, sequence } = update.value
  const state = {
    name: release.name,
    sequence,
    tar: release.tar,
    manifest: { sha256: manifestBlob.value.sha256, size: manifestBlob.value.size },
  }
  return base === undefined ? state : { ...state, base: { file: { sha256: base.sha256, size: base.size }, tar: release.tar, deltas: [] } }
}

async function saveTrust(session: Session, repository: string, changed: ReadonlyMap<string, Uint8Array | undefined>): Promise<void> {
  const store = diskTrustStore(session.disk, repository)
  for (const [file, bytes] of changed) {
    if (bytes === undefined) await store.remove(file)
    else await store.save(file, bytes)
  }
}

/**
 * The files come from the cache as they are; `release` names them and is written after them. At any moment the channel has
 * a release, and what an earlier enrollment had besides, but for `kept`, goes last.
 */
export async function saveChannel(
  { disk }: Session,
  { channel, candidate, state, base }: Draft,
  kept: ReadonlySet<string> = new Set(),
): Promise<void> {
  const folder = channelFolder(channel)
  if ((await disk.lstat(folder)) === undefined) await disk.mkdir(folder, 0o755)
  await adopt(disk, candidate.manifestBlob.value.path, channelFile(channel, channelFiles.manifest), 0o644)
  if (base !== undefined) await adopt(disk, base.path, channelFile(channel, channelFiles.base), 0o600)
  await disk.sync(folder)
  const { update } = candidate
  const terms = termsOf(update.value)
  if (terms !== undefined)
    await writeStateFile(disk, channelFile(channel, channelFiles.terms), encodeTerms(update.value.release.name, terms), 0o644)
  await writeStateFile(disk, channelFile(channel, channelFiles.release), encodeReleaseState(state), 0o644)
  await disk.sync(statePaths.channel)
  const own: readonly string[] = [
    channelFiles.release,
    channelFiles.manifest,
    ...(base === undefined ? [] : [channelFiles.base]),
    ...(terms === undefined ? [] : [channelFiles.terms]),
  ]
  for (const name of await disk.readdir(folder)) if (!own.includes(name) && !kept.has(name)) await disk.unlink(joinPath(folder, name))
}

/** By a link first, not a rename: two channels may have the same manifest. */
async function adopt(disk: Session['disk'], from: RelPath, to: RelPath, mode: number): Promise<void> {
  const aside = `${to}.new` as RelPath
  await disk.chmod(from, mode)
  await disk.sync(from)
  if ((await disk.lstat(aside)) !== undefined) await disk.unlink(aside)
  await disk.link(aside, from)
  await disk.rename(aside, to)
}

function enrollmentOf({ candidate, state }: Draft, enrolled: Enrolled): Enrollment {
  return { enrolled, state, differing: candidate.match.differing, paths: candidate.manifest.value.entries.length }
}

/** What had no line in `enrolled` before does not stay without one. */
async function takeBack({ disk }: Session, before: readonly Enrolled[], channels: readonly Channel[], repository: string): Promise<void> {
  const still = await readEnrolledOr(disk, true)
  const isEnrolled = (channel: Channel): boolean => still.some((one) => formatChannel(one.channel) === formatChannel(channel))
  for (const channel of channels) if (!isEnrolled(channel)) await removeStateFolder(disk, channelFolder(channel))
  if (![...still, ...before].some((one) => one.repository === repository))
    await removeStateFolder(disk, joinPath(statePaths.trust, repository))
}

/** For people: which release it is, and how far the tree is from it. */
export function describeEnrollment({ enrolled, state, differing, paths }: Enrollment): string {
  const difference = differing.length === 0 ? 'as it was released' : `${differing.length} of ${paths} paths differ`
  return `${formatChannel(enrolled.channel)}: ${formatDistName(state.name)} is installed, ${difference}`
}
