import { joinPath, pathFromText } from '../../../base/path.ts'
import { BinderyError } from '../../../base/error.ts'
import { readStateFile, removeStateFolder, statePaths, writeStateFile } from '../state.ts'
import { storeName } from '../../repo/role-files.ts'
import type { RelPath } from '../../../base/path.ts'
import type { Enrolled } from '../../../format/enrolled.ts'
import type { Disk, DiskReader } from '../../../port/disk.ts'
import type { TrustStore } from '../../repo/trust-types.ts'

/** Larger than any metadata that the trust workflow accepts. */
const maxTrustBytes = 64 << 20

/** `trust/<repository>/`: the metadata as it was served. */
export function diskTrustStore(disk: Disk, repository: string): TrustStore {
  const folder = joinPath(statePaths.trust, repository)
  return {
    load: async (file) => await readStateFile(disk, trustFile(repository, file), maxTrustBytes),
    save: async (file, bytes) => {
      await makeFolder(disk, folder)
      await writeStateFile(disk, trustFile(repository, file), bytes, 0o644)
    },
    remove: async (file) => {
      const path = trustFile(repository, file)
      if ((await disk.lstat(path)) === undefined) return
      await disk.unlink(path)
      // What replaces it may otherwise be there after a power cut, and this, too.
      await disk.sync(folder)
    },
  }
}

/** Trust in a repository that no channel follows any more. */
export async function sweepTrust(disk: Disk, enrolled: readonly Enrolled[]): Promise<void> {
  const used = new Set(enrolled.map(({ repository }) => repository))
  for (const name of await disk.readdir(statePaths.trust))
    if (!used.has(name)) await removeStateFolder(disk, joinPath(statePaths.trust, name))
}

/** Nothing in a folder is durable before its own name is. */
async function makeFolder(disk: Disk, folder: RelPath): Promise<void> {
  if ((await disk.lstat(folder)) !== undefined) return
  await disk.mkdir(folder, 0o755)
  await disk.sync(statePaths.trust)
}

export function trustFile(repository: string, file: string): RelPath {
  const name = pathFromText(file)
  if (name === undefined || name === '.' || name.includes('/'))
    throw new BinderyError('hostile', `'${file}' is no name for a metadata file`)
  return joinPath(joinPath(statePaths.trust, repository), name)
}

/** Keeps nothing: what `below` holds, changed only for the life of this process. */
export function passingTrustStore(
  below: Pick<TrustStore, 'load'>,
): TrustStore & { readonly changed: ReadonlyMap<string, Uint8Array | undefined> } {
  const changed = new Map<string, Uint8Array | undefined>()
  return {
    changed,
    load: async (file) => (changed.has(file) ? changed.get(file) : await below.load(file)),
    save: async (file, bytes) => void changed.set(file, bytes),
    remove: async (file) => void changed.set(file, undefined),
  }
}

/**
 * What one mirror brings is kept once all of it is there, and with what comes later at once. A mirror in the middle of its sync has a newer
 * timestamp than it can stand for: kept alone, it would make a rollback of what every other mirror has (doc/decisions/0218). A root stands
 * for itself: keys that it takes away must not come back with the next mirror.
 */
export function pendingTrustStore(below: TrustStore): TrustStore & { complete(): Promise<void> } {
  const pending = new Map<string, Uint8Array | undefined>()
  let isComplete = false
  const write = async (file: string, bytes: Uint8Array | undefined): Promise<void> =>
    await (bytes === undefined ? below.remove(file) : below.save(file, bytes))
  const writePending = async (): Promise<void> => {
    for (const [file, bytes] of pending) await write(file, bytes)
    pending.clear()
  }
  const change = async (file: string, bytes: Uint8Array | undefined): Promise<void> => {
    if (isComplete) return await write(file, bytes)
    pending.set(file, bytes)
    if (file === storeName('root')) await writePending()
  }
  return {
    load: async (file) => (pending.has(file) ? pending.get(file) : await below.load(file)),
    save: change,
    remove: async (file) => await change(file, undefined),
    complete: async () => {
      await writePending()
      isComplete = true
    },
  }
}

/** A store that is empty at first. */
export const emptyTrustStore: Pick<TrustStore, 'load'> = { load: async () => undefined }

/** For those who may only read. */
export function readingTrustStore(disk: DiskReader, repository: string): TrustStore {
  return passingTrustStore({ load: async (file) => await readStateFile(disk, trustFile(repository, file), maxTrustBytes) })
}
