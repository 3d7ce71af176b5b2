import { channelsRole, tableOfRoot, tableOfTargets } from './key-table.ts'
import { authorityOf } from './repository.ts'
import { signersOf } from './verify-signatures.ts'
import type { Metadata, TufKey } from '../../format/tuf.ts'
import type { KeyTable } from './key-table.ts'
import type { Loaded, Repository } from './repository.ts'

/** How a role stands: who may sign for it, who has, and until when that is good. */
export type RoleAccount = {
  readonly role: string
  /** Undefined for the channels while there is none. */
  readonly metadata?: { readonly version: number; readonly expires: number; readonly issued?: number }
  readonly threshold: number
  readonly keys: readonly KeyAccount[]
  /** Keys that will sign one day. */
  readonly next: readonly Omit<KeyAccount, 'hasSigned'>[]
}

export type KeyAccount = {
  readonly id: string
  readonly key: TufKey
  readonly holder?: string
  /** The metadata of now. */
  readonly hasSigned: boolean
}

/** From root down. */
export function keyAccount(repository: Repository): readonly RoleAccount[] {
  const { root, targets, channels, snapshot, timestamp } = repository
  const top = tableOfRoot(root.signed.value)
  const below = tableOfTargets(targets.signed.value)
  const of = (role: string, loaded: Loaded<Metadata> | undefined, table: KeyTable): RoleAccount =>
    accountOf(repository, role, loaded, table)
  return [
    of('root', root, top),
    of('targets', targets, top),
    ...(channels.size === 0 ? [of(channelsRole, undefined, below)] : [...channels].map(([role, loaded]) => of(role, loaded, below))),
    of('snapshot', snapshot, top),
    of('timestamp', timestamp, top),
  ]
}

function accountOf(
  repository: Repository,
  role: string,
  loaded: Loaded<Metadata> | undefined,
  { keys, roles, notes }: KeyTable,
): RoleAccount {
  const { keyIds, threshold } = roles.get(role) as { keyIds: readonly string[]; threshold: number }
  const signed = loaded === undefined ? [] : signersOf(loaded.signed, authorityIn(repository, role))
  const named = (id: string, key: TufKey): Omit<KeyAccount, 'hasSigned'> => {
    const holder = notes.holders.get(id)
    return { id, key, ...(holder === undefined ? {} : { holder }) }
  }
  return {
    role,
    ...(loaded === undefined ? {} : { metadata: metadataOf(loaded.signed.value) }),
    threshold,
    keys: keyIds.flatMap((id) => (keys.has(id) ? [{ ...named(id, keys.get(id) as TufKey), hasSigned: signed.includes(id) }] : [])),
    next: [...(notes.next.get(role) ?? [])].map(([id, key]) => named(id, key)),
  }
}

/** Where a publication was cut off, those who sign now have not signed what is there. */
function authorityIn({ root, targets }: Repository, role: string): ReturnType<typeof authorityOf> {
  return authorityOf(root.signed.value, targets.signed.value, role)
}

function metadataOf(value: Metadata): NonNullable<RoleAccount['metadata']> {
  const issued = value.kind === 'timestamp' ? value.issued : undefined
  return { version: value.version, expires: value.expires, ...(issued === undefined ? {} : { issued }) }
}
