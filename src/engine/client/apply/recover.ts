import { expire, finish } from './transaction.ts'
import { readJournal, writeJournal } from './receipts.ts'
import { stateFolder, statePaths } from '../state.ts'
import type { Kept } from '../../../format/journal.ts'
import type { RelPath } from '../../../base/path.ts'
import type { Disk } from '../../../port/disk.ts'
import type { Receipt } from './receipts.ts'

/** What there was to recover. */
export type Recovered =
  | { readonly kind: 'nothing' }
  /** Undone: the tree is what it was before the interrupted run. */
  | { readonly kind: 'finished' | 'undone'; readonly receipt: Receipt; readonly kept: readonly Kept[] }

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
    await expire(disk, keepReleases)
    return { kind: 'nothing' }
  }
  const turned = undo && journal.direction === 'forward'
  const current: Receipt = turned ? { ...journal, direction: 'backward' } : journal
  if (turned) await writeJournal(disk, current)
  const done = await finish(disk, current, { keepReleases })
  return { kind: current.direction === 'forward' ? 'finished' : 'undone', ...done }
}

/** A journal that did not get its name. */
async function removeAside(disk: Disk): Promise<void> {
  const aside = `${statePaths.journal}.new` as RelPath
  if ((await disk.lstat(aside)) !== undefined) await disk.unlink(aside)
}
