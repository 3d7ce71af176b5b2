import { collectBytes, emptyBytes, equalBytes } from '../../../base/bytes.ts'
import { BinderyError } from '../../../base/error.ts'
import { joinPath } from '../../../base/path.ts'
import { decodeJournal, decodeJournalHead, encodeJournal, maxJournalBytes } from '../../../format/journal.ts'
import { inodeKey } from './links.ts'
import { readStateFile, statePaths, writeStateFile } from '../state.ts'
import { noteStateVersion } from '../state-version.ts'
import type { RelPath } from '../../../base/path.ts'
import type { Journal } from '../../../format/journal.ts'
import type { Disk, DiskReader } from '../../../port/disk.ts'
import type { RecoveryProgram } from '../../../port/recovery-program.ts'

/** The journal while a plan is carried out, and what becomes of it: `receipt/N`, the same text, when it is done. */

export type Receipt = Journal

const listWidth = 1 << 16

/**
 * Undefined where no plan was interrupted. A power cut may bring back the name of a journal that has become a receipt: some file systems
 * make the new name durable, and not yet that the old one is gone. All was done then.
 */
export async function readJournal(disk: DiskReader): Promise<Journal | undefined> {
  const way = "put it back from a backup, or remove it and run 'bindery audit --repair'"
  const journal = await readJournalAt(disk, statePaths.journal, way)
  if (journal === undefined) return undefined
  const [name, receipt] = [await disk.lstat(statePaths.journal), await disk.lstat(receiptPath(journal.transaction))]
  return name !== undefined && receipt !== undefined && inodeKey(name) === inodeKey(receipt) ? undefined : journal
}

/** The moment from which there is something to recover; what does that without us lies ready before. */
export async function writeJournal(disk: Disk, journal: Journal, recovery: RecoveryProgram): Promise<void> {
  await noteStateVersion(disk)
  await layRecovery(disk, await recovery())
  await writeStateFile(disk, statePaths.journal, encodeJournal(journal))
}

const maxProgramBytes = 1 << 22

async function layRecovery(disk: Disk, program: Uint8Array): Promise<void> {
  const stat = await disk.lstat(statePaths.recover)
  if (stat?.kind === 'file' && stat.mode === programMode && stat.size === program.length) {
    const laid = await readStateFile(disk, statePaths.recover, maxProgramBytes)
    if (laid !== undefined && equalBytes(laid, program)) return
  }
  await writeStateFile(disk, statePaths.recover, program, programMode)
}

const programMode = 0o700

/** `way`: out of it, when it is damaged. */
export async function readJournalAt(disk: DiskReader, path: RelPath, way: string): Promise<Journal | undefined> {
  const bytes = await readStateFile(disk, path, maxJournalBytes)
  if (bytes === undefined) return undefined
  try {
    return decodeJournal(bytes)
  } catch (error) {
    if (!(error instanceof BinderyError)) throw error
    throw new BinderyError(error.code, error.message, {
      subject: `/${path}`,
      cause: error,
      hint: error.code === 'bad-format' ? `damaged after it was written: ${way}` : error.hint,
    })
  }
}

/** Numbers of all receipts, oldest first. */
export async function listReceipts(disk: DiskReader): Promise<readonly number[]> {
  return await listNumbers(disk, statePaths.receipt)
}

/** The names in a folder of the state that are numbers of transactions, in their order. */
export async function listNumbers(disk: DiskReader, folder: RelPath): Promise<readonly number[]> {
  if ((await disk.lstat(folder)) === undefined) return []
  const names = await disk.readdir(folder)
  if (names.length > listWidth) throw new BinderyError('over-limit', 'has too many files', { subject: folder })
  return names
    .filter((name) => /^[1-9][0-9]{0,14}$/.test(name))
    .map(Number)
    .sort((a, b) => a - b)
}

export async function readReceipt(disk: DiskReader, transaction: number): Promise<Receipt> {
  const way = 'put it back from a backup; without it this install cannot be rolled back, and only newer ones can'
  const receipt = await readJournalAt(disk, receiptPath(transaction), way)
  if (receipt === undefined) throw new BinderyError('not-found', 'is not there', { subject: `/${receiptPath(transaction)}` })
  return receipt
}

/** What a receipt is about, without its actions. */
export type ReceiptHead = Pick<Receipt, 'transaction' | 'purpose' | 'time' | 'releases' | 'undoes'>

const headBytes = 1 << 16

/** Oldest first. Only the first lines are read; a damaged receipt is left out, and so is one that a rollback has undone. */
export async function readReceiptHeads(disk: DiskReader): Promise<readonly ReceiptHead[]> {
  const heads: ReceiptHead[] = []
  for (const transaction of await listReceipts(disk)) {
    const bytes = (await collectBytes(disk.read(receiptPath(transaction), { end: headBytes }), headBytes)) ?? emptyBytes
    const head = decodeJournalHead(bytes)
    if (head?.transaction === transaction) heads.push(head)
  }
  const undone = new Set(heads.flatMap(({ undoes }) => undoes))
  return heads.filter(({ transaction }) => !undone.has(transaction))
}

export function receiptPath(transaction: number): RelPath {
  return joinPath(statePaths.receipt, String(transaction))
}

/** One more than the newest that was ever kept. */
export async function nextTransaction(disk: DiskReader): Promise<number> {
  return Math.max(0, ...(await listReceipts(disk))) + 1
}

type Step = Pick<Receipt, 'releases'>

/** Installs as people count them, newest first: a release that came in phases is one. */
export function stepsAmong<T extends Step>(newestFirst: readonly T[]): readonly (readonly T[])[] {
  const steps: T[][] = []
  for (const one of newestFirst) {
    const last = steps.at(-1)
    if (last?.some((newer) => isSameRelease(newer, one)) === true) last.push(one)
    else steps.push([one])
  }
  return steps
}

function isSameRelease({ releases }: Step, { releases: others }: Step): boolean {
  return releases.some((one) => others.some(({ role, old, new: next }) => role === one.role && old === one.old && next === one.new))
}

/**
 * Receipts that nobody can ask for any more: those before the `keep` newest installs. A rollback leaves a receipt that
 * only tells of it.
 */
export function expiredReceipts(
  receipts: readonly Pick<Receipt, 'transaction' | 'purpose' | 'releases'>[],
  keep: number,
): readonly number[] {
  const installs = stepsAmong(receipts.filter(({ purpose }) => purpose === 'install').toReversed())
  const oldest = keep === 0 ? Infinity : installs[keep - 1]?.at(-1)?.transaction
  const limit = oldest ?? installs.at(-1)?.at(-1)?.transaction ?? receipts.at(-keep)?.transaction ?? 0
  return receipts.map(({ transaction }) => transaction).filter((transaction) => transaction < limit)
}
