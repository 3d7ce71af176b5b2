import { readdir } from 'node:fs/promises'
import { isBinderyError } from '../base/error.ts'
import { systemError } from './system-error.ts'

export type FolderEntry = { readonly name: string; isDirectory(): boolean; isFile(): boolean }

/** A folder that is not there has none. */
export async function entriesOf(folder: string): Promise<readonly FolderEntry[]> {
  try {
    return await readdir(folder, { withFileTypes: true })
  } catch (cause) {
    const error = systemError(cause, folder)
    if (isBinderyError(error, 'not-found')) return []
    throw error
  }
}
