import { collectBytes, oneChunk } from '../../base/bytes.ts'
import { BinderyError } from '../../base/error.ts'
import { channelRole } from '../../base/name.ts'
import { joinPath, parentPath } from '../../base/path.ts'
import { decodeEnrolled, encodeEnrolled } from '../../format/enrolled.ts'
import { decodeReleaseState } from '../../format/release-state.ts'
import type { Channel } from '../../base/name.ts'
import type { RelPath } from '../../base/path.ts'
import type { Enrolled } from '../../format/enrolled.ts'
import type { ReleaseState } from '../../format/release-state.ts'
import type { Disk, DiskReader } from '../../port/disk.ts'

/** Where the client keeps what it knows (doc/spec/client-state.md), and how it is read and written. */

export const stateFolder = 'var/db/bindery' as RelPath

export const statePaths = {
  lock: `${stateFolder}/lock` as RelPath,
  enrolled: `${stateFolder}/enrolled` as RelPath,
  trust: `${stateFolder}/trust` as RelPath,
  channel: `${stateFolder}/channel` as RelPath,
  cache: `${stateFolder}/cache` as RelPath,
  stage: `${stateFolder}/stage` as RelPath,
  store: `${stateFolder}/store` as RelPath,
  receipt: `${stateFolder}/receipt` as RelPath,
  journal: `${stateFolder}/journal` as RelPath,
  recover: `${stateFolder}/recover` as RelPath,
  bootHook: `${stateFolder}/boot-hook` as RelPath,
  steps: `${stateFolder}/steps` as RelPath,
  log: `${stateFolder}/log` as RelPath,
  oldNames: `${stateFolder}/old-names` as RelPath,
  reboot: `${stateFolder}/reboot` as RelPath,
  machineKey: `${stateFolder}/machine.sec` as RelPath,
  machineId: `${stateFolder}/machine-id` as RelPath,
  commitHooks: `${stateFolder}/commit-hooks` as RelPath,
  told: `${stateFolder}/told` as RelPath,
  rest: `${stateFolder}/rest` as RelPath,
  version: `${stateFolder}/version` as RelPath,
  checksums: `${stateFolder}/checksums` as RelPath,
  tree: `${stateFolder}/tree` as RelPath,
  next: `${stateFolder}/next` as RelPath,
  nextRoot: `${stateFolder}/next-root` as RelPath,
} as const

/** The files of one channel below `channel/<role>/`. */
export const channelFiles = {
  release: 'release' as RelPath,
  manifest: 'manifest.mtree.zst' as RelPath,
  base: 'base.tar.zst' as RelPath,
  obsolete: 'obsolete' as RelPath,
  terms: 'terms' as RelPath,
  phase: 'phase' as RelPath,
  nextManifest: 'next.mtree.zst' as RelPath,
} as const

export function channelFolder(channel: Channel): RelPath {
  return joinPath(statePaths.channel, channelRole(channel))
}

export function channelFile(channel: Channel, file: RelPath): RelPath {
  return `${channelFolder(channel)}/${file}` as RelPath
}

/** The deltas since the base, oldest first, are `1.delta`, `2.delta`... */
export function keptDeltaFile(number: number): RelPath {
  return `${number}.delta` as RelPath
}

/**
 * Makes what is missing of the state folder. Its names cannot be listed by others (0711), so that `check` needs no
 * root for `enrolled`, `trust/` and `channel/`, which hold nothing secret; all else is 0700. Answers what was made,
 * outermost first, for a caller that takes it back. The time of the folder around it stays.
 */
export async function makeStateFolders(disk: Disk): Promise<readonly RelPath[]> {
  const made: RelPath[] = []
  for (const [path, mode] of stateFolders) {
    if ((await disk.lstat(path)) !== undefined) continue
    await around(disk, made, path, async () => await disk.mkdir(path, mode))
    made.push(path)
  }
  for (const path of new Set(made.map(parentPath))) await disk.sync(path)
  return made
}

const stateFolders: readonly (readonly [RelPath, number])[] = [
  ['var' as RelPath, 0o755],
  ['var/db' as RelPath, 0o755],
  [stateFolder, 0o711],
  [statePaths.trust, 0o755],
  [statePaths.channel, 0o755],
  [statePaths.lock, 0o700],
  [statePaths.cache, 0o700],
  [statePaths.stage, 0o700],
  [statePaths.store, 0o700],
  [statePaths.receipt, 0o700],
  [statePaths.steps, 0o700],
  [statePaths.log, 0o700],
]

