import { expire, finish, tryToExpire } from './transaction.ts'
import { readJournal, readSteps, writeJournal } from './receipts.ts'
import { stateFolder, statePaths } from '../state.ts'
import type { RelPath } from '../../../base/path.ts'
import type { Disk } from '../../../port/disk.ts'
import type { Receipt } from './receipts.ts'
import type { Done } from './transaction.ts'

/** What there was to recover. */
export type Recovered =
  | { readonly kind: 'nothing' }
  /**
   * Undone: the tree is what it was before the interrupted run. An install of which only the post-steps are left is finished
   * already, and cannot be undone any more.
   */
  | ({ readonly kind: 'finished' | 'undone' } & Done)

export type RecoverOptions = {
  /** Go back instead of on; one that goes back already goes on going back. */
  readonly undo: boolean
  readonly keepReleases: number
}

/**
 * Finishes what a killed run left, or takes it back. Everything that is needed lies on the disk: no network, no keys.
 * Without a journal nothing live was changed, and what was being prepared is swept away.
 */
export async function recover(disk: Disk, { undo, keepReleases }: RecoverOptions): Promise<Recovered> {
  if ((await disk.lstat(stateFolder)) === undefined) return { kind: 'nothing' }
  const journal = await readJournal(disk)
  await removeAside(disk)
  if (journal === undefined) {
    const receipt = await readSteps(disk)
    if (receipt !== undefined) return { kind: 'finished', receipt, kept: receipt.kept, unswept: await tryToExpire(disk, keepReleases) }
    await expire(disk, keepReleases)
    return { kind: 'nothing' }
  }
  const turned = undo && journal.direction === 'forward'
  const current: Receipt = turned ? { ...journal, direction: 'backward' } : journal
  if (turned) await writeJournal(disk, current)
  const done = await finish(disk, current, { keepReleases })
  return { kind: current.direction === 'forward' ? 'finished' : 'undone', ...done }
}

/** What did not get its name. */
async function removeAside(disk: Disk): Promise<void> {
  for (const path of [statePaths.journal, statePaths.steps]) {
    const aside = `${path}.new` as RelPath
    if ((await disk.lstat(aside)) !== undefined) await disk.unlink(aside)
  }
}
