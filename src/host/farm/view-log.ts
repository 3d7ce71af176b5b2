import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { systemError } from '../system-error.ts'
import type { FileHandle } from 'node:fs/promises'
import type { LogPart } from '../../port/farm-view.ts'
import type { ViewInput } from './view.ts'

/** Of the newest attempt. Old logs are swept away: then there is none. */
export async function readLog(
  { catalog, folder }: Pick<ViewInput, 'catalog' | 'folder'>,
  build: number,
  { from, limit }: { readonly from: number; readonly limit: number },
): Promise<LogPart | undefined> {
  const attempt = (await catalog.attemptsOf(build)).at(-1)
  const handle = attempt === undefined || attempt.logFile === '' ? undefined : await openIfThere(join(folder, attempt.logFile))
  if (attempt === undefined || handle === undefined) return undefined
  try {
    const { size } = await handle.stat()
    const start = Math.min(from, size)
    const bytes = new Uint8Array(Math.min(limit, size - start))
    const { bytesRead } = bytes.length === 0 ? { bytesRead: 0 } : await handle.read(bytes, 0, bytes.length, start)
    return { bytes: bytes.subarray(0, bytesRead), from: start, size, ended: attempt.ended !== undefined }
  } finally {
    await handle.close()
  }
}

async function openIfThere(file: string): Promise<FileHandle | undefined> {
  try {
    return await open(file, 'r')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw systemError(error, file)
  }
}