/** Takes back what `makeStateFolders` made, as far as it is empty again but for the note of a run that is there to see it through. */
export async function removeStateFolders(disk: Disk, made: readonly RelPath[]): Promise<void> {
  if (made.includes(stateFolder) && (await disk.lstat(statePaths.commitHooks)) !== undefined) await disk.unlink(statePaths.commitHooks)
  for (const path of made.toReversed()) {
    if ((await disk.readdir(path)).length === 0) await around(disk, made, path, async () => await disk.rmdir(path))
  }
}

/** The tree around our folders is the administrator's: a comparison must not find that we were there. */
async function around(disk: Disk, made: readonly RelPath[], path: RelPath, work: () => Promise<void>): Promise<void> {
  const folder = parentPath(path)
  if (made.includes(folder) || folder === stateFolder) await work()
  else await keepingTime(disk, folder, work)
}

/** Names come and go in the folder, and its time stays. */
export async function keepingTime(disk: Disk, folder: RelPath, work: () => Promise<void>): Promise<void> {
  const before = await disk.lstat(folder)
  await work()
  if (before !== undefined) await disk.setTimes([{ path: folder, mtime: before.mtime }])
}

/** A whole small file; undefined where there is none, `over-limit` where it is larger than any that we write. */
export async function readStateFile(disk: DiskReader, path: RelPath, limit: number): Promise<Uint8Array | undefined> {
  const stat = await disk.lstat(path)
  if (stat === undefined) return undefined
  const bytes = await collectBytes(disk.read(path), limit)
  if (bytes === undefined) throw new BinderyError('over-limit', `is larger than ${limit} bytes`, { subject: path, hint: repairHint })
  return bytes
}

/** Aside, synced, renamed, directory synced. `mode` 0644 for what `check` reads without root. */
export async function writeStateFile(disk: Disk, path: RelPath, bytes: Uint8Array, mode = 0o600): Promise<void> {
  const aside = `${path}.new` as RelPath
  if ((await disk.lstat(aside)) !== undefined) await disk.unlink(aside)
  await disk.create(aside, oneChunk(bytes))
  if (mode !== 0o600) await disk.chmod(aside, mode)
  await disk.sync(aside)
  await disk.rename(aside, path)
  await disk.sync(parentPath(path))
}

const maxEnrolledBytes = 1 << 20
const maxReleaseBytes = 1 << 20
export const repairHint = 'the state is damaged: enroll the channel again with --force'

/** Empty where nothing has been enrolled. */
export async function readEnrolled(disk: DiskReader): Promise<readonly Enrolled[]> {
  const bytes = await readStateFile(disk, statePaths.enrolled, maxEnrolledBytes)
  return bytes === undefined ? [] : naming(statePaths.enrolled, () => decodeEnrolled(bytes))
}

export async function writeEnrolled(disk: Disk, enrolled: readonly Enrolled[]): Promise<void> {
  await writeStateFile(disk, statePaths.enrolled, encodeEnrolled(enrolled), 0o644)
}

/** Which release of the channel is installed; `not-enrolled` where nothing says so. */
export async function readReleaseState(disk: DiskReader, channel: Channel): Promise<ReleaseState> {
  const path = channelFile(channel, channelFiles.release)
  const bytes = await readStateFile(disk, path, maxReleaseBytes)
  if (bytes === undefined) throw new BinderyError('not-enrolled', 'is not enrolled', { subject: `${channel.product}/${channel.arch}` })
  return naming(path, () => decodeReleaseState(bytes))
}

/** Gives a decoder's error the file's name and says how to get out of it. */
export function naming<T>(path: RelPath, decode: () => T): T {
  try {
    return decode()
  } catch (error) {
    if (!(error instanceof BinderyError)) throw error
    throw new BinderyError(error.code, error.message, { subject: path, hint: error.hint ?? repairHint, cause: error })
  }
}

/** What a run that was killed, or failed, wrote aside and did not give its name. */
export async function removeHalfWritten(disk: Disk): Promise<void> {
  for (const folder of [stateFolder, statePaths.steps]) {
    if ((await disk.lstat(folder)) === undefined) continue
    for (const name of await disk.readdir(folder)) if (name.endsWith('.new')) await disk.unlink(joinPath(folder, name))
  }
}

/** A folder of the state of files only, with all of them. */
export async function removeStateFolder(disk: Disk, folder: RelPath): Promise<void> {
  if ((await disk.lstat(folder)) === undefined) return
  for (const name of await disk.readdir(folder)) await disk.unlink(joinPath(folder, name))
  await disk.rmdir(folder)
}
