import { emptyBytes, equalBytes, oneChunk } from '../../base/bytes.ts'
import { BinderyError } from '../../base/error.ts'
import { decodeMetadata, decodeRoot, encodeSigned } from '../../format/tuf.ts'
import { metadataKey, parseMetadataKey, timestampKey } from './layout.ts'
import { belowNextRoot } from './next-root.ts'
import { innerStore } from './overlay-store.ts'
import { authorityOf, decoding, loadRepository, loadRoot, readKey, topAuthority } from './repository.ts'
import { verifySignatures } from './verify-signatures.ts'
import type { Metadata, Root, Signed, Targets } from '../../format/tuf.ts'
import type { Store } from '../../port/store.ts'
import type { Loaded, Repository } from './repository.ts'
import type { Authority } from './verify-signatures.ts'

/**
 * A stage carries a publication between machines: `blobs/` and `metadata/` as they will lie in the repository, the
 * metadata still without signatures, and under `base/metadata/` what the repository had, which says who may sign.
 */

export const basePrefix = 'base/'

/**
 * The next versions of roles as `make` says, without signatures, and what they come on. `exists` where the stage holds some
 * that are still to be published; what was published is cleared away.
 */
export async function stageMetadata(
  store: Store,
  stage: Store,
  make: (repository: Repository) => readonly StagedRole[],
): Promise<readonly StagedRole[]> {
  await clearPublished(stage, store)
  const repository = await loadRepository(store)
  const roles = make(repository)
  await copyBase(store, repository, innerStore(stage, basePrefix))
  for (const { role, value } of roles) await putUnsigned(stage, role, value)
  return roles
}

export type StagedRole = { readonly role: string; readonly value: Metadata }

/** Blobs alone are what an earlier try has left; they are used again. */
export async function clearPublished(stage: Store, store: Store): Promise<void> {
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

export async function putUnsigned(stage: Store, role: string, value: Metadata): Promise<void> {
  await stage.put(metadataKey(role, value.version), oneChunk(encodeSigned(value, [])))
}

/** With all roots, so that a signer can follow them from one that he knows. */
export async function copyBase(store: Store, { timestamp, snapshot, targets, channels }: Repository, base: Store): Promise<void> {
  const put = async (key: string, file: Uint8Array): Promise<void> => await base.put(key, oneChunk(file))
  for (const key of await store.list('metadata/')) if (parseMetadataKey(key)?.role === 'root') await put(key, await readKey(store, key))
  await put(metadataKey('snapshot', snapshot.signed.value.version), snapshot.file)
  await put(metadataKey('targets', targets.signed.value.version), targets.file)
  for (const [role, { file, signed }] of channels) await put(metadataKey(role, signed.value.version), file)
  await put(timestampKey, timestamp.file)
}

export type StagedFile = {
  readonly role: string
  readonly version: number
  readonly file: Uint8Array
  readonly signed: Signed
  /** Each must be satisfied: for a new root the old one and itself, for all else one. */
  readonly authorities: readonly Authority[]
}

/** A stage as it was read, once: what is shown to a person is what is signed after that. */
export type Stage = {
  readonly store: Store
  /** The repository as it was when the stage was made; undefined where one is to begin. */
  readonly base: Repository | undefined
  readonly files: readonly StagedFile[]
}

/** With `trusted`, a root file that the reader knows, the stage's own roots must lead on from it. */
export async function openStage(store: Store, trusted?: Uint8Array): Promise<Stage> {
  const before = innerStore(store, basePrefix)
  const base = (await before.list('metadata/')).length === 0 ? undefined : await loadRepository(before)
  const files = await loadStagedFiles(store, base)
  for (const file of files) checkFollows(file, base)
  if (trusted !== undefined) await checkRootChain(before, trusted, base)
  return { store, base, files }
}

/** The staged metadata of root, targets and channels, with who must sign it when `repository` is what it comes on. */
export async function loadStagedFiles(stage: Store, repository: Repository | undefined): Promise<readonly StagedFile[]> {
  const files = new Map<string, Omit<StagedFile, 'authorities'>>()
  for (const key of await stage.list('metadata/')) {
    const name = parseMetadataKey(key)
    if (name === undefined || name.role === 'snapshot') continue
    if (files.has(name.role)) throw new BinderyError('bad-format', 'is one of two versions of a role', { subject: key })
    files.set(name.role, await loadStagedFile(stage, key, name.role, name.version))
  }
  if (files.size === 0) throw new BinderyError('not-found', 'the folder holds no publication')
  const root = (files.get('root')?.signed ?? repository?.root.signed)?.value as Root | undefined
  const targets = (files.get('targets')?.signed ?? repository?.targets.signed)?.value as Targets | undefined
  if (root === undefined || targets === undefined)
    throw new BinderyError('not-found', 'is missing, and nothing begins without it', { subject: root === undefined ? 'root' : 'targets' })
  const oldRoot = repository?.root.signed.value
  return [...files.values()].map((file) => ({ ...file, authorities: authoritiesOf(file.role, oldRoot, root, targets) }))
}

/** Of what is there; undefined for a role that begins. */
export function currentOf(role: string, repository: Repository | undefined): Loaded<Root | Targets> | undefined {
  if (role === 'root') return repository?.root
  return role === 'targets' ? repository?.targets : repository?.channels.get(role)
}

/** A signature under a version that nobody could publish now would be good for a surprise later. */
function checkFollows({ role, version }: StagedFile, base: Repository | undefined): void {
  const current = currentOf(role, base)?.signed.value.version ?? 0
  if (version === current + 1) return
  throw new BinderyError('mix-and-match', `comes on version ${current}`, { subject: metadataKey(role, version) })
}

/** A base that somebody made up would make a person believe in what has changed, and in who has signed before. */
async function checkRootChain(before: Store, trusted: Uint8Array, base: Repository | undefined): Promise<void> {
  let root = decodeRoot(trusted)
  const newest = base?.root.signed.value.version ?? 0
  if (newest < root.value.version) throw new BinderyError('downgrade', `comes on root ${newest}, and root ${root.value.version} is trusted`)
  if (!equalBytes(root.covered, (await loadRoot(before, root.value.version)).signed.covered))
    throw new BinderyError('wrong-key', 'is not the root that is trusted', { subject: metadataKey('root', root.value.version) })
  while (root.value.version < newest) {
    const { signed } = await loadRoot(before, root.value.version + 1)
    verifySignatures(signed, topAuthority(root.value, 'root'), metadataKey('root', signed.value.version), '5.3.4')
    root = signed
  }
}

/** The repository with the keys that it will have: a staged root says who signs snapshot and timestamp. */
export function withStagedRoot(repository: Repository, staged: readonly StagedFile[]): Repository {
  const next = staged.find(({ role }) => role === 'root')
  return next === undefined ? repository : belowNextRoot(repository, { file: next.file, signed: next.signed as Signed<Root> })
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

/** Who must sign a role's next version, each for itself: for a root those of the one before as well. */
export function authoritiesOf(role: string, oldRoot: Root | undefined, root: Root, targets: Targets): readonly Authority[] {
  if (role !== 'root') return [authorityOf(root, targets, role)]
  const roots = oldRoot === undefined ? [root] : [oldRoot, root]
  return roots.map((value) => ({ ...topAuthority(value, 'root'), of: `root ${value.version}` }))
}
