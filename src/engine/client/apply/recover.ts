import { expire, finish, tryToExpire } from './transaction.ts'
import { readJournal, writeJournal } from './receipts.ts'
import { listSteps } from './steps.ts'
import { removeHalfWritten, stateFolder, statePaths } from '../state.ts'
import type { Disk } from '../../../port/disk.ts'
import type { RecoveryProgram } from '../../../port/recovery-program.ts'
import type { Receipt } from './receipts.ts'
import type { Done } from './transaction.ts'

/** What there was to recover. */
export type Recovered =
  | { readonly kind: 'nothing' }
  /** Undone: the tree is what it was before the interrupted run. */
  | ({ readonly kind: 'finished' | 'undone' } & Done)

export type RecoverOptions = {
  /** Go back instead of on; one that goes back already goes on going back. */
  readonly undo: boolean
  readonly keepReleases: number
  readonly recovery: RecoveryProgram
}

/**
 * Finishes what a killed run left, or takes it back. Everything that is needed lies on the disk: no network, no keys.
 * Without a journal nothing live was changed, and what was being prepared is swept away.
 */
export async function recover(disk: Disk, { undo, keepReleases, recovery }: RecoverOptions): Promise<Recovered> {
  const journal = await readJournal(disk)
  await removeHalfWritten(disk)
  if (journal === undefined) {
    await forgetSettled(disk)
    // What cannot be removed must not keep the steps that are left from being run; the next run tells it.
    if ((await listSteps(disk)).length > 0) await tryToExpire(disk, keepReleases)
    else await expire(disk, keepReleases)
    return { kind: 'nothing' }
  }
  const turned = undo && journal.direction === 'forward'
  const current: Receipt = turned ? { ...journal, direction: 'backward' } : journal
  if (turned) await writeJournal(disk, current, recovery)
  const done = await finish(disk, current, { keepReleases })
  return { kind: current.direction === 'forward' ? 'finished' : 'undone', ...done }
}

/** The name that a receipt had as a journal; see `readJournal`. */
async function forgetSettled(disk: Disk): Promise<void> {
  if ((await disk.lstat(statePaths.journal)) === undefined) return
  await disk.unlink(statePaths.journal)
  await disk.sync(stateFolder)
}
