import { relPath } from './plant.ts'
import type { Journal } from '../../src/format/journal.ts'

/** Of an install that does nothing, in the one area of the state folder, but for what is given. */
export function plainJournal(more: Partial<Journal> = {}): Journal {
  return {
    transaction: 1,
    purpose: 'install',
    direction: 'forward',
    time: 1_700_000_000,
    releases: [],
    areas: [relPath('var/db/bindery')],
    undoes: [],
    postSteps: [],
    reboot: [],
    kept: [],
    actions: [],
    ...more,
  }
}
