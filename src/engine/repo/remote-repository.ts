import { BinderyError } from '../../base/error.ts'
import { decodeRoot } from '../../format/tuf.ts'
import { parseMetadataKey } from './layout.ts'
import { fetchFile, startSession } from './refresh-session.ts'
import { loadBelow } from './repository.ts'
import { sourceName, storeName } from './role-files.ts'
import { checkFirstRoot, updateRoot } from './update-root.ts'
import type { Clock } from '../../port/ambient.ts'
import type { Repository } from './repository.ts'
import type { MetadataSource, TrustStore } from './trust-types.ts'

/**
 * A repository as it is served, followed from a root that is trusted. Signatures, versions and digests are checked, dates
 * are not: what has expired is to be told, not refused.
 */
export async function loadRemoteRepository(source: MetadataSource, rootFile: Uint8Array, clock: Clock): Promise<Repository> {
  const files = new Map([[storeName('root'), rootFile]])
  const session = startSession({ store: mapStore(files), source, clock })
  await updateRoot(session, checkFirstRoot(rootFile))
  const file = files.get(storeName('root')) as Uint8Array
  const root = { file, signed: decodeRoot(file) }
  const get = async (key: string): Promise<Uint8Array | undefined> => {
    const name = parseMetadataKey(key)
    const served = name === undefined ? storeName('timestamp') : sourceName(name.role, name.version, root.signed.value.consistentSnapshot)
    const answer = await fetchFile(session, served, session.limits.targets)
    if (answer.kind === 'bytes') return answer.bytes
    throw new BinderyError('not-found', 'is not on the repository', { subject: served })
  }
  return await loadBelow({ get }, root, root)
}

function mapStore(files: Map<string, Uint8Array>): TrustStore {
  return {
    load: async (file) => files.get(file),
    save: async (file, bytes) => void files.set(file, bytes),
    remove: async (file) => void files.delete(file),
  }
}
