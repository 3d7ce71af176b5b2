import { unlink } from 'node:fs/promises'
import { isBinderyError } from '../base/error.ts'
import { systemError } from './system-error.ts'

/** A file that is gone already was somebody else's work, or our own before a kill. */
export async function removeIfThere(file: string): Promise<void> {
  try {
    await unlink(file)
  } catch (cause) {
    const error = systemError(cause, file)
    if (!isBinderyError(error, 'not-found')) throw error
  }
}
