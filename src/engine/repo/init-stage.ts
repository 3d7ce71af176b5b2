import { oneChunk } from '../../base/bytes.ts'
import { BinderyError } from '../../base/error.ts'
import { withKeyNotes } from '../../format/key-notes.ts'
import { decodeRoot, decodeTargets, encodeSigned, tufKeyId } from '../../format/tuf.ts'
import { expiryAfter } from './commit.ts'
import { firstTargets, initialKeys, keyNamed, putFirst, refuseExisting } from './init.ts'
import { metadataKey } from './layout.ts'
import { holdersOf, verifyStaged } from './stage-signers.ts'
import { openStage } from './stage.ts'
import type { Root, RoleKeys } from '../../format/tuf.ts'
import type { Store } from '../../port/store.ts'
import type { InitInput } from './init.ts'
import type { NamedKey } from './key-change.ts'
import type { StagedFile } from './stage.ts'

/** The keys that the machine which publishes makes and keeps; those of root and targets are other people's. */
export const onlineKeys = initialKeys.filter((name) => name !== 'root' && name !== 'targets')

export type Founders = {
  readonly root: readonly NamedKey[]
  /** The same as root's where there is none. */
  readonly targets: readonly NamedKey[]
  /** Of root and of targets. */
  readonly threshold: number
}

/** The first root and targets.json for their holders to sign, each on a machine of his own. */
export async function stageInit(input: Omit<InitInput, 'store'> & { readonly stage: Store; readonly founders: Founders }): Promise<void> {
  const { stage, founders } = input
  const [there] = await stage.list('metadata/')
  if (there !== undefined) throw new BinderyError('exists', 'waits to be signed', { subject: there, hint: 'take another folder' })
  const expires = expiryAfter(input.clock, input.lifetimes.role)
  const root = foundedRoot(input, founders, expires)
  await stage.put(metadataKey('targets', 1), oneChunk(encodeSigned(firstTargets(input, expires), [])))
  await stage.put(metadataKey('root', 1), oneChunk(encodeSigned(root, [])))
}

/** The first root and targets.json as their holders have signed them. */
export type Founded = { readonly root: Uint8Array; readonly targets: Uint8Array }

/**
 * `bad-signature` with who is missing, until the thresholds are reached; `conflict` where the stage names others than the
 * founders: on its way somebody may have put his own keys in their place, and signed with these.
 */
export async function foundedFiles(stage: Store, founders: Founders): Promise<Founded> {
  const { base, files } = await openStage(stage)
  if (base !== undefined) throw new BinderyError('conflict', 'changes a repository that is there, and begins none')
  checkFounders(files, foundersRoles(founders))
  for (const file of files) verifyStaged(file, holdersOf(undefined, files))
  const fileOf = (role: string): Uint8Array => (files.find((file) => file.role === role) as StagedFile).file
  return { root: fileOf('root'), targets: fileOf('targets') }
}

export async function finishInit({ founded, ...input }: InitInput & { readonly founded: Founded }): Promise<void> {
  await refuseExisting(input.store)
  await putFirst(input, founded, decodeRoot(founded.root).value, decodeTargets(founded.targets).value)
}

function foundedRoot(input: Pick<InitInput, 'keyring'>, founders: Founders, expires: number): Root {
  const online = (name: 'snapshot' | 'timestamp'): NamedKey => ({ key: keyNamed(input.keyring, name), holder: name })
  const [snapshot, timestamp] = [online('snapshot'), online('timestamp')]
  const all = [...founders.root, ...founders.targets, snapshot, timestamp]
  return {
    kind: 'root',
    version: 1,
    expires,
    consistentSnapshot: true,
    keys: new Map(all.map(({ key }) => [tufKeyId(key), key])),
    roles: {
      ...foundersRoles(founders),
      snapshot: roleOf('snapshot', [snapshot], 1),
      timestamp: roleOf('timestamp', [timestamp], 1),
    },
    ...withKeyNotes(undefined, { holders: new Map(all.map(({ key, holder }) => [tufKeyId(key), holder])), next: new Map() }),
  }
}

function foundersRoles({ root, targets, threshold }: Founders): Pick<Root['roles'], 'root' | 'targets'> {
  return { root: roleOf('root', root, threshold), targets: roleOf('targets', targets.length === 0 ? root : targets, threshold) }
}

function checkFounders(files: readonly StagedFile[], asked: Pick<Root['roles'], 'root' | 'targets'>): void {
  const { roles } = (files.find(({ role }) => role === 'root') as StagedFile).signed.value as Root
  for (const role of ['root', 'targets'] as const) {
    const isSame =
      roles[role].threshold === asked[role].threshold && [...roles[role].keyIds].sort().join() === [...asked[role].keyIds].sort().join()
    if (!isSame) throw new BinderyError('conflict', 'has other keys in the folder than on the command line', { subject: `role ${role}` })
  }
}

function roleOf(role: string, keys: readonly NamedKey[], threshold: number): RoleKeys {
  const keyIds = [...new Set(keys.map(({ key }) => tufKeyId(key)))]
  if (keyIds.length < threshold)
    throw new BinderyError('usage', `would need ${threshold} signatures and have ${keyIds.length} keys`, { subject: `role ${role}` })
  return { keyIds, threshold }
}
