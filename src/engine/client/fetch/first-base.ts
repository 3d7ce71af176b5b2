import { digestStream } from '../../../base/digest.ts'
import { isBinderyError } from '../../../base/error.ts'
import { formatDistName } from '../../../base/name.ts'
import { decompress } from '../../dist/wire.ts'
import { inTreeBut, rebuildTar, wantedOf } from './basis.ts'
import { downloadBlob, streamBlob } from './download.ts'
import { checkTar } from './fetch-route.ts'
import { fetchFrames, planFrames, wholeDist } from './frames.ts'
import { distinctContents, gatherFiles } from './gather.ts'
import { packTar } from './next-base.ts'
import { BinderyError } from '../../../base/error.ts'
import type { RelPath } from '../../../base/path.ts'
import type { Trust } from '../../repo/trust-types.ts'
import type { Place } from './download.ts'
import type { Candidate } from './identify.ts'
import type { Session } from './session.ts'
import type { CachedFile } from './cache.ts'

/**
 * The base of a newly enrolled channel (`--basis tar`): rebuilt bit for bit from the installed files, those that were
 * modified fetched alone, or else the whole dist. The tar's digest is the signed one in every case.
 */
export async function firstBase(session: Session, place: Place, trust: Trust, candidate: Candidate): Promise<CachedFile> {
  return (await fromTree(session, place, trust, candidate)) ?? (await fromNetwork(session, place, trust, candidate))
}

async function fromTree(session: Session, place: Place, trust: Trust, candidate: Candidate): Promise<CachedFile | undefined> {
  const { update, manifest, match } = candidate
  const { name, tar } = update.value.release
  const modified = new Set<RelPath>(match.differing)
  try {
    if (!(await fetchModified(session, place, trust, candidate, modified))) return undefined
    return await packTar(session, update.value, () => checkTar(rebuildTar(session, name, manifest.value, inTreeBut(modified)), tar))
  } catch (error) {
    // A file that changes under our eyes, or a server without ranges: the network has all of it.
    if (!isBinderyError(error, 'bad-digest') && !isBinderyError(error, 'not-supported')) throw error
    session.explain(`${error.subject ?? formatDistName(name)}: ${error.message}; fetching the whole release`)
    return undefined
  }
}

async function fetchModified(
  session: Session,
  place: Place,
  trust: Trust,
  { update, manifest }: Candidate,
  modified: ReadonlySet<RelPath>,
): Promise<boolean> {
  const wanted = wantedOf(update.value.release.name, manifest.value, modified)
  const distinct = new Set(distinctContents(wanted.map(({ entry }) => entry)))
  const needed = wanted.filter(({ entry }) => distinct.has(entry))
  if (needed.length === 0) return true
  const plan = await planFrames(session, place, trust, update.value, needed)
  if (plan === undefined) return false
  await gatherFiles(session, needed, fetchFrames(session, place, plan))
  return true
}

async function fromNetwork(session: Session, place: Place, trust: Trust, { update }: Candidate): Promise<CachedFile> {
  const { name, tar } = update.value.release
  const whole = await wholeDist(trust, update.value)
  if (whole === undefined) throw new BinderyError('no-way', 'has no dist in the repository', { subject: formatDistName(name) })
  const blob = await downloadBlob(session, place, whole.target)
  const stream = (): AsyncIterable<Uint8Array> => checkTar(decompress(streamBlob(session, blob), tar.size), tar)
  if (whole.way.codec !== 'zstd') return await packTar(session, update.value, stream)
  await digestStream(stream())
  return blob.value
}
