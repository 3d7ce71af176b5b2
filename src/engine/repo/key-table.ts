import { readKeyNotes, withKeyNotes } from '../../format/key-notes.ts'
import { topRoles } from '../../format/tuf.ts'
import type { KeyNotes } from '../../format/key-notes.ts'
import type { Root, RoleKeys, Targets, TopRole, TufKey } from '../../format/tuf.ts'

/** Root and targets.json say the same of the roles below them: which keys there are, which role has which, whose they are. */
export type KeyTable = {
  readonly keys: ReadonlyMap<string, TufKey>
  readonly roles: ReadonlyMap<string, RoleKeys>
  readonly notes: KeyNotes
}

/** All channels together; also those that will be, while there is none. */
export const channelsRole = 'channels'

export function tableOfRoot(root: Root): KeyTable {
  return { keys: root.keys, roles: new Map(topRoles.map((role) => [role, root.roles[role]])), notes: readKeyNotes(root.extra) }
}

export function rootWith({ extra, ...root }: Root, table: KeyTable): Root {
  const role = (name: TopRole): RoleKeys => table.roles.get(name) as RoleKeys
  const roles = { root: role('root'), timestamp: role('timestamp'), snapshot: role('snapshot'), targets: role('targets') }
  return { ...root, keys: table.keys, roles, ...withKeyNotes(extra, table.notes) }
}

/** Before the first channel the keys wait without a role (doc/decisions/0052). */
export function tableOfTargets({ delegations, extra }: Targets): KeyTable {
  const keys = delegations?.keys ?? new Map<string, TufKey>()
  const delegated = (delegations?.roles ?? []).map((role) => [role.name, role] as const)
  const waiting = [[channelsRole, { keyIds: [...keys.keys()], threshold: 1 }]] as const
  return { keys, roles: new Map<string, RoleKeys>(delegated.length === 0 ? waiting : delegated), notes: readKeyNotes(extra) }
}

export function targetsWith({ extra, ...targets }: Targets, table: KeyTable): Targets {
  const roles = (targets.delegations?.roles ?? []).map((role) => ({ ...role, ...table.roles.get(role.name) }))
  return { ...targets, delegations: { ...targets.delegations, keys: table.keys, roles }, ...withKeyNotes(extra, table.notes) }
}
