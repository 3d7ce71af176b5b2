import { BinderyError } from '../../base/error.ts'
import { channelRole, formatChannel } from '../../base/name.ts'
import { listReceipts, readReceiptHeads, receiptPath } from './apply/receipts.ts'
import { sweepAreas } from './apply/area-folders.ts'
import { listSteps, logPath } from './apply/steps.ts'
import { selectChannels } from './fetch/offer.ts'
import { sweepTrust } from './fetch/trust-store.ts'
import { channelFolder, readEnrolled, removeStateFolder, statePaths, stateFolder, writeEnrolled } from './state.ts'
import type { Channel } from '../../base/name.ts'
import type { RelPath } from '../../base/path.ts'
import type { Enrolled } from '../../format/enrolled.ts'
import type { Disk, DiskReader } from '../../port/disk.ts'

/** What goes when a root no longer follows channels. The tree stays as it is. */
export type Leaving = {
  readonly leaving: readonly Enrolled[]
  readonly staying: readonly Enrolled[]
  /** Transactions of the channels that go, and all before them: going back ends there. */
  readonly forgotten: readonly number[]
  /** Installs among them that could have been taken back. */
  readonly installs: number
}

/** Throws `interrupted` while something is half done, `not-enrolled`. No channels: all. */
export async function planUnenroll(disk: DiskReader, channels: readonly Channel[]): Promise<Leaving> {
  await refuseUnfinished(disk)
  const enrolled = await readEnrolled(disk)
  const leaving = selectChannels(enrolled, channels)
  const roles = new Set(leaving.map(({ channel }) => channelRole(channel)))
  const heads = await readReceiptHeads(disk)
  const newest = heads.findLast(({ releases }) => releases.some(({ role }) => roles.has(role)))?.transaction ?? 0
  return {
    leaving,
    staying: enrolled.filter((one) => !leaving.includes(one)),
    forgotten: (await listReceipts(disk)).filter((transaction) => transaction <= newest),
    installs: heads.filter(({ purpose, transaction }) => purpose === 'install' && transaction <= newest).length,
  }
}

async function refuseUnfinished(disk: DiskReader): Promise<void> {
  const hint = "run 'bindery recover' first"
  if ((await disk.lstat(statePaths.journal)) !== undefined)
    throw new BinderyError('interrupted', 'an install was interrupted', { subject: `/${statePaths.journal}`, hint })
  if ((await listSteps(disk)).length > 0)
    throw new BinderyError('conflict', 'steps of an install are left to run', { subject: `/${statePaths.steps}`, hint })
}

/** `enrolled` is written last, so that whoever was interrupted can ask for the same again. */
export async function unenroll(disk: Disk, { leaving, staying, forgotten }: Leaving): Promise<void> {
  // The oldest first: a rollback must not be gone before what it undoes.
  for (const path of forgotten.flatMap((transaction) => [receiptPath(transaction), logPath(transaction)])) await removeIfThere(disk, path)
  await sweepAreas(disk, new Set(await listReceipts(disk)))
  for (const { channel } of leaving) await removeStateFolder(disk, channelFolder(channel))
  await sweepTrust(disk, staying)
  if (staying.length > 0) return await writeEnrolled(disk, staying)
  await removeIfThere(disk, statePaths.recover)
  await removeIfThere(disk, statePaths.version)
  await removeIfThere(disk, statePaths.checksums)
  await removeIfThere(disk, statePaths.enrolled)
  await disk.sync(stateFolder)
}

async function removeIfThere(disk: Disk, path: RelPath): Promise<void> {
  if ((await disk.lstat(path)) !== undefined) await disk.unlink(path)
}

/** For people. */
export function describeLeaving({ leaving, installs }: Leaving): readonly string[] {
  const lost = installs === 0 ? [] : [`${installs === 1 ? 'one install' : `${installs} installs`} can no longer be taken back`]
  return [...leaving.map(({ channel }) => `${formatChannel(channel)}: no longer enrolled`), ...lost]
}
