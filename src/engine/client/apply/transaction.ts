import { BinderyError, failureIn, isBinderyError } from '../../../base/error.ts'
import { showPath } from '../../../base/path.ts'
import { stageFolder } from './area.ts'
import { makeAreas, sweepAreas, syncAreas } from './area-folders.ts'
import { lstatDeep } from './aside.ts'
import { carryOut } from './commit.ts'
import { inodeKey } from './links.ts'
import { expiredReceipts, listNumbers, listReceipts, readReceiptHeads, receiptPath, writeJournal } from './receipts.ts'
import { separated } from './separate.ts'
import { checkFileSystems, checkOwnership } from './space.ts'
import { fillStage, saveOld } from './stage.ts'
import { listSteps, logPath, removeSteps, writeSteps } from './steps.ts'
import { joinTwins, separateTwins } from './twins.ts'
import { removeHalfWritten, statePaths, stateFolder } from '../state.ts'
import type { RelPath } from '../../../base/path.ts'
import type { Journal, Kept } from '../../../format/journal.ts'
import type { Disk, Stat } from '../../../port/disk.ts'
import type { RecoveryProgram } from '../../../port/recovery-program.ts'
import type { Plan } from './plan.ts'
import type { Receipt } from './receipts.ts'
import type { StageOptions } from './stage.ts'

export type RunOptions = StageOptions & {
  /** How many installs can be taken back. */
  readonly keepReleases: number
  readonly recovery: RecoveryProgram
}

/** What was done, and every local change that was respected on the way. */
export type Done = {
  readonly receipt: Receipt
  readonly kept: readonly Kept[]
  /** Why what is needed no more could not be removed; the next run tries again. */
  readonly unswept?: BinderyError | undefined
  /** Why it is not sure that a power cut finds it done: then what is needed no more stays, too. */
  readonly unsynced?: BinderyError | undefined
}

/**
 * Carries a plan out. Until the journal is written nothing live changes, and any failure or stop takes everything back;
 * from then on the plan is finished, whatever the signal says: what is left is a second's renames.
 */
export async function runPlan(disk: Disk, plan: Plan, options: RunOptions): Promise<Done> {
  await checkFileSystems(disk, plan)
  try {
    await prepare(disk, plan, options)
  } catch (error) {
    await takeBack(disk)
    if (options.signal?.aborted !== true || isBinderyError(error, 'stopped')) throw error
    throw new BinderyError('stopped', 'stopped; nothing was changed', { cause: error })
  }
  return await finish(disk, plan.journal, options)
}

/** Stage, save, sync, look again, journal. */
async function prepare(disk: Disk, planned: Plan, options: RunOptions): Promise<void> {
  const plan = await separated(disk, planned)
  await makeAreas(disk, plan.journal)
  await checkOwnershipOf(disk, plan)
  await fillStage(disk, plan, options)
  await checkUnchanged(disk, plan)
  await saveOld(disk, plan.journal)
  await syncAreas(disk, plan.journal)
  await checkUnchanged(disk, plan)
  options.signal?.throwIfAborted()
  await writeJournal(disk, plan.journal, options.recovery)
}

async function checkOwnershipOf(disk: Disk, plan: Plan): Promise<void> {
  const { privileged } = await disk.capabilities()
  const own = (await disk.lstat(stageFolder(stateFolder, plan.journal.transaction))) as Stat
  checkOwnership(plan, { privileged, uid: own.uid, gid: own.gid })
}

/** What somebody changed since the plan was made could be lost: the next run plans anew. */
async function checkUnchanged(disk: Disk, { journal, seen, stage }: Plan): Promise<void> {
  const donors = stage.flatMap(({ source }) => (source.kind === 'link' && seen.has(source.from) ? [source.from] : []))
  for (const path of [...journal.actions.map((action) => action.path), ...donors]) {
    if (isSameStat(seen.get(path), await lstatDeep(disk, path))) continue
    throw new BinderyError('conflict', 'was changed while the update was being prepared', {
      subject: `/${showPath(path)}`,
      hint: 'run it again; nothing was changed',
    })
  }
}

/** Names in a folder may come and go; one that is to go is only removed when it is empty. */
function isSameStat(before: Stat | undefined, now: Stat | undefined): boolean {
  if (before === undefined || now === undefined) return before === now
  if (inodeKey(before) !== inodeKey(now) || before.kind !== now.kind) return false
  if (now.kind === 'dir') return true
  return before.size === now.size && before.mtime.sec === now.mtime.sec && before.mtime.nsec === now.mtime.nsec
}

