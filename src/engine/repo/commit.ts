import { oneChunk } from '../../base/bytes.ts'
import { decodeTargets, metaFile } from '../../format/tuf.ts'
import { requireSigners } from './keyring.ts'
import { signMetadata } from './keys.ts'
import { metadataKey, timestampKey } from './layout.ts'
import { roleKeysOf, topAuthority } from './repository.ts'
import { verifySignatures } from './verify-signatures.ts'
import type { MetaFile, Metadata, Snapshot, Timestamp } from '../../format/tuf.ts'
import type { Clock } from '../../port/ambient.ts'
import type { Store } from '../../port/store.ts'
import type { Keyring } from './keyring.ts'
import type { Signer } from './key-file.ts'
import type { Repository } from './repository.ts'

/** How long what is signed now will be good, in days. Only timestamp.json is short-lived. */
export type Lifetimes = { readonly role: number; readonly timestamp: number }

export const usualLifetimes: Lifetimes = { role: 365, timestamp: 7 }

const day = 86_400_000

/** Whole seconds, as TUF has them. */
export function expiryAfter(clock: Clock, days: number): number {
  return secondOf(clock) + days * day
}

function secondOf(clock: Clock): number {
  return Math.floor(clock.now() / 1000) * 1000
}

/** A signed metadata file that is ready to go out. */
export type RoleFile = { readonly role: string; readonly version: number; readonly file: Uint8Array }

export type CommitInput = {
  readonly store: Store
  readonly repository: Repository
  /** In the order in which they are written. */
  readonly files: readonly RoleFile[]
  /** Roles that snapshot.json shall not name any more. */
  readonly dropped?: readonly string[]
  readonly signers: OnlineSigners
  readonly clock: Clock
  readonly lifetimes: Lifetimes
}

export type OnlineSigners = { readonly snapshot: readonly Signer[]; readonly timestamp: readonly Signer[] }

/** Asked for before any work, so that a missing key or a wrong passphrase costs nothing. */
export async function onlineSigners(keyring: Keyring, repository: Repository): Promise<OnlineSigners> {
  return {
    snapshot: await requireSigners(keyring, 'snapshot', roleKeysOf(repository, 'snapshot')),
    timestamp: await requireSigners(keyring, 'timestamp', roleKeysOf(repository, 'timestamp')),
  }
}

/** snapshot.json and timestamp.json as they go out. */
export type OnlineFiles = { readonly snapshot: RoleFile; readonly timestamp: Uint8Array }

/**
 * Makes `files` the repository's present: their own names first, then a snapshot that names them, timestamp.json the
 * very last. Until that is there every reader sees the repository as it was, and a later commit writes over whatever an
 * earlier one left.
 */
export async function commitFiles(input: CommitInput): Promise<void> {
  checkTargets(input.repository, input.files)
  await putMetadata(input.store, input.files, signOnline(input))
}

export function signOnline(input: CommitInput): OnlineFiles {
  const snapshot = signedFile('snapshot', nextSnapshot(input), input.signers.snapshot)
  const timestamp = nextTimestamp(input.repository, metaFile(snapshot.version, snapshot.file), input.clock, input.lifetimes)
  return { snapshot, timestamp: signMetadata(timestamp, input.signers.timestamp) }
}

/** A root that names other keys than those of the targets.json that will stand below it would shut every reader out. */
export function checkTargets({ root, targets }: Repository, files: readonly RoleFile[]): void {
  const next = files.find(({ role }) => role === 'targets')
  const signed = next === undefined ? targets.signed : decodeTargets(next.file)
  verifySignatures(signed, topAuthority(root.signed.value, 'targets'), metadataKey('targets', signed.value.version), '5.6.3')
}

/**
 * A root is seen as soon as it is there, and from then on timestamp.json must be signed by its keys: so it comes right
 * before that. What is left when this is cut off there, the next publication finishes.
 */
export async function putMetadata(store: Store, files: readonly RoleFile[], { snapshot, timestamp }: OnlineFiles): Promise<void> {
  const isRoot = ({ role }: RoleFile): boolean => role === 'root'
  const inOrder = [...files.filter((file) => !isRoot(file)), snapshot, ...files.filter(isRoot)]
  for (const { role, version, file } of inOrder) await store.put(metadataKey(role, version), oneChunk(file))
  await store.put(timestampKey, oneChunk(timestamp))
}

/** Roots are found by their numbers and stand in no snapshot. */
export function nextSnapshot(input: Pick<CommitInput, 'repository' | 'files' | 'dropped' | 'clock' | 'lifetimes'>): Snapshot {
  const { value } = input.repository.snapshot.signed
  const meta = new Map(value.meta)
  for (const { role, version, file } of input.files) if (role !== 'root') meta.set(role, metaFile(version, file))
  for (const role of input.dropped ?? []) meta.delete(role)
  return renewed({ ...value, meta }, expiryAfter(input.clock, input.lifetimes.role))
}

export function nextTimestamp(repository: Repository, snapshot: MetaFile, clock: Clock, lifetimes: Lifetimes): Timestamp {
  const { value } = repository.timestamp.signed
  return { ...renewed(value, expiryAfter(clock, lifetimes.timestamp)), snapshot, issued: secondOf(clock) }
}

/** The next version of a role. */
export function renewed<T extends Metadata>(value: T, expires: number): T {
  return { ...value, version: value.version + 1, expires }
}

export function signedFile(role: string, value: Metadata, signers: readonly Signer[]): RoleFile {
  return { role, version: value.version, file: signMetadata(value, signers) }
}
