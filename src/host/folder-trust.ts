import { mkdir, readFile, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { oneChunk } from '../base/bytes.ts'
import { BinderyError } from '../base/error.ts'
import { writeFileAtomically } from './source.ts'
import { systemError } from './system-error.ts'

/** Trusted metadata as plain files of a folder, which is made when the first of them is saved (engine/repo/trust.ts, TrustStore). */
export type FolderTrust = {
  load(file: string): Promise<Uint8Array | undefined>
  save(file: string, bytes: Uint8Array): Promise<void>
  remove(file: string): Promise<void>
}

export function folderTrust(folder: string): FolderTrust {
  return {
    load: async (file) => await whereItIs(pathOf(folder, file), async (path) => new Uint8Array(await readFile(path))),
    save: async (file, bytes) => {
      const path = pathOf(folder, file)
      await mkdir(folder, { recursive: true }).catch((error: unknown) => Promise.reject(systemError(error, folder)))
      await writeFileAtomically(path, oneChunk(bytes))
    },
    remove: async (file) => void (await whereItIs(pathOf(folder, file), async (path) => await unlink(path))),
  }
}

/** Role names reach this quoted; whatever still leads elsewhere does not come from us. */
function pathOf(folder: string, file: string): string {
  if (!/^[A-Za-z0-9%_~.-]+$/.test(file) || file === '.' || file === '..')
    throw new BinderyError('hostile', `'${file}' is no name for a metadata file`)
  return join(folder, file)
}

async function whereItIs<T>(path: string, work: (path: string) => Promise<T>): Promise<T | undefined> {
  try {
    return await work(path)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw systemError(error, path)
  }
}
