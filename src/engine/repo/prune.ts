import { formatDistName } from '../../base/name.ts'
import { decodeSnapshot } from '../../format/tuf.ts'
import { releaseTargets } from '../update/compose.ts'
import { readUpdates } from './channel-draft.ts'
import { commitFiles, expiryAfter, onlineSigners, renewed, signedFile } from './commit.ts'
import { requireSigners } from './keyring.ts'
import { formerBlobs, targetKeys } from './former-blobs.ts'
import { metadataKey, parseMetadataKey, timestampKey } from './layout.ts'
import { loadRepository, roleKeysOf } from './repository.ts'
import type { Snapshot, TargetFile, Targets } from '../../format/tuf.ts'
import type { Update } from '../../format/update.ts'
import type { Clock } from '../../port/ambient.ts'
import type { Store } from '../../port/store.ts'
import type { Lifetimes, RoleFile } from './commit.ts'
import type { Keyring } from './keyring.ts'
import type { Repository } from './repository.ts'

export type PruneInput = {
  readonly store: Store
  /** How many releases of each channel stay. */
  readonly keep: number
  readonly keyring: Keyring
  readonly clock: Clock
  readonly lifetimes: Lifetimes
}

/** What a prune takes away. Files are those that no reader of the newest metadata, or of the one before, asks for. */
export type PrunePlan = {
  readonly repository: Repository
  readonly channels: readonly PrunedChannel[]
  readonly files: readonly { readonly key: string; readonly size: number }[]
}

export type PrunedChannel = {
  readonly role: string
  readonly releases: readonly string[]
  readonly targets: ReadonlyMap<string, TargetFile>
}

export const usualKeep = 8

/**
 * Releases but the last `keep` of each channel go, with their records, manifests, dists and the deltas that lead to
 * them. A delta from such a release to one that stays does stay: it is named in a record that is signed, and serves
 * clients that come late. Everything that belongs to nothing goes too.
 */
export async function planPrune({ store, keep }: Pick<PruneInput, 'store' | 'keep'>): Promise<PrunePlan> {
  const repository = await loadRepository(store)
  const channels: PrunedChannel[] = []
  const needed = new Set<string>(targetKeys(repository.targets.signed.value.targets))
  for (const [role, { signed }] of repository.channels) {
    const pruned = prunedChannel(role, signed.value, await readUpdates(store, signed.value.targets), keep)
    if (pruned.releases.length > 0) channels.push(pruned)
    for (const key of targetKeys(pruned.targets)) needed.add(key)
  }
  for (const key of await stillRead(store, repository, channels.length > 0)) needed.add(key)
  const metadata = await neededMetadata(store, repository)
  const superfluous = (key: string): boolean => (key.startsWith('blobs/') ? !needed.has(key) : isOldMetadata(key, metadata))
  const keys = (await store.list('')).filter(superfluous)
  return { repository, channels, files: await Promise.all(keys.map(async (key) => ({ key, size: (await store.size(key)) ?? 0 }))) }
}

function prunedChannel(role: string, before: Targets, updates: readonly Update[], keep: number): PrunedChannel {
  const dropped = updates.slice(0, Math.max(0, updates.length - keep))
  const targets = new Map(before.targets)
  for (const update of dropped) for (const target of targetsOf(update)) targets.delete(target)
  return { role, releases: dropped.map(({ release }) => formatDistName(release.name)), targets }
}

/** Everything that is published for a release. */
export function targetsOf(update: Update): readonly string[] {
  const full = update.full.flatMap(({ target, frames }) => (frames === undefined ? [target] : [target, frames.target]))
  const deltas = update.deltas.flatMap(({ target, manifest }) => (manifest === undefined ? [target] : [target, manifest.target]))
  const obsolete = update.obsolete === undefined ? [] : [update.obsolete.target]
  return [releaseTargets(update.release.name).update, update.manifest.target, ...obsolete, ...full, ...deltas]
}

/** When releases are dropped, the snapshot of now is the one before: what they had goes with the next prune after another one. */
async function stillRead(store: Store, { snapshot, channels }: Repository, isDropping: boolean): Promise<readonly string[]> {
  if (!isDropping) return await formerBlobs(store, snapshot.signed.value)
  return [...channels.values()].flatMap(({ signed }) => targetKeys(signed.value.targets))
}

/** What the newest snapshot names, and the one before it for readers who have just begun. All roots stay for ever. */
async function neededMetadata(store: Store, { snapshot }: Repository): Promise<ReadonlySet<string>> {
  const current = snapshot.signed.value
  const before = await store.get(metadataKey('snapshot', current.version - 1))
  const snapshots = before === undefined ? [current] : [current, decodeSnapshot(before).value]
  return new Set([timestampKey, ...snapshots.flatMap(namedFiles)])
}

function namedFiles(snapshot: Snapshot): readonly string[] {
  return [metadataKey('snapshot', snapshot.version), ...[...snapshot.meta].map(([role, { version }]) => metadataKey(role, version))]
}

function isOldMetadata(key: string, needed: ReadonlySet<string>): boolean {
  const name = parseMetadataKey(key)
  return name !== undefined && name.role !== 'root' && !needed.has(key)
}

/** The metadata first, so that nobody is led to what is then removed. Answers what went. */
export async function executePrune(input: PruneInput, plan: PrunePlan): Promise<PrunePlan['files']> {
  const { repository, channels } = plan
  if (channels.length > 0) {
    const files: RoleFile[] = []
    for (const channel of channels) files.push(await prunedFile(input, repository, channel))
    await commitFiles({ ...input, repository, files, signers: await onlineSigners(input.keyring, repository) })
  }
  // Looked at anew: what the commit has written may bear the name of something that a failed one had left.
  const { files } = await planPrune(input)
  for (const { key } of files) await input.store.delete(key)
  return files
}

async function prunedFile(input: PruneInput, repository: Repository, { role, targets }: PrunedChannel): Promise<RoleFile> {
  const signers = await requireSigners(input.keyring, role, roleKeysOf(repository, role))
  const before = repository.channels.get(role)?.signed.value as Targets
  return signedFile(role, renewed({ ...before, targets }, expiryAfter(input.clock, input.lifetimes.role)), signers)
}
