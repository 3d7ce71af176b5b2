import { emptyBytes, oneChunk } from '../../base/bytes.ts'
import { isBinderyError } from '../../base/error.ts'
import { baseName, isWithin, joinPath } from '../../base/path.ts'
import { decodeJournal, maxJournalBytes } from '../../format/journal.ts'
import { decodeChecksums, encodeChecksums, maxChecksumsBytes } from '../../format/state-checksums.ts'
import { sameTime } from './apply/nodes.ts'
import { savesOld } from './apply/stage.ts'
import { readStateFile, stateFolder, statePaths } from './state.ts'
import type { RelPath } from '../../base/path.ts'
import type { Checksum } from '../../format/state-checksums.ts'
import type { Disk, DiskReader, Stat } from '../../port/disk.ts'

/**
 * What the files of the state are, noted at the end of each verb. A file that is still the same inode with the same size and time is as
 * it was written, or the disk has lost it; one that is not was written by another program since, and nothing is known of it. So neither
 * sh programs nor other versions need to know of the list, and a note is never renewed by reading what may have gone bad meanwhile.
 */
export async function noteChecksums(disk: Disk): Promise<void> {
  if ((await disk.lstat(statePaths.enrolled)) === undefined) return await forgetChecksums(disk)
  const before = new Map((await readChecksums(disk)).map((one) => [one.path, one]))
  const list: Checksum[] = []
  for (const path of await notedPaths(disk, before)) {
    const stat = await disk.lstat(inState(path))
    if (stat?.kind !== 'file') continue
    const known = before.get(path)
    list.push(known !== undefined && isSame(known, stat) ? known : await checksumOf(disk, path, stat))
  }
  if (list.length !== before.size || list.some((one) => before.get(one.path) !== one)) await writeChecksums(disk, list)
}

/** Of no consequence when it is lost, so that nothing waits for the disk. */
async function writeChecksums(disk: Disk, list: readonly Checksum[]): Promise<void> {
  const aside = `${statePaths.checksums}.new` as RelPath
  if ((await disk.lstat(aside)) !== undefined) await disk.unlink(aside)
  await disk.create(aside, oneChunk(encodeChecksums(list)))
  await disk.rename(aside, statePaths.checksums)
}

async function forgetChecksums(disk: Disk): Promise<void> {
  if ((await disk.lstat(statePaths.checksums)) !== undefined) await disk.unlink(statePaths.checksums)
}

/** Empty where there are none, or damaged ones: they are noted anew. */
async function readChecksums(disk: DiskReader): Promise<readonly Checksum[]> {
  try {
    return await readSoundChecksums(disk)
  } catch (error) {
    if (isBinderyError(error, 'bad-format') || isBinderyError(error, 'over-limit')) return []
    throw error
  }
}

/** Throws `bad-format` where they are damaged. */
export async function readSoundChecksums(disk: DiskReader): Promise<readonly Checksum[]> {
  const bytes = await readStateFile(disk, statePaths.checksums, maxChecksumsBytes)
  return bytes === undefined ? [] : decodeChecksums(bytes)
}

export function isSame(noted: Checksum, stat: Stat): boolean {
  return stat.size === noted.size && stat.inode === noted.inode && sameTime(noted, stat)
}

async function checksumOf(disk: DiskReader, path: RelPath, { mtime, inode }: Stat): Promise<Checksum> {
  return { path, mtime, inode, ...(await disk.digest(inState(path))) }
}

export function inState(path: RelPath): RelPath {
  return path === '.' ? stateFolder : joinPath(stateFolder, path)
}

/** Their contents are named by digest elsewhere, or are nothing that lasts. */
const unnoted = /^(?:journal|checksums|.*\.new|channel\/[^/]+\/(?:manifest\.mtree\.zst|next\.mtree\.zst|base\.tar\.zst|[0-9]+\.delta))$/
const folders = ['.', 'bundles', 'receipt', 'steps', 'log'] as const
const foldersOfFolders = ['channel', 'trust'] as const

async function notedPaths(disk: DiskReader, before: ReadonlyMap<RelPath, Checksum>): Promise<readonly RelPath[]> {
  const paths: RelPath[] = []
  for (const folder of folders) paths.push(...(await namesIn(disk, folder as RelPath)))
  for (const folder of foldersOfFolders) for (const one of await namesIn(disk, folder as RelPath)) paths.push(...(await namesIn(disk, one)))
  for (const receipt of await namesIn(disk, 'receipt' as RelPath)) paths.push(...(await keptState(disk, receipt, before)))
  return paths.filter((path) => !unnoted.test(path)).sort()
}

async function namesIn(disk: DiskReader, folder: RelPath): Promise<readonly RelPath[]> {
  if ((await disk.lstat(inState(folder)))?.kind !== 'dir') return []
  return (await disk.readdir(inState(folder))).map((name) => joinPath(folder, name))
}

/** What a receipt keeps of the state itself: the only slots whose digests it does not say. */
async function keptState(disk: DiskReader, receipt: RelPath, before: ReadonlyMap<RelPath, Checksum>): Promise<readonly RelPath[]> {
  const store = `store/${baseName(receipt)}/`
  if (before.has(receipt)) return [...before.keys()].filter((path) => path.startsWith(store))
  try {
    const { actions } = decodeJournal((await readStateFile(disk, inState(receipt), maxJournalBytes)) ?? emptyBytes)
    const kept = actions.filter(savesOld).filter(({ path, slot }) => slot.area === 0 && isWithin(path, stateFolder))
    return kept.map(({ slot }) => `${store}${slot.number}` as RelPath)
  } catch (error) {
    if (isBinderyError(error)) return []
    throw error
  }
}
