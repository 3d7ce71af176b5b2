import { equalBytes } from '../../base/bytes.ts'
import { BinderyError } from '../../base/error.ts'
import { decodeSnapshot, decodeTimestamp, formatTime } from '../../format/tuf.ts'
import { digestOf, putBlob } from './blob.ts'
import { checkTargets, nextSnapshot, onlineSigners, putMetadata, signOnline } from './commit.ts'
import { metadataKey, timestampKey } from './layout.ts'
import { overlayStore } from './overlay-store.ts'
import { decoding, loadRepository, topAuthority } from './repository.ts'
import { addedTargets, checkBlobs } from './stage-blobs.ts'
import { holdersOf, verifyStaged } from './stage-signers.ts'
import { currentOf, loadStagedFiles, withStagedRoot } from './stage.ts'
import { verifySignatures } from './verify-signatures.ts'
import { checkMetaFile } from './role-files.ts'
import type { MetaFile } from '../../format/tuf.ts'
import type { Clock } from '../../port/ambient.ts'
import type { Store } from '../../port/store.ts'
import type { Lifetimes, OnlineFiles } from './commit.ts'
import type { Keyring } from './keyring.ts'
import type { Repository } from './repository.ts'
import type { AddedTarget } from './stage-blobs.ts'
import type { StagedFile } from './stage.ts'

export type PublishStageInput = {
  readonly store: Store
  readonly stage: Store
  readonly keyring: Keyring
  readonly clock: Clock
  readonly lifetimes: Lifetimes
}

/**
 * Publishes a signed stage; answers the roles that changed, none when it was published before. Everything is verified
 * against the repository as it is now: `bad-signature` below a threshold, `conflict` when the repository has moved on
 * since the stage was made.
 */
export async function publishStage(input: PublishStageInput): Promise<readonly string[]> {
  const { store, stage } = input
  const repository = await loadRepository(store)
  const staged = await loadStagedFiles(stage, repository)
  const isCutOff = repository.formerRoot !== undefined
  if (!isCutOff && staged.every((file) => isPublished(file, repository))) return []
  // A root may be there already: what was cut off after it is finished.
  const files = isCutOff ? staged.filter((file) => !isPublished(file, repository)) : staged
  checkSignedFiles(files, repository, input.clock)
  const added = files.flatMap((file) => addedTargets(file, repository))
  await checkBlobs(overlayStore(stage, store), added)
  const next = withStagedRoot(repository, files)
  checkTargets(next, files)
  const online = (await stagedOnline(input, next, files)) ?? (await freshOnline(input, next, files))
  await copyBlobs(stage, store, added)
  await putMetadata(store, files, online)
  return staged.map(({ role }) => role)
}

/** What can be said without its blobs: that it is signed, and follows what the repository has. */
export async function checkSignedStage({ store, stage, clock }: Pick<PublishStageInput, 'store' | 'stage' | 'clock'>): Promise<void> {
  const repository = await loadRepository(store)
  checkSignedFiles(await loadStagedFiles(stage, repository), repository, clock)
}

function checkSignedFiles(files: readonly StagedFile[], repository: Repository, clock: Clock): void {
  const names = holdersOf(repository, files)
  for (const file of files) {
    checkNext(file, repository)
    verifyStaged(file, names)
    checkFresh(file, clock)
  }
}

function isPublished({ role, file }: StagedFile, repository: Repository): boolean {
  const current = currentOf(role, repository)
  return current !== undefined && equalBytes(current.file, file)
}

function checkNext({ role, version }: StagedFile, repository: Repository): void {
  const current = currentOf(role, repository)?.signed.value.version ?? 0
  if (version === current + 1) return
  throw new BinderyError(
    'conflict',
    `the repository has version ${current} now, and version ${version} was made to follow version ${version - 1}`,
    {
      subject: `role ${role}`,
      hint: 'make it again with publish --unsigned, and have it signed again',
    },
  )
}

function checkFresh({ role, version, signed }: StagedFile, clock: Clock): void {
  if (signed.value.expires > clock.now()) return
  throw new BinderyError('expired', `is good until ${formatTime(signed.value.expires)} only`, { subject: metadataKey(role, version) })
}

/** Snapshot and timestamp that were signed with the rest, where the repository is still the one that they follow. */
async function stagedOnline(
  { stage, ...input }: PublishStageInput,
  repository: Repository,
  files: readonly StagedFile[],
): Promise<OnlineFiles | undefined> {
  const next = nextSnapshot({ ...input, repository, files })
  const key = metadataKey('snapshot', next.version)
  const [snapshot, timestamp] = [await stage.get(key), await stage.get(timestampKey)]
  if (snapshot === undefined || timestamp === undefined) return undefined
  const root = repository.root.signed.value
  const signedSnapshot = decoding(key, () => decodeSnapshot(snapshot))
  verifySignatures(signedSnapshot, topAuthority(root, 'snapshot'), key, '5.5.3')
  const signedTimestamp = decoding(timestampKey, () => decodeTimestamp(timestamp))
  verifySignatures(signedTimestamp, topAuthority(root, 'timestamp'), timestampKey, '5.4.2')
  checkMetaFile(snapshot, signedTimestamp.value.snapshot, key, '5.5.2')
  const { version, expires } = signedTimestamp.value
  const follows = version === repository.timestamp.signed.value.version + 1 && expires > input.clock.now()
  if (!follows || !sameMeta(signedSnapshot.value.meta, next.meta)) return undefined
  return { snapshot: { role: 'snapshot', version: next.version, file: snapshot }, timestamp }
}

function sameMeta(a: ReadonlyMap<string, MetaFile>, b: ReadonlyMap<string, MetaFile>): boolean {
  const same = (one: MetaFile, other: MetaFile | undefined): boolean =>
    one.version === other?.version && one.length === other.length && one.hashes?.['sha256'] === other.hashes?.['sha256']
  return a.size === b.size && [...a].every(([role, file]) => same(file, b.get(role)))
}

async function freshOnline(input: PublishStageInput, repository: Repository, files: readonly StagedFile[]): Promise<OnlineFiles> {
  return signOnline({ ...input, repository, files, signers: await onlineSigners(input.keyring, repository) })
}

async function copyBlobs(stage: Store, store: Store, added: readonly AddedTarget[]): Promise<void> {
  for (const { key, path, file } of added) {
    if ((await stage.size(key)) === undefined) continue
    await putBlob(store, { target: path, size: file.length, sha256: digestOf(path, file), open: () => stage.stream(key) })
  }
}
