import { collectBytes } from '../../../base/bytes.ts'
import { sha256 } from '../../../base/digest.ts'
import { isBinderyError } from '../../../base/error.ts'
import { showPath } from '../../../base/path.ts'
import { readInstalledManifest } from '../installed.ts'
import { wantedOf } from './basis.ts'
import { cachePath } from './cache.ts'
import { distinctContents } from './gather.ts'
import { isOwnFault } from './fault.ts'
import { fetchModified, missingOf } from './old-tar.ts'
import { fetchContents, findRelease, gatherFromBase } from './repair-source.ts'
import type { Sha256 } from '../../../base/digest.ts'
import type { FileEntry } from '../../../base/entry.ts'
import type { Incoming } from '../incoming.ts'
import type { Wanted } from './gather.ts'
import type { Offer } from './offer.ts'
import type { Session } from './session.ts'

/** For merges: contents of files of the installed release that are not as they were any more. */
export async function readOldContents(session: Session, offer: Offer, files: readonly FileEntry[]): ReturnType<Incoming['oldContents']> {
  const contents = new Map<Sha256, Uint8Array>()
  if (files.length === 0) return contents
  await bringHere(session, offer, files)
  for (const { sha256: wanted, size } of distinctContents(files)) {
    const path = cachePath(wanted)
    const bytes = (await session.disk.lstat(path)) === undefined ? undefined : await collectBytes(session.disk.read(path), size)
    if (bytes !== undefined && sha256(bytes) === wanted) contents.set(wanted, bytes)
  }
  return contents
}

/** From what is kept here, or else over the network: the parts of the old dist that hold them. */
async function bringHere(session: Session, offer: Offer, files: readonly FileEntry[]): Promise<void> {
  const { enrolled, installed } = offer
  const paths = new Set(distinctContents(files).map(({ path }) => path))
  try {
    const manifest = await readInstalledManifest(session.disk, enrolled.channel, installed)
    const wanted = await missingOf(session, wantedOf(installed.name, manifest, paths))
    if (wanted.length === 0 || (await gatherFromBase(session, { enrolled, installed }, wanted))) return
    if (!(await fetchWanted(session, offer, wanted))) sayMissing(session, files, 'it would cost too much')
  } catch (error) {
    // To go on without a merge would hide that a disk is full, or dying.
    if (!isBinderyError(error) || isOwnFault(error)) throw error
    sayMissing(session, files, error.message)
  }
}

/** Up to here the whole old dist may come, where parts of it do not: nobody should have to merge by hand for that. */
const maxWholeBytes = 8 << 20

async function fetchWanted(session: Session, offer: Offer, wanted: readonly Wanted[]): Promise<boolean> {
  const { enrolled, installed, trust } = offer
  const update = await findRelease(session, trust, enrolled, installed)
  if (!update.full.some(({ size }) => size <= maxWholeBytes)) return await fetchModified(session, offer, wanted, Infinity)
  await fetchContents(session, trust, enrolled, { update, wanted })
  return true
}

function sayMissing({ say }: Session, files: readonly FileEntry[], why: string): void {
  const others = files.length > 1 ? ` and ${files.length - 1} others` : ''
  say(`/${showPath((files[0] as FileEntry).path)}${others}: not merged, since the old version cannot be had: ${why}`)
}
