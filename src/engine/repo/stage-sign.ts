import { oneChunk } from '../../base/bytes.ts'
import { BinderyError, isBinderyError } from '../../base/error.ts'
import { metaFile } from '../../format/tuf.ts'
import { nextSnapshot, nextTimestamp, signedFile } from './commit.ts'
import { requireSigners } from './keyring.ts'
import { countersign, signMetadata } from './keys.ts'
import { metadataKey, timestampKey } from './layout.ts'
import { roleKeysOf } from './repository.ts'
import { loadStageBase, loadStagedFiles, withStagedRoot } from './stage.ts'
import { addedTargets, checkBlobs } from './stage-blobs.ts'
import { verifySignatures } from './verify-signatures.ts'
import type { Clock } from '../../port/ambient.ts'
import type { Store } from '../../port/store.ts'
import type { Lifetimes, RoleFile } from './commit.ts'
import type { Keyring } from './keyring.ts'
import type { Repository } from './repository.ts'
import type { StagedFile } from './stage.ts'

export type SignStageInput = {
  readonly stage: Store
  readonly keyring: Keyring
  readonly clock: Clock
  readonly lifetimes: Lifetimes
}

export type SignedRole = {
  readonly role: string
  readonly version: number
  /** Names of the keys that signed now. */
  readonly by: readonly string[]
  /** Whether the role has all the signatures that it needs. */
  readonly complete: boolean
}

/**
 * The offline machine's part of a publication: signs each staged file that a key at hand may sign. When nothing is
 * missing any more and the keys of snapshot and timestamp are at hand too, it makes those, so that the machine that
 * publishes needs no key at all. `wrong-key` when no key at hand may sign anything here.
 */
export async function signStage(input: SignStageInput): Promise<readonly SignedRole[]> {
  const base = await loadStageBase(input.stage)
  const files = await loadStagedFiles(input.stage, base)
  for (const file of files) await checkBlobs(input.stage, addedTargets(file, base))
  const signed: SignedRole[] = []
  for (const file of files) signed.push(await signStaged(input, file))
  const online = await signSnapshot(input)
  if ([...signed, ...online].some(({ by }) => by.length > 0)) return [...signed, ...online]
  throw new BinderyError('wrong-key', 'no key at hand may sign anything of this publication')
}

async function signStaged({ stage, keyring }: SignStageInput, staged: StagedFile): Promise<SignedRole> {
  const { role, version } = staged
  const signers = await keyring.signers(staged.authorities.flatMap((authority) => authority.role.keyIds))
  const by = signers.map(({ keyId }) => keyring.nameOf(keyId) ?? keyId)
  if (signers.length > 0) await stage.put(metadataKey(role, version), oneChunk(countersign(staged.file, signers)))
  return { role, version, by, complete: isComplete(await reloaded(stage, staged)) }
}

async function reloaded(stage: Store, staged: StagedFile): Promise<StagedFile> {
  const files = await loadStagedFiles(stage, await loadStageBase(stage))
  return files.find(({ role }) => role === staged.role) as StagedFile
}

/** Whether every authority's threshold is reached. */
export function isComplete(staged: StagedFile): boolean {
  try {
    verifyStaged(staged)
    return true
  } catch (error) {
    if (isBinderyError(error, 'bad-signature')) return false
    throw error
  }
}

export function verifyStaged({ role, version, signed, authorities }: StagedFile): void {
  for (const authority of authorities) verifySignatures(signed, authority, metadataKey(role, version), '5.3.4')
}

/** Only over complete files: adding a signature later would change the digests that a snapshot names. */
async function signSnapshot(input: SignStageInput): Promise<readonly SignedRole[]> {
  const stageBase = await loadStageBase(input.stage)
  const files = await loadStagedFiles(input.stage, stageBase)
  const base = withStagedRoot(stageBase, files)
  const keys = roleKeysOf(base, 'snapshot')
  if (!files.every(isComplete) || (await input.keyring.signers(keys.keyIds)).length < keys.threshold) return []
  const signers = await requireSigners(input.keyring, 'snapshot', keys)
  const snapshot = signedFile('snapshot', nextSnapshot({ ...input, repository: base, files }), signers)
  await input.stage.put(metadataKey('snapshot', snapshot.version), oneChunk(snapshot.file))
  const by = signers.map(({ keyId }) => input.keyring.nameOf(keyId) ?? keyId)
  return [{ role: 'snapshot', version: snapshot.version, by, complete: true }, ...(await signTimestamp(input, base, snapshot))]
}

async function signTimestamp(
  { stage, keyring, clock, lifetimes }: SignStageInput,
  base: Repository,
  snapshot: RoleFile,
): Promise<readonly SignedRole[]> {
  const signers = await keyring.signers(roleKeysOf(base, 'timestamp').keyIds)
  if (signers.length < roleKeysOf(base, 'timestamp').threshold) return []
  const timestamp = nextTimestamp(base, metaFile(snapshot.version, snapshot.file), clock, lifetimes)
  await stage.put(timestampKey, oneChunk(signMetadata(timestamp, signers)))
  return [{ role: 'timestamp', version: timestamp.version, by: signers.map(({ keyId }) => keyring.nameOf(keyId) ?? keyId), complete: true }]
}
