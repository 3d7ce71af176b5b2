import { emptyBytes, equalBytes, oneChunk } from '../../base/bytes.ts'
import { BinderyError } from '../../base/error.ts'
import { decodeMetadata, encodeSigned } from '../../format/tuf.ts'
import { channelTargets } from './channel-draft.ts'
import { metadataKey, parseMetadataKey, timestampKey } from './layout.ts'
import { innerStore } from './overlay-store.ts'
import { draftReleases, nameDists, nextTargets } from './publish.ts'
import { authorityOf, decoding, loadRepository, readKey, topAuthority } from './repository.ts'
import type { Metadata, Root, Signed, Targets } from '../../format/tuf.ts'
import type { Store } from '../../port/store.ts'
import type { PublishInput } from './publish.ts'
import type { DraftedRelease } from './release-draft.ts'
import type { Repository } from './repository.ts'
import type { Authority } from './verify-signatures.ts'

/**
 * A stage carries a publication between machines: `blobs/` and `metadata/` as they will lie in the repository, the
 * metadata still without signatures, and under `base/metadata/` what the repository had, which says who may sign.
 */

const basePrefix = 'base/'

export type StageInput = PublishInput & { readonly stage: Store }

/**
 * Everything of a publication but the signatures; no key is needed. `exists` where the stage holds one that is still to
 * be published; what was published is cleared away.
 */
export async function stageReleases(input: StageInput): Promise<readonly DraftedRelease[]> {
  const { store, stage, clock, lifetimes } = input
  await clearPublished(stage, store)
  const repository = await loadRepository(store)
  const dists = await nameDists(input.dists)
  const targets = nextTargets(input, repository, dists)
  const { releases, drafts } = await draftReleases(input, repository, dists, stage)
  if (drafts.length === 0) return releases
  await copyBase(repository, innerStore(stage, basePrefix))
  for (const draft of drafts) await putUnsigned(stage, draft.role, channelTargets(draft, clock, lifetimes))
  if (targets !== undefined) await putUnsigned(stage, 'targets', targets)
  return releases
}

/** Blobs alone are what an earlier try has left; they are used again. */
async function clearPublished(stage: Store, store: Store): Promise<void> {
  const metadata = await stage.list('metadata/')
  if (metadata.length === 0) return
  for (const key of metadata) {
    // Snapshot and timestamp may have been made anew on the way; the roles tell.
    const role = parseMetadataKey(key)?.role
    if (role === undefined || role === 'snapshot' || (await sameFile(stage, store, key))) continue
    throw new BinderyError('exists', 'waits to be published', { subject: key, hint: 'publish it with --signed, or take another folder' })
  }
  // The metadata last: as long as it is there, this is begun again.
  for (const key of [...(await stage.list('blobs/')), ...(await stage.list(basePrefix)), ...metadata]) await stage.delete(key)
}

async function sameFile(one: Store, other: Store, key: string): Promise<boolean> {
  return equalBytes((await one.get(key)) ?? emptyBytes, (await other.get(key)) ?? emptyBytes)
}

async function putUnsigned(stage: Store, role: string, value: Metadata): Promise<void> {
  await stage.put(metadataKey(role, value.version), oneChunk(encodeSigned(value, [])))
}

async function copyBase({ root, formerRoot, timestamp, snapshot, targets, channels }: Repository, base: Store): Promise<void> {
  const put = async (key: string, file: Uint8Array): Promise<void> => await base.put(key, oneChunk(file))
  if (formerRoot !== undefined) await put(metadataKey('root', formerRoot.signed.value.version), formerRoot.file)
  await put(metadataKey('root', root.signed.value.version), root.file)
  await put(metadataKey('snapshot', snapshot.signed.value.version), snapshot.file)
  await put(metadataKey('targets', targets.signed.value.version), targets.file)
  for (const [role, { file, signed }] of channels) await put(metadataKey(role, signed.value.version), file)
  await put(timestampKey, timestamp.file)
}

/** The repository as it was when the stage was made. */
export async function loadStageBase(stage: Store): Promise<Repository> {
  return await loadRepository(innerStore(stage, basePrefix))
}

export type StagedFile = {
  readonly role: string
  readonly version: number
  readonly file: Uint8Array
  readonly signed: Signed
  /** Each must be satisfied: for a new root the old one and itself, for all else one. */
  readonly authorities: readonly Authority[]
}

/** The staged metadata of root, targets and channels, with who must sign it when `repository` is what it comes on. */
export async function loadStagedFiles(stage: Store, repository: Repository): Promise<readonly StagedFile[]> {
  const files = new Map<string, Omit<StagedFile, 'authorities'>>()
  for (const key of await stage.list('metadata/')) {
    const name = parseMetadataKey(key)
    if (name === undefined || name.role === 'snapshot') continue
    if (files.has(name.role)) throw new BinderyError('bad-format', 'is one of two versions of a role', { subject: key })
    files.set(name.role, await loadStagedFile(stage, key, name.role, name.version))
  }
  if (files.size === 0) throw new BinderyError('not-found', 'the folder holds no publication')
  const root = (files.get('root')?.signed.value ?? repository.root.signed.value) as Root
  const targets = (files.get('targets')?.signed.value ?? repository.targets.signed.value) as Targets
  return [...files.values()].map((file) => ({ ...file, authorities: authoritiesOf(file.role, repository, root, targets) }))
}

/** The repository with the keys that it will have: a staged root says who signs snapshot and timestamp. */
export function withStagedRoot(repository: Repository, staged: readonly StagedFile[]): Repository {
  const next = staged.find(({ role }) => role === 'root')
  return next === undefined ? repository : { ...repository, root: { file: next.file, signed: next.signed as Signed<Root> } }
}

async function loadStagedFile(stage: Store, key: string, role: string, version: number): Promise<Omit<StagedFile, 'authorities'>> {
  const file = await readKey(stage, key)
  const signed = decoding(key, () => decodeMetadata(file))
  const expected = role === 'root' ? 'root' : 'targets'
  // A key that may sign channels must not be led to sign something else under a channel's name.
  if (signed.value.kind !== expected || signed.value.version !== version) {
    throw new BinderyError('mix-and-match', `says that it is version ${signed.value.version} of a ${signed.value.kind} role`, {
      subject: key,
    })
  }
  return { role, version, file, signed }
}

function authoritiesOf(role: string, repository: Repository, root: Root, targets: Targets): readonly Authority[] {
  if (role !== 'root') return [authorityOf(root, targets, role)]
  return [topAuthority(repository.root.signed.value, 'root'), topAuthority(root, 'root')]
}