/**
 * After a failure before the commit. A journal that got its name without having become durable goes first: while it is
 * there, what it refers to must stay. Failing here must not hide why we are here; the next run sweeps the rests.
 */
async function takeBack(disk: Disk): Promise<void> {
  try {
    await removeHalfWritten(disk)
    if ((await disk.lstat(statePaths.journal)) !== undefined) {
      await disk.unlink(statePaths.journal)
      await disk.sync(stateFolder)
    }
    await sweepAreas(disk, new Set(await listReceipts(disk)))
  } catch (error) {
    if (!(error instanceof BinderyError)) throw error
  }
}

/**
 * From a journal on the disk to a receipt, or to nothing when it goes backward. Done again after a crash at any point,
 * it comes to the same end.
 */
export async function finish(disk: Disk, journal: Journal, options: Pick<RunOptions, 'keepReleases'>): Promise<Done> {
  const kept = await carriedOut(disk, journal)
  // To recover would find nothing, but for a power cut that brings the journal back.
  const unsynced = await failureIn(async () => await syncSettled(disk, journal))
  if (unsynced !== undefined) return { receipt: journal, kept, unsynced }
  return { receipt: journal, kept, unswept: await tryToExpire(disk, options.keepReleases) }
}

async function carriedOut(disk: Disk, journal: Journal): Promise<readonly Kept[]> {
  try {
    if (journal.direction === 'backward') await joinTwins(disk, journal)
    const kept = [...journal.kept, ...(await carryOut(disk, journal))]
    if (journal.direction === 'forward') await separateTwins(disk, journal)
    await settle(disk, journal, kept)
    return kept
  } catch (error) {
    throw interrupted(error)
  }
}

function interrupted(error: unknown): unknown {
  if (!(error instanceof BinderyError)) return error
  return new BinderyError('interrupted', `stopped in the middle: ${error.message}`, {
    subject: error.subject === undefined || error.subject.startsWith('/') ? error.subject : `/${error.subject}`,
    hint: "'bindery recover' goes on when the cause is gone, 'bindery recover --undo' goes back",
    cause: error,
  })
}

/** The journal becomes the receipt by one rename: the moment at which the plan is done, but for its steps. */
async function settle(disk: Disk, journal: Journal, kept: readonly Kept[]): Promise<void> {
  if (journal.direction === 'forward') {
    await writeSteps(disk, { ...journal, kept })
    await disk.rename(statePaths.journal, receiptPath(journal.transaction))
  } else {
    await removeSteps(disk, journal.transaction)
    await disk.unlink(statePaths.journal)
  }
}

async function syncSettled(disk: Disk, { direction }: Journal): Promise<void> {
  if (direction === 'forward') await disk.sync(statePaths.receipt)
  await disk.sync(stateFolder)
}

/** What was done is done: that old things are left is told, and no failure of it. */
export async function tryToExpire(disk: Disk, keepReleases: number): Promise<BinderyError | undefined> {
  return await failureIn(async () => await expire(disk, keepReleases))
}

/** Drops receipts that are old or undone, and then every store, stage and area that nothing refers to. */
export async function expire(disk: Disk, keepReleases: number): Promise<void> {
  const heads = await readReceiptHeads(disk)
  // A step that is still to be run may want the install taken back.
  const keep = (await listSteps(disk)).length > 0 ? Math.max(keepReleases, 1) : keepReleases
  await removeReceipts(disk, [...heads.flatMap(({ undoes }) => undoes), ...expiredReceipts(heads, keep)])
  await expireLogs(disk, keepReleases)
  const isRollback = new Set(heads.filter(({ purpose }) => purpose === 'rollback').map(({ transaction }) => transaction))
  const needed = (await listReceipts(disk)).filter((transaction) => !isRollback.has(transaction))
  await sweepAreas(disk, new Set(needed))
}

/** As many as there are releases to go back to, and at least that of the newest transaction. */
async function expireLogs(disk: Disk, keepReleases: number): Promise<void> {
  const logs = await listNumbers(disk, statePaths.log)
  for (const transaction of logs.slice(0, -Math.max(keepReleases, 1))) await disk.unlink(logPath(transaction))
}

/** For good, before the stage goes, without which nobody would look for one that a power cut brought back. */
async function removeReceipts(disk: Disk, transactions: readonly number[]): Promise<void> {
  const there: RelPath[] = []
  for (const transaction of transactions) {
    await removeSteps(disk, transaction)
    const path = receiptPath(transaction)
    if ((await disk.lstat(path)) !== undefined) there.push(path)
  }
  for (const path of there) await disk.unlink(path)
  if (there.length > 0) await disk.sync(statePaths.receipt)
}
