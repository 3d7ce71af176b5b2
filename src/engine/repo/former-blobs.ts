import { BinderyError } from '../../base/error.ts'
import { decodeSnapshot, decodeTargets } from '../../format/tuf.ts'
import { blobKey, metadataKey } from './layout.ts'
import { digestOf } from './blob.ts'
import type { Snapshot, TargetFile } from '../../format/tuf.ts'
import type { Store } from '../../port/store.ts'

/** Where the targets of a role lie. */
export function targetKeys(targets: ReadonlyMap<string, TargetFile>): readonly string[] {
  return [...targets].map(([path, file]) => blobKey(path, digestOf(path, file)))
}

/** What readers who began with the snapshot before this one still ask for. Nobody reads below what is damaged or missing. */
export async function formerBlobs(store: Store, { version }: Snapshot): Promise<readonly string[]> {
  const former = await read(store, metadataKey('snapshot', version - 1), decodeSnapshot)
  const keys: string[] = []
  for (const [role, named] of former?.meta ?? []) {
    const found = await read(store, metadataKey(role, named.version), (file) => ({ value: targetKeys(decodeTargets(file).value.targets) }))
    keys.push(...(found ?? []))
  }
  return keys
}

async function read<T>(store: Store, key: string, decode: (file: Uint8Array) => { readonly value: T }): Promise<T | undefined> {
  const file = await store.get(key)
  try {
    return file === undefined ? undefined : decode(file).value
  } catch (error) {
    if (error instanceof BinderyError) return undefined
    throw error
  }
}
