import { isBinderyError } from '../../../base/error.ts'
import { formatDistName } from '../../../base/name.ts'
import { showSize } from '../../../base/show-size.ts'
import { statePaths } from '../state.ts'
import { readInstalledManifest } from '../installed.ts'
import { rebuildTar, wantedOf } from './basis.ts'
import { cachePath } from './cache.ts'
import { isOwnFault } from './fault.ts'
import { fetchFrames, planFrames } from './frames.ts'
import { distinctContents, gatherFiles } from './gather.ts'
import { missingOf } from './old-tar.ts'
import { matchTree, openEye } from './tree-match.ts'
import type { ByteStream } from '../../../base/bytes.ts'
import type { Sha256 } from '../../../base/digest.ts'
import type { FileEntry, Manifest } from '../../../base/entry.ts'
import type { RelPath } from '../../../base/path.ts'
import type { Update } from '../../../format/update.ts'
import type { CachedFile } from './cache.ts'
import type { Place } from './download.ts'
import type { FramePlan } from './frames.ts'
import type { Wanted } from './gather.ts'
import type { Offer } from './offer.ts'
import type { Session } from './session.ts'

/**
 * The tar of the next release where no delta leads to it: put together from the files of the tree that stay what they are and from
 * the frames of the dist that hold the others. What it is, its signed digest says.
 */

export type Assembling = {
  readonly offer: Offer
  readonly update: Update
  readonly manifest: Manifest
  readonly place: Place
  /** Bytes over the network for which it comes otherwise. */
  readonly budget: number
}

export type Assembled = {
  /** Not checked yet. */
  readonly tar: () => ByteStream
  /** Contents in the cache that it reads. */
  readonly files: readonly CachedFile[]
  readonly bytes: number
}

/** Undefined where that is not cheaper, or cannot be done; then why is explained. */
export async function assemble(session: Session, assembling: Assembling): Promise<Assembled | undefined> {
  const { name } = assembling.update.release
  try {
    return await tryToAssemble(session, assembling)
  } catch (error) {
    // The network as such is the whole dist's matter as well; what a mirror has of frames alone is not.
    if (!isBinderyError(error) || isOwnFault(error) || ['network', 'too-slow'].includes(error.code)) throw error
    session.explain(`${error.subject ?? formatDistName(name)}: ${error.message}; fetching the whole release`)
    return undefined
  }
}

async function tryToAssemble(session: Session, assembling: Assembling): Promise<Assembled | undefined> {
  const { offer, update, manifest, budget } = assembling
  if (budget === 0) return undefined
  const { name } = update.release
  const installed = await readInstalledManifest(session.disk, offer.enrolled.channel, offer.installed)
  const shared = sharedFiles(installed, manifest)
  if (await isTooDear(session, assembling, lackingFrom(update, manifest, new Set(shared.keys())))) return undefined
  const here = await inTree(session, shared)
  const wanted = lackingFrom(update, manifest, new Set(here.keys()))
  if (!(await hasRoomFor(session, wanted))) {
    session.explain(`${formatDistName(name)}: no room for the files that are new; fetching the whole release`)
    return undefined
  }
  const bytes = await bringHere(session, assembling, wanted)
  if (bytes === undefined) return undefined
  session.explain(`${formatDistName(name)}: put together from files that are here and ${showSize(bytes)} of its dist`)
  return {
    tar: () => rebuildTar(session, name, manifest, ({ sha256 }) => here.get(sha256) ?? cachePath(sha256)),
    files: wanted.map(({ entry: { sha256, size } }) => ({ path: cachePath(sha256), sha256, size })),
    bytes,
  }
}

/** Installed files whose contents the next release has, too, by their contents. */
function sharedFiles(installed: Manifest, next: Manifest): ReadonlyMap<Sha256, FileEntry> {
  const coming = new Set(filesOf(next).map(({ sha256 }) => sha256))
  return new Map(
    filesOf(installed)
      .filter(({ sha256 }) => coming.has(sha256))
      .map((entry) => [entry.sha256, entry]),
  )
}

function filesOf({ entries }: Manifest): readonly FileEntry[] {
  return entries.filter((entry) => entry.kind === 'file')
}

/** Those that the tree has as the manifest says. */
async function inTree(session: Session, shared: ReadonlyMap<Sha256, FileEntry>): Promise<ReadonlyMap<Sha256, RelPath>> {
  const entries = [...shared.values()]
  const { differing } = await matchTree(session, openEye(session.disk), { entries })
  const changed = new Set(differing)
  return new Map(entries.filter(({ path }) => !changed.has(path)).map(({ sha256, path }) => [sha256, path]))
}

function lackingFrom({ release }: Update, manifest: Manifest, here: ReadonlySet<Sha256>): readonly Wanted[] {
  const lacking = distinctContents(filesOf(manifest).filter(({ sha256 }) => !here.has(sha256)))
  return wantedOf(release.name, manifest, new Set(lacking.map(({ path }) => path)))
}

/** Without a look at the tree. */
async function isTooDear(session: Session, assembling: Assembling, wanted: readonly Wanted[]): Promise<boolean> {
  const missing = await missingOf(session, wanted)
  return missing.length > 0 && (await framesFor(session, assembling, missing)) === undefined
}

async function hasRoomFor({ disk }: Session, wanted: readonly Wanted[]): Promise<boolean> {
  const { freeBytes } = await disk.space(statePaths.cache)
  return wanted.reduce((sum, { entry }) => sum + entry.size, 0) <= freeBytes
}

/** Answers how many bytes came over the network for it. */
async function bringHere(session: Session, assembling: Assembling, wanted: readonly Wanted[]): Promise<number | undefined> {
  const { place } = assembling
  const missing = await missingOf(session, wanted)
  if (missing.length === 0) return 0
  const plan = await framesFor(session, assembling, missing)
  if (plan === undefined) return undefined
  // What need not come counts as if it had.
  place.meter.advance(assembling.budget - plan.bytes)
  await gatherFiles(session, missing, fetchFrames(session, place, plan))
  return plan.bytes + plan.indexBytes
}

async function framesFor(
  session: Session,
  { offer, update, place, budget }: Assembling,
  wanted: readonly Wanted[],
): Promise<FramePlan | undefined> {
  const plan = await planFrames(session, place, offer.trust, update, wanted, 1)
  return plan === undefined || plan.bytes >= budget ? undefined : plan
}
