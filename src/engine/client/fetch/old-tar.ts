import { isBinderyError } from '../../../base/error.ts'
import { formatChannel, formatDistName } from '../../../base/name.ts'
import { findModified, inTreeBut, openKeptTar, rebuildTar } from './basis.ts'
import { cachePath } from './cache.ts'
import { isIntact } from './download.ts'
import { fetchFrames, planFrames } from './frames.ts'
import { distinctContents, gatherFiles } from './gather.ts'
import { readInstalledManifest } from '../installed.ts'
import { findRelease } from './repair-source.ts'
import type { ByteStream } from '../../../base/bytes.ts'
import type { Wanted } from './gather.ts'
import type { Offer } from './offer.ts'
import type { Session } from './session.ts'

/** `files` are contents in the cache that the stream reads. */
export type OldTar = { readonly open: () => ByteStream; readonly files: readonly Wanted[] }

/**
 * The tar of the installed release, whatever it is kept as; undefined when it cannot be had, or when mending it would
 * cost more than `budget` bytes of network. The reason is said: no delta can be used then.
 */
export async function openOldTar(session: Session, offer: Offer, budget: number): Promise<OldTar | undefined> {
  const { enrolled, installed } = offer
  try {
    if (enrolled.basis === 'installed') return await openInstalledTar(session, offer, budget)
    if (installed.base === undefined) return undefined
    return { open: await openKeptTar(session, enrolled.channel, installed.base), files: [] }
  } catch (error) {
    if (!isBinderyError(error) || !['bad-digest', 'not-found', 'no-way', 'bad-format'].includes(error.code)) throw error
    session.say(`${error.subject ?? formatChannel(enrolled.channel)}: ${error.message}; no delta can be used`)
    return undefined
  }
}

async function openInstalledTar(session: Session, offer: Offer, budget: number): Promise<OldTar | undefined> {
  const { enrolled, installed } = offer
  const manifest = await readInstalledManifest(session.disk, enrolled.channel, installed)
  const modified = await findModified(session, installed.name, manifest)
  const distinct = distinctWanted(modified)
  const missing = await missingOf(session, distinct)
  if (missing.length > 0 && !(await fetchModified(session, offer, missing, budget))) return undefined
  const paths = new Set(modified.map(({ entry }) => entry.path))
  return { open: () => rebuildTar(session, installed.name, manifest, inTreeBut(paths)), files: distinct }
}

function distinctWanted(wanted: readonly Wanted[]): readonly Wanted[] {
  const kept = new Set(distinctContents(wanted.map(({ entry }) => entry)))
  return wanted.filter(({ entry }) => kept.has(entry))
}

/** Those that no earlier run has brought here. */
export async function missingOf(session: Session, wanted: readonly Wanted[]): Promise<readonly Wanted[]> {
  const missing: Wanted[] = []
  for (const one of wanted) {
    const { sha256, size } = one.entry
    if (!(await isIntact(session, { path: cachePath(sha256), sha256, size }))) missing.push(one)
  }
  return missing
}

/** Answers false where it would cost more than `budget` bytes, or cannot be done by range; the reason is explained. */
export async function fetchModified(session: Session, offer: Offer, wanted: readonly Wanted[], budget: number): Promise<boolean> {
  const { enrolled, installed, trust } = offer
  const update = await findRelease(session, trust, enrolled, installed)
  const meter = session.progress.start('fetching modified files', undefined)
  const place = { urls: enrolled.urls, meter }
  try {
    const plan = await planFrames(session, place, trust, update, wanted)
    if (plan === undefined || plan.bytes > budget) {
      session.explain(`${wanted.length} installed files were modified: fetching them would cost more than the whole release`)
      return false
    }
    await gatherFiles(session, wanted, fetchFrames(session, place, plan))
    return true
  } catch (error) {
    if (!isBinderyError(error, 'not-supported')) throw error
    session.explain(`${formatDistName(installed.name)}: ${error.message}: modified files cannot be fetched alone`)
    return false
  } finally {
    meter.end()
  }
}
