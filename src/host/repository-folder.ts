import { mkdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { BinderyError } from '../base/error.ts'
import { folderStore, sweepFolder } from './folder-store.ts'
import { hostLocker } from './lock.ts'
import { systemError } from './system-error.ts'
import type { Store } from '../port/store.ts'

/** For verbs that only read; readers need no lock, since every object is put as a whole and metadata last. */
export async function openRepositoryFolder(folder: string): Promise<Store> {
  const status = await stat(folder).catch((cause: unknown) => Promise.reject(systemError(cause, folder)))
  if (!status.isDirectory()) throw new BinderyError('wrong-type', 'is no folder', { subject: folder })
  return folderStore(folder)
}

/** For verbs that write: alone (`locked` otherwise), and with the leavings of a killed one swept away. */
export async function writeRepositoryFolder<T>(folder: string, verb: string, work: (store: Store) => Promise<T>): Promise<T> {
  await openRepositoryFolder(folder)
  // Its own folder, hidden: neither a key of the store nor served.
  const locks = join(folder, '.lock')
  await mkdir(locks, { recursive: true, mode: 0o700 }).catch((cause: unknown) => Promise.reject(systemError(cause, locks)))
  const lock = await hostLocker(locks).take(verb)
  try {
    await sweepFolder(folder)
    return await work(folderStore(folder))
  } finally {
    await lock.release()
  }
}
