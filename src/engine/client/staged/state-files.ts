import { isWithin } from '../../../base/path.ts'
import { isOwnState } from '../../tree/scan.ts'
import { stateFolder, statePaths } from '../state.ts'
import type { RelPath } from '../../../base/path.ts'

/**
 * What of bindery's own state goes along into a new tree: all that says what is installed and how to go back. Its files are replaced
 * and never written into, so that another name of them does no harm; what is written into, or belongs to one run, stays.
 */
export function isCarried(path: RelPath): boolean {
  if (!isOwnState(path)) return true
  if (folders.has(path)) return true
  if (!isWithin(path, stateFolder) || path.endsWith('.new') || left.has(path)) return false
  if (isWithin(path, statePaths.cache)) return complete.test(path)
  return ![statePaths.lock, statePaths.stage, recovering].some((folder) => isWithin(path, folder)) && !path.startsWith(`${recovering}.`)
}

const recovering = `${stateFolder}/recovering` as RelPath

/** Made anew where they are missing, but with another mode than they may have been given. */
const folders: ReadonlySet<RelPath> = new Set([statePaths.lock, statePaths.stage, statePaths.cache])

/** `tree` is the new tree's own; a journal is of the tree that it is in. */
const left: ReadonlySet<RelPath> = new Set([
  statePaths.journal,
  statePaths.commitHooks,
  statePaths.tree,
  statePaths.next,
  statePaths.nextRoot,
])

/** Downloads that are whole: a part is written on. */
const complete = /\/cache\/[0-9a-f]{64}$/

/** Where only bindery writes. */
export function isStateFile(path: RelPath): boolean {
  return isWithin(path, stateFolder)
}
