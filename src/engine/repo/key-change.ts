import { BinderyError } from '../../base/error.ts'
import { topRoles, tufKeyId } from '../../format/tuf.ts'
import { expiryAfter, renewed } from './commit.ts'
import { channelsRole, rootWith, tableOfRoot, tableOfTargets, targetsWith } from './key-table.ts'
import { channelAuthority, topAuthority } from './repository.ts'
import { isSatisfied } from './verify-signatures.ts'
import type { Root, RoleKeys, Targets, TufKey } from '../../format/tuf.ts'
import type { Clock } from '../../port/ambient.ts'
import type { Lifetimes } from './commit.ts'
import type { KeyTable } from './key-table.ts'
import type { Loaded, Repository } from './repository.ts'
import type { Authority } from './verify-signatures.ts'

export type NamedKey = { readonly key: TufKey; readonly holder: string }

export type KeyChange = {
  /** Of root, timestamp, snapshot, targets and the channels; `channels` are all of these. */
  readonly roles: readonly string[]
  readonly add: readonly NamedKey[]
  /** Ids of keys that each of the roles has. */
  readonly remove: readonly string[]
  /** As it is where it is not given. */
  readonly threshold?: number | undefined
  /** Keys that will sign for the roles one day. */
  readonly announce: readonly NamedKey[]
}

/** The next version of a role, to be signed by those whom `authoritiesOf` names. */
export type KeyDraft = { readonly role: string; readonly value: Root | Targets }

export type Drafting = { readonly clock: Clock; readonly lifetimes: Lifetimes }

/**
 * What a change of keys makes of a repository: the root or targets.json that says it, and the next version of whatever a
 * removed key has signed or the new keys have not. Snapshot and timestamp are made whenever anything is committed.
 */
export function draftKeyChange(repository: Repository, change: KeyChange, { clock, lifetimes }: Drafting): readonly KeyDraft[] {
  const { top, channels } = splitRoles(repository, change.roles)
  const expires = expiryAfter(clock, lifetimes.role)
  const before = { root: repository.root.signed.value, targets: repository.targets.signed.value }
  const root = top.length === 0 ? before.root : renewed(rootWith(before.root, changeTable(tableOfRoot(before.root), top, change)), expires)
  const delegating =
    channels.length === 0 ? before.targets : targetsWith(before.targets, changeTable(tableOfTargets(before.targets), channels, change))
  const gone = (role: string): readonly string[] => ([...top, ...channels].includes(role) ? change.remove : [])
  const isTargets = delegating !== before.targets || mustSign(repository.targets, topAuthority(root, 'targets'), gone('targets'))
  const signing = [...repository.channels].filter(([role, loaded]) => mustSign(loaded, channelAuthority(delegating, role), gone(role)))
  return [
    ...(root === before.root ? [] : [{ role: 'root', value: root }]),
    ...(isTargets ? [{ role: 'targets', value: renewed(delegating, expires) }] : []),
    ...signing.map(([role, { signed }]) => ({ role, value: renewed(signed.value, expires) })),
  ]
}

/** The same keys once more, good for longer. */
export function draftRenewal(repository: Repository, roles: readonly string[], { clock, lifetimes }: Drafting): readonly KeyDraft[] {
  const expires = expiryAfter(clock, lifetimes.role)
  const { root, targets, channels } = repository
  const offline = new Map<string, Loaded<Root | Targets>>([['root', root], ['targets', targets], ...channels])
  return [...new Set(roles.flatMap((role) => expand(repository, role)))].map((role) => {
    const loaded = offline.get(role)
    if (loaded !== undefined) return { role, value: renewed(loaded.signed.value, expires) }
    throw new BinderyError('usage', 'is renewed by bindery refresh', { subject: `role ${role}` })
  })
}

