import { oneChunk } from '../../base/bytes.ts'
import { BinderyError } from '../../base/error.ts'
import { metaFile, tufKeyId } from '../../format/tuf.ts'
import { expiryAfter, signedFile } from './commit.ts'
import { requireSigners } from './keyring.ts'
import { metadataKey, timestampKey } from './layout.ts'
import { signMetadata } from './keys.ts'
import type { Root, RoleKeys, Snapshot, Targets, Timestamp, TufKey } from '../../format/tuf.ts'
import type { Clock } from '../../port/ambient.ts'
import type { Store } from '../../port/store.ts'
import type { Lifetimes } from './commit.ts'
import type { Keyring } from './keyring.ts'

/** The key files of a new repository: one for each top role, and one for all channels until they get their own. */
export const initialKeys = ['root', 'targets', 'channels', 'snapshot', 'timestamp'] as const

export type InitInput = {
  readonly store: Store
  /** Holds the keys named `initialKeys`, with their public halves. */
  readonly keyring: Keyring
  readonly clock: Clock
  readonly lifetimes: Lifetimes
}

/** An empty repository, timestamp.json last. `exists` where there is one, or a part of one, already. */
export async function initRepository(input: InitInput): Promise<void> {
  await refuseExisting(input.store)
  const expires = expiryAfter(input.clock, input.lifetimes.role)
  const root = firstRoot(input, expires)
  const targets = firstTargets(input, expires)
  const sign = async (role: string, keys: RoleKeys, value: Root | Targets): Promise<Uint8Array> =>
    signedFile(role, value, await requireSigners(input.keyring, role, keys)).file
  const files = { root: await sign('root', root.roles.root, root), targets: await sign('targets', root.roles.targets, targets) }
  await putFirst(input, files, root, targets)
}

/** Makes snapshot and timestamp for the two that are signed, and writes all of it. */
export async function putFirst(
  input: InitInput,
  files: { readonly root: Uint8Array; readonly targets: Uint8Array },
  root: Root,
  targets: Targets,
): Promise<void> {
  const { store, keyring } = input
  const meta = new Map([['targets', metaFile(targets.version, files.targets)]])
  const snapshot: Snapshot = { kind: 'snapshot', version: 1, expires: expiryAfter(input.clock, input.lifetimes.role), meta }
  const snapshotFile = signMetadata(snapshot, await requireSigners(keyring, 'snapshot', root.roles.snapshot))
  const timestamp = firstTimestamp(input, snapshotFile)
  const timestampFile = signMetadata(timestamp, await requireSigners(keyring, 'timestamp', root.roles.timestamp))
  await store.put(metadataKey('root', 1), oneChunk(files.root))
  await store.put(metadataKey('targets', 1), oneChunk(files.targets))
  await store.put(metadataKey('snapshot', 1), oneChunk(snapshotFile))
  await store.put(timestampKey, oneChunk(timestampFile))
}

/** Also for a caller that makes the keys first. */
export async function refuseExisting(store: Store): Promise<void> {
  const [first] = await store.list('metadata/')
  if (first !== undefined) throw new BinderyError('exists', 'there is a repository already', { subject: first })
}

function firstRoot({ keyring }: InitInput, expires: number): Root {
  const names = ['root', 'targets', 'snapshot', 'timestamp'] as const
  const keys = names.map((name) => keyNamed(keyring, name))
  const only = (index: number): RoleKeys => ({ keyIds: [tufKeyId(keys[index] as TufKey)], threshold: 1 })
  return {
    kind: 'root',
    version: 1,
    expires,
    consistentSnapshot: true,
    keys: new Map(keys.map((key) => [tufKeyId(key), key])),
    roles: { root: only(0), targets: only(1), snapshot: only(2), timestamp: only(3) },
  }
}

/** The channels' key is listed without a role: the first channel that is published delegates to it (publish.ts). */
export function firstTargets({ keyring }: Pick<InitInput, 'keyring'>, expires: number): Targets {
  const key = keyNamed(keyring, 'channels')
  return { kind: 'targets', version: 1, expires, targets: new Map(), delegations: { keys: new Map([[tufKeyId(key), key]]), roles: [] } }
}

function firstTimestamp({ clock, lifetimes }: InitInput, snapshot: Uint8Array): Timestamp {
  const issued = Math.floor(clock.now() / 1000) * 1000
  return { kind: 'timestamp', version: 1, expires: expiryAfter(clock, lifetimes.timestamp), snapshot: metaFile(1, snapshot), issued }
}

export function keyNamed(keyring: Keyring, name: string): TufKey {
  const key = keyring.publicKey(name)
  if (key === undefined) throw new BinderyError('not-found', 'is missing', { subject: `${name}.pub` })
  return key
}
