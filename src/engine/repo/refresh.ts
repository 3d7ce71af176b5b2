import { oneChunk } from '../../base/bytes.ts'
import { isBinderyError } from '../../base/error.ts'
import { formatTime, metaFile } from '../../format/tuf.ts'
import { commitFiles, expiryAfter, nextTimestamp, onlineSigners, renewed, signedFile } from './commit.ts'
import { requireSigners } from './keyring.ts'
import { signMetadata } from './keys.ts'
import { timestampKey } from './layout.ts'
import { loadRepository, roleKeysOf } from './repository.ts'
import type { Clock } from '../../port/ambient.ts'
import type { Store } from '../../port/store.ts'
import type { Lifetimes, RoleFile } from './commit.ts'
import type { Keyring } from './keyring.ts'
import type { Signer } from './key-file.ts'
import type { Loaded, Repository } from './repository.ts'
import type { Metadata } from '../../format/tuf.ts'

export type RefreshRepositoryInput = {
  readonly store: Store
  readonly keyring: Keyring
  readonly clock: Clock
  readonly lifetimes: Lifetimes
}

export type Refreshed = {
  readonly renewed: readonly string[]
  /** Roles that expire before long, and whose keys are not at hand, with the time in milliseconds. */
  readonly expiring: readonly { readonly role: string; readonly expires: number }[]
}

const day = 86_400_000

/**
 * A new timestamp, always; all else is renewed, as it is, when a quarter of its life or less is left and its keys are at
 * hand and need nobody at a terminal.
 */
export async function refreshRepository(input: RefreshRepositoryInput): Promise<Refreshed> {
  const repository = await loadRepository(input.store)
  const due = dueRoles(input, repository)
  const files: RoleFile[] = []
  for (const [role, loaded] of due) files.push(...(await renewedFile(input, repository, role, loaded)))
  const expiring = due
    .filter(([role]) => !files.some((file) => file.role === role))
    .map(([role, { signed }]) => ({ role, expires: signed.value.expires }))
  const snapshot = files.length > 0 || isDue(input, repository.snapshot)
  if (snapshot) await commitFiles({ ...input, repository, files, signers: await onlineSigners(input.keyring, repository) })
  else await renewTimestamp(input, repository)
  return {
    renewed: [...files.map(({ role }) => role), ...(snapshot ? ['snapshot'] : []), 'timestamp'],
    expiring,
  }
}

function dueRoles(
  input: RefreshRepositoryInput,
  { root, targets, channels }: Repository,
): readonly (readonly [string, Loaded<Metadata>])[] {
  const roles: readonly (readonly [string, Loaded<Metadata>])[] = [['root', root], ['targets', targets], ...channels]
  return roles.filter(([, loaded]) => isDue(input, loaded))
}

function isDue({ clock, lifetimes }: RefreshRepositoryInput, { signed }: Loaded<Metadata>): boolean {
  return signed.value.expires - clock.now() < (lifetimes.role * day) / 4
}

async function renewedFile(
  input: RefreshRepositoryInput,
  repository: Repository,
  role: string,
  loaded: Loaded<Metadata>,
): Promise<readonly RoleFile[]> {
  const signers = await unattendedSigners(input.keyring, repository, role)
  if (signers === undefined) return []
  return [signedFile(role, renewed(loaded.signed.value, expiryAfter(input.clock, input.lifetimes.role)), signers)]
}

/** In cron there is nobody to give a passphrase (`usage`): the timestamp must be renewed all the same. */
async function unattendedSigners(keyring: Keyring, repository: Repository, role: string): Promise<readonly Signer[] | undefined> {
  try {
    return await requireSigners(keyring, role, roleKeysOf(repository, role))
  } catch (error) {
    if (isBinderyError(error, 'wrong-key') || isBinderyError(error, 'usage')) return undefined
    throw error
  }
}

async function renewTimestamp({ store, keyring, clock, lifetimes }: RefreshRepositoryInput, repository: Repository): Promise<void> {
  const signers = await requireSigners(keyring, 'timestamp', roleKeysOf(repository, 'timestamp'))
  const { file, signed } = repository.snapshot
  const timestamp = nextTimestamp(repository, metaFile(signed.value.version, file), clock, lifetimes)
  await store.put(timestampKey, oneChunk(signMetadata(timestamp, signers)))
}

export function expiringLine({ role, expires }: Refreshed['expiring'][number]): string {
  return `role ${role} expires at ${formatTime(expires)}, and its keys are not at hand`
}
