import { oneChunk } from '../../base/bytes.ts'
import { BinderyError } from '../../base/error.ts'
import { decodeMetadata, metaFile } from '../../format/tuf.ts'
import { nextSnapshot, nextTimestamp, signedFile } from './commit.ts'
import { requireSigners } from './keyring.ts'
import { countersign, signMetadata } from './keys.ts'
import { metadataKey, timestampKey } from './layout.ts'
import { roleKeysOf } from './repository.ts'
import { withStagedRoot } from './stage.ts'
import { addedTargets, checkBlobs } from './stage-blobs.ts'
import { isSatisfied } from './verify-signatures.ts'
import type { Clock } from '../../port/ambient.ts'
import type { Lifetimes, RoleFile } from './commit.ts'
import type { Keyring } from './keyring.ts'
import type { Repository } from './repository.ts'
import type { Stage, StagedFile } from './stage.ts'

export type SignStageInput = {
  readonly stage: Stage
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
  const { stage } = input
  for (const file of stage.files) await checkBlobs(stage.store, addedTargets(file, stage.base))
  const files: StagedFile[] = []
  const signed: SignedRole[] = []
  for (const file of stage.files) {
    const done = await signStaged(input, file)
    files.push(done.file)
    signed.push(done.role)
  }
  const online = await signSnapshot(input, files)
  if ([...signed, ...online].some(({ by }) => by.length > 0)) return [...signed, ...online]
  throw new BinderyError('wrong-key', 'no key at hand may sign anything of this publication')
}

/** The bytes that were read with the stage are signed and written back, whatever lies in its place by now. */
async function signStaged(
  { stage, keyring }: SignStageInput,
  staged: StagedFile,
): Promise<{ readonly file: StagedFile; readonly role: SignedRole }> {
  const { role, version } = staged
  const signers = await keyring.signers(staged.authorities.flatMap((authority) => authority.role.keyIds))
  const bytes = signers.length === 0 ? staged.file : countersign(staged.file, signers)
  if (signers.length > 0) await stage.store.put(metadataKey(role, version), oneChunk(bytes))
  const file = { ...staged, file: bytes, signed: decodeMetadata(bytes) }
  const by = signers.map(({ keyId }) => keyring.nameOf(keyId) ?? keyId)
  return { file, role: { role, version, by, complete: isComplete(file) } }
}

/** Whether every authority's threshold is reached. */
export function isComplete({ signed, authorities }: StagedFile): boolean {
  return authorities.every((authority) => isSatisfied(signed, authority))
}

/** Only over complete files: adding a signature later would change the digests that a snapshot names. */
async function signSnapshot(input: SignStageInput, files: readonly StagedFile[]): Promise<readonly SignedRole[]> {
  // A repository that begins gets them where it is made.
  if (input.stage.base === undefined) return []
  const base = withStagedRoot(input.stage.base, files)
  const keys = roleKeysOf(base, 'snapshot')
  if (!files.every(isComplete) || (await input.keyring.signers(keys.keyIds)).length < keys.threshold) return []
  const signers = await requireSigners(input.keyring, 'snapshot', keys)
  const snapshot = signedFile('snapshot', nextSnapshot({ ...input, repository: base, files }), signers)
  await input.stage.store.put(metadataKey('snapshot', snapshot.version), oneChunk(snapshot.file))
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
  await stage.store.put(timestampKey, oneChunk(signMetadata(timestamp, signers)))
  return [{ role: 'timestamp', version: timestamp.version, by: signers.map(({ keyId }) => keyring.nameOf(keyId) ?? keyId), complete: true }]
}
