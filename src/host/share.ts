import { readFile } from 'node:fs/promises'
import { systemError } from './system-error.ts'

/**
 * Files that bindery ships as they are. This module and the chunks of a build lie at the same depth below what is installed; a
 * verb that reads from here is loaded when it is called, so that it is in a chunk.
 */
export async function readShared(name: string): Promise<string> {
  const file = new URL(`../../share/${name}`, import.meta.url)
  return await readFile(file, 'latin1').catch((cause: unknown) => Promise.reject(systemError(cause, file.pathname)))
}
