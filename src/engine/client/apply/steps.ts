import { joinPath } from '../../../base/path.ts'
import { encodeJournal } from '../../../format/journal.ts'
import { listNumbers, readJournalAt, readReceiptHeads } from './receipts.ts'
import { statePaths, writeStateFile } from '../state.ts'
import type { RelPath } from '../../../base/path.ts'
import type { Journal } from '../../../format/journal.ts'
import type { StepToRun } from '../../../format/post-step.ts'
import type { Disk, DiskReader } from '../../../port/disk.ts'

/**
 * `steps/N`: what is left to do of a transaction whose files are in place, its journal without the actions. Whatever has been
 * done is taken out of it, so that a killed run goes on where it was; the file goes with the last of it.
 */
export type Left = Journal

/** Before the journal becomes a receipt, so that what is left to do is never forgotten. */
export async function writeSteps(disk: Disk, journal: Journal): Promise<void> {
  if (hasWork(journal)) await writeStateFile(disk, stepsPath(journal.transaction), encodeJournal({ ...journal, actions: [] }))
}

/** The file as `left` says, or none where nothing is left. */
export async function updateSteps(disk: Disk, left: Left): Promise<void> {
  if (hasWork(left)) await writeSteps(disk, left)
  else await removeSteps(disk, left.transaction)
}

function hasWork({ postSteps, failed = [], reboot }: Left): boolean {
  return postSteps.length > 0 || failed.length > 0 || reboot.length > 0
}

export async function removeSteps(disk: Disk, transaction: number): Promise<void> {
  if ((await disk.lstat(stepsPath(transaction))) === undefined) return
  await disk.unlink(stepsPath(transaction))
  await disk.sync(statePaths.steps)
}

/** Oldest first; not those of transactions that were taken back. */
export async function readLeft(disk: DiskReader): Promise<readonly Left[]> {
  const undone = new Set((await readReceiptHeads(disk)).flatMap(({ undoes }) => undoes))
  const all: Left[] = []
  for (const transaction of await listSteps(disk)) {
    const left = undone.has(transaction) ? undefined : await readJournalAt(disk, stepsPath(transaction), wayOut)
    if (left !== undefined) all.push(left)
  }
  return all
}

const wayOut = 'put it back from a backup, or remove it: what the update says and runs at its end is then not done'

export async function listSteps(disk: DiskReader): Promise<readonly number[]> {
  return await listNumbers(disk, statePaths.steps)
}

/** Those that failed before come first: they were before the others. */
export function stepsToRun({ failed = [], postSteps }: Left): readonly StepToRun[] {
  return [...failed, ...postSteps.filter((step) => step.kind !== 'notice')]
}

/** Without the steps that `isGone` knows; notices stay. */
export function withoutSteps({ failed = [], ...left }: Left, isGone: (step: StepToRun) => boolean): Left {
  const staying = failed.filter((step) => !isGone(step))
  const postSteps = left.postSteps.filter((step) => step.kind === 'notice' || !isGone(step))
  return { ...left, postSteps, ...(staying.length === 0 ? {} : { failed: staying }) }
}

export function stepsPath(transaction: number): RelPath {
  return joinPath(statePaths.steps, String(transaction))
}

export function logPath(transaction: number): RelPath {
  return joinPath(statePaths.log, String(transaction))
}