function splitRoles(
  repository: Repository,
  roles: readonly string[],
): { readonly top: readonly string[]; readonly channels: readonly string[] } {
  const all = [...new Set(roles.flatMap((role) => expand(repository, role)))]
  return { top: all.filter(isTop), channels: all.filter((role) => !isTop(role)) }
}

function isTop(role: string): boolean {
  return (topRoles as readonly string[]).includes(role)
}

function expand({ channels }: Repository, role: string): readonly string[] {
  if (isTop(role) || channels.has(role)) return [role]
  if (role === channelsRole) return channels.size === 0 ? [channelsRole] : [...channels.keys()]
  const known = [...topRoles, channelsRole, ...channels.keys()].join(', ')
  throw new BinderyError('not-found', 'is no role of this repository', { subject: role, hint: `its roles are ${known}` })
}

function mustSign({ signed }: Loaded<Targets>, authority: Authority, gone: readonly string[]): boolean {
  return signed.signatures.some(({ keyId }) => gone.includes(keyId)) || !isSatisfied(signed, authority)
}

function changeTable(table: KeyTable, names: readonly string[], change: KeyChange): KeyTable {
  const roles = new Map(table.roles)
  for (const name of names) roles.set(name, changeRole(name, table, change))
  const used = new Set([...roles.values()].flatMap(({ keyIds }) => keyIds))
  const known = new Map([...table.keys, ...byId(change.add)])
  return {
    keys: new Map([...known].filter(([id]) => used.has(id))),
    roles,
    notes: changeNotes(table, used, names, change),
  }
}

function changeRole(role: string, { roles, notes }: KeyTable, { add, announce, remove, threshold: asked }: KeyChange): RoleKeys {
  const before = roles.get(role) as RoleKeys
  const threshold = asked ?? before.threshold
  const subject = `role ${role}`
  const stranger = remove.find((id) => !before.keyIds.includes(id) && notes.next.get(role)?.has(id) !== true)
  if (stranger !== undefined) throw new BinderyError('not-found', `has no key ${stranger}`, { subject })
  const known = [...add, ...announce].find(({ key }) => before.keyIds.includes(tufKeyId(key)))
  if (known !== undefined) throw new BinderyError('exists', `has the key of ${known.holder} already`, { subject })
  const keyIds = [...before.keyIds.filter((id) => !remove.includes(id)), ...byId(add).keys()]
  if (role === channelsRole && threshold !== 1)
    throw new BinderyError('usage', 'can have a threshold when there is a channel', { subject, hint: 'publish a release first' })
  if (keyIds.length < threshold) {
    const hint = keyIds.length === 0 ? 'rotate puts another key in its place' : `--threshold ${keyIds.length} would do with them`
    throw new BinderyError('usage', `would need ${threshold} signatures and have ${keyIds.length} keys`, { subject, hint })
  }
  return { ...before, keyIds, threshold }
}

function changeNotes({ notes }: KeyTable, used: ReadonlySet<string>, names: readonly string[], change: KeyChange): KeyTable['notes'] {
  const next = new Map(notes.next)
  for (const name of names) {
    // Whoever signs now is not announced any more; a key that was stolen in advance is taken back by revoking it.
    const waiting = [...(notes.next.get(name) ?? []), ...byId(change.announce)]
    const isOver = (id: string): boolean => change.remove.includes(id) || byId(change.add).has(id)
    next.set(name, new Map(waiting.filter(([id]) => !isOver(id))))
  }
  const named = new Set([...used, ...[...next.values()].flatMap((keys) => [...keys.keys()])])
  const holders = new Map([
    ...notes.holders,
    ...[...change.add, ...change.announce].map(({ key, holder }) => [tufKeyId(key), holder] as const),
  ])
  return { next, holders: new Map([...holders].filter(([id]) => named.has(id))) }
}

function byId(keys: readonly NamedKey[]): ReadonlyMap<string, TufKey> {
  return new Map(keys.map(({ key }) => [tufKeyId(key), key]))
}
