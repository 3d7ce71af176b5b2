import { randomBytes } from 'node:crypto'
import { link, lstat, open, unlink } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { BinderyError, isBinderyError } from '../base/error.ts'
import { syncFolder } from './sync-folder.ts'
import { systemError } from './system-error.ts'

/**
 * Writes a file that must not be there yet: aside, synced, linked to its name, directory synced. Throws `exists`
 * where the name is taken; half a file never has it.
 */
export async function writeNewFile(file: string, bytes: Uint8Array, mode: number): Promise<void> {
  const aside = join(dirname(file), `.${basename(file).slice(0, 200)}.${randomBytes(6).toString('hex')}.part`)
  try {
    await writeSynced(aside, bytes, mode)
    // Unlike rename, link never replaces.
    await link(aside, file)
  } catch (error) {
    throw systemError(error, file)
  } finally {
    await unlink(aside).catch(() => {})
  }
  await syncFolder(dirname(file))
}

async function writeSynced(file: string, bytes: Uint8Array, mode: number): Promise<void> {
  const handle = await open(file, 'wx', mode)
  try {
    await handle.writeFile(bytes)
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** Before work that would be in vain. */
export async function refuseExisting(file: string): Promise<void> {
  const found = await lstat(file).catch((error: unknown) =>
    isBinderyError(systemError(error, file), 'not-found') ? undefined : Promise.reject(systemError(error, file)),
  )
  if (found !== undefined) throw new BinderyError('exists', 'exists already', { subject: file })
}
