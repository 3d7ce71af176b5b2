import { decodeRoot } from '../../format/tuf.ts'
import { commitFiles, onlineSigners, signedFile } from './commit.ts'
import { requireSigners } from './keyring.ts'
import { belowNextRoot } from './next-root.ts'
import { loadRepository } from './repository.ts'
import { authoritiesOf, stageMetadata } from './stage.ts'
import type { Root, Targets } from '../../format/tuf.ts'
import type { Store } from '../../port/store.ts'
import type { RoleFile } from './commit.ts'
import type { Drafting, KeyDraft } from './key-change.ts'
import type { Keyring } from './keyring.ts'
import type { Signer } from './key-file.ts'
import type { Repository } from './repository.ts'

export type MakeDrafts = (repository: Repository, drafting: Drafting) => readonly KeyDraft[]

export type CommitKeysInput = Drafting & { readonly store: Store; readonly make: MakeDrafts }

/** Where all the keys are at hand; every one is opened before anything is written. Answers the roles that changed. */
export async function commitKeyDrafts({ keyring, ...input }: CommitKeysInput & { readonly keyring: Keyring }): Promise<readonly string[]> {
  const repository = await loadRepository(input.store)
  const drafts = input.make(repository, input)
  const files: RoleFile[] = []
  for (const draft of drafts) files.push(signedFile(draft.role, draft.value, await signersOfDraft(keyring, repository, drafts, draft)))
  const root = files.find(({ role }) => role === 'root')
  const next = root === undefined ? repository : belowNextRoot(repository, { file: root.file, signed: decodeRoot(root.file) })
  await commitFiles({ ...input, repository: next, files, signers: await onlineSigners(keyring, next) })
  return files.map(({ role }) => role)
}

/** For other machines to sign; no key is needed. */
export async function stageKeyDrafts({ stage, ...input }: CommitKeysInput & { readonly stage: Store }): Promise<readonly string[]> {
  const drafts = await stageMetadata(input.store, stage, (repository) => input.make(repository, input))
  return drafts.map(({ role }) => role)
}

/** Whoever must, for each of the authorities. */
async function signersOfDraft(
  keyring: Keyring,
  repository: Repository,
  drafts: readonly KeyDraft[],
  { role }: KeyDraft,
): Promise<readonly Signer[]> {
  const valueOf = (name: string): Root | Targets | undefined => drafts.find((draft) => draft.role === name)?.value
  const root = (valueOf('root') ?? repository.root.signed.value) as Root
  const targets = (valueOf('targets') ?? repository.targets.signed.value) as Targets
  const signers = new Map<string, Signer>()
  for (const authority of authoritiesOf(role, repository.root.signed.value, root, targets)) {
    for (const signer of await requireSigners(keyring, role, authority.role)) signers.set(signer.keyId, signer)
  }
  return [...signers.values()]
}
