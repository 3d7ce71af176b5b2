import { formatChannel, formatDistName } from '../../../base/name.ts'
import { BinderyError, isBinderyError } from '../../../base/error.ts'
import { decompress } from '../../dist/wire.ts'
import { openKeptTar, wantedOf } from './basis.ts'
import { cachePath } from './cache.ts'
import { downloadBlob, streamBlob } from './download.ts'
import { fetchFrames, planFrames, wholeDist } from './frames.ts'
import { distinctContents, gatherFiles, piecesOf } from './gather.ts'
import { openRepository } from './offer.ts'
import { listReleases, readUpdate } from './releases.ts'
import type { ByteStream } from '../../../base/bytes.ts'
import type { FileEntry, Manifest } from '../../../base/entry.ts'
import type { Enrolled } from '../../../format/enrolled.ts'
import type { ReleaseState } from '../../../format/release-state.ts'
import type { Update } from '../../../format/update.ts'
import type { Trust } from '../../repo/trust-types.ts'
import type { Place } from './download.ts'
import type { Wanted } from './gather.ts'
import type { Session } from './session.ts'

/** Contents of a release's files, from the nearest place that has them. */

export type Repair = {
  readonly enrolled: Enrolled
  readonly installed: ReleaseState
  readonly manifest: Manifest
  /** The files whose contents are needed. */
  readonly files: readonly FileEntry[]
}

/**
 * For `audit --repair`: brings the contents into the cache, from the kept base where it is intact, otherwise over the
 * network, and answers how to read them. Each has the digest of its entry; the caller sweeps the cache afterwards.
 */
export async function openRepairSource(session: Session, repair: Repair): Promise<(entry: FileEntry) => ByteStream> {
  const { installed, manifest } = repair
  const paths = new Set(distinctContents(repair.files).map(({ path }) => path))
  const wanted = wantedOf(installed.name, manifest, paths)
  if (!(await gatherFromBase(session, repair, wanted))) await gatherFromNetwork(session, repair, wanted)
  return (entry) => session.disk.read(cachePath(entry.sha256))
}

/** Answers whether there is a base that is intact. */
export async function gatherFromBase(
  session: Session,
  { enrolled, installed }: Pick<Repair, 'enrolled' | 'installed'>,
  wanted: readonly Wanted[],
): Promise<boolean> {
  if (installed.base === undefined) return false
  try {
    const tar = await openKeptTar(session, enrolled.channel, installed.base)
    await gatherFiles(session, wanted, piecesOf(tar()))
    return true
  } catch (error) {
    if (!isBinderyError(error, 'bad-digest') && !isBinderyError(error, 'not-found')) throw error
    session.say(`${error.subject ?? formatChannel(enrolled.channel)}: ${error.message}; fetching instead`)
    return false
  }
}

async function gatherFromNetwork(session: Session, { enrolled, installed }: Repair, wanted: readonly Wanted[]): Promise<void> {
  // What is installed comes back by the digests of its own manifest, however old the news are.
  const trust = await openRepository(session, [enrolled], Infinity)
  const update = await findRelease(session, trust, enrolled, installed)
  await fetchContents(session, trust, enrolled, { update, wanted })
}

/** The record of the installed release; `no-way` when it has been pruned. */
export async function findRelease(session: Session, trust: Trust, { channel, urls }: Enrolled, installed: ReleaseState): Promise<Update> {
  const name = formatDistName(installed.name)
  const listed = (await listReleases(trust, channel)).find((release) => formatDistName(release.name) === name)
  if (listed === undefined) throw new BinderyError('no-way', 'is not in the repository any more', { subject: name })
  const meter = { advance: () => {}, end: () => {} }
  const update = (await readUpdate(session, { urls, meter }, trust, listed)).value
  if (update.release.tar.sha256 !== installed.tar.sha256)
    throw new BinderyError('no-way', 'has other contents in the repository', { subject: name })
  return update
}

export type Contents = { readonly update: Update; readonly wanted: readonly Wanted[] }

/** Files of a release into the cache: the frames that hold them by range, or else the whole dist. */
export async function fetchContents(session: Session, trust: Trust, enrolled: Pick<Enrolled, 'urls'>, contents: Contents): Promise<void> {
  if (contents.wanted.length === 0) return
  const meter = session.progress.start('fetching files', undefined)
  const place = { urls: enrolled.urls, meter }
  try {
    if (!(await byFrames(session, place, trust, contents))) await byWhole(session, place, trust, contents)
  } finally {
    meter.end()
  }
}

async function byFrames(session: Session, place: Place, trust: Trust, { update, wanted }: Contents): Promise<boolean> {
  const plan = await planFrames(session, place, trust, update, wanted)
  if (plan === undefined) return false
  try {
    await gatherFiles(session, wanted, fetchFrames(session, place, plan))
    return true
  } catch (error) {
    if (!isBinderyError(error, 'not-supported')) throw error
    session.explain(`${error.subject ?? plan.dist.path}: ${error.message}; fetching the whole dist`)
    return false
  }
}

async function byWhole(session: Session, place: Place, trust: Trust, { update, wanted }: Contents): Promise<void> {
  const whole = await wholeDist(trust, update)
  if (whole === undefined)
    throw new BinderyError('no-way', 'has no dist in the repository', { subject: formatDistName(update.release.name) })
  const blob = await downloadBlob(session, place, whole.target)
  await gatherFiles(session, wanted, piecesOf(decompress(streamBlob(session, blob), update.release.tar.size)))
}
