import { randomBytes } from 'node:crypto'
import { lstat, mkdir, readdir, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { BinderyError, isBinderyError, toldOf } from '../base/error.ts'
import { syncFolder } from './sync-folder.ts'
import { absolutePath, systemError } from './system-error.ts'

/**
 * Makes a folder that must not be there yet: filled aside by `fill`, renamed to its name, its parent synced. `exists`
 * where the name is taken by anything but an empty folder; half a folder never has it.
 */
export async function writeNewFolder(folder: string, fill: (aside: string) => Promise<void>): Promise<void> {
  const path = absolutePath(folder)
  await refuseTaken(path, folder)
  const aside = join(dirname(path), `.${basename(path).slice(0, 200)}.${randomBytes(6).toString('hex')}.part`)
  try {
    await mkdir(aside)
    await fill(aside)
    await rename(aside, path)
  } catch (error) {
    const told = toldOfFolder(systemError(error, folder), aside, folder)
    // What rename(2) says of a folder that is not empty, or of a file.
    if (!isBinderyError(told, 'wrong-type') || told.subject !== folder) throw told
    throw new BinderyError('exists', 'exists already', { subject: folder, cause: error })
  } finally {
    await rm(aside, { recursive: true, force: true })
  }
  await syncFolder(dirname(path))
}

/** Before work that would be in vain; who comes in between is met by the rename. */
async function refuseTaken(path: string, folder: string): Promise<void> {
  try {
    const isFree = (await lstat(path)).isDirectory() && (await readdir(path)).length === 0
    if (!isFree) throw new BinderyError('exists', 'exists already', { subject: folder })
  } catch (error) {
    const told = systemError(error, folder)
    if (!isBinderyError(told, 'not-found')) throw told
  }
}

/** Nobody knows the name that it had meanwhile. */
function toldOfFolder(error: unknown, aside: string, folder: string): unknown {
  return error instanceof BinderyError && error.subject?.startsWith(aside) === true ? toldOf(error, folder) : error
}
