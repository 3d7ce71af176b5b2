import { channelsRole, tableOfRoot, tableOfTargets } from './key-table.ts'
import { currentOf } from './stage.ts'
import type { RoleKeys } from '../../format/tuf.ts'
import type { KeyTable } from './key-table.ts'
import type { Repository } from './repository.ts'
import type { Stage, StagedFile } from './stage.ts'

/** What a staged root or targets.json changes in who may sign for one role. */
export type RoleKeysChange = {
  readonly role: string
  /** Undefined for a role that begins. */
  readonly oldThreshold?: number
  readonly threshold: number
  readonly kept: readonly string[]
  readonly removed: readonly string[]
  readonly added: readonly { readonly keyId: string; readonly isAnnounced: boolean }[]
  /** Keys that are told of now, for another time. */
  readonly announced: readonly string[]
}

export function keyChanges({ role, signed: { value } }: StagedFile, { base }: Stage): readonly RoleKeysChange[] {
  if (value.kind !== 'root' && !(role === 'targets' && value.kind === 'targets')) return []
  const next = value.kind === 'root' ? tableOfRoot(value) : tableOfTargets(value)
  const before = tableBefore(role, base)
  return [...next.roles]
    .filter(([name]) => before === undefined || before.roles.has(name))
    .map(([name, keys]) => changeOf(name, keys, next, before))
    .filter(isChange)
}

function tableBefore(role: string, base: Repository | undefined): KeyTable | undefined {
  const value = currentOf(role, base)?.signed.value
  if (value === undefined) return undefined
  return value.kind === 'root' ? tableOfRoot(value) : tableOfTargets(value)
}

function changeOf(role: string, { keyIds, threshold }: RoleKeys, next: KeyTable, before: KeyTable | undefined): RoleKeysChange {
  const old = before?.roles.get(role)
  const known = before?.notes.next.get(role)
  return {
    role,
    ...(old === undefined ? {} : { oldThreshold: old.threshold }),
    threshold,
    kept: keyIds.filter((id) => old?.keyIds.includes(id) === true),
    removed: (old?.keyIds ?? []).filter((id) => !keyIds.includes(id)),
    added: keyIds.filter((id) => old?.keyIds.includes(id) !== true).map((keyId) => ({ keyId, isAnnounced: known?.has(keyId) === true })),
    announced: [...(next.notes.next.get(role)?.keys() ?? [])].filter((id) => known?.has(id) !== true),
  }
}

function isChange({ oldThreshold, threshold, removed, added, announced }: RoleKeysChange): boolean {
  return oldThreshold !== threshold || [removed, added, announced].some((ids) => ids.length > 0)
}

type NameOf = (keyId: string) => string

export function keyChangeLines(
  { role, oldThreshold, threshold, kept, removed, added, announced }: RoleKeysChange,
  nameOf: NameOf,
): readonly string[] {
  const now = `${threshold} of ${kept.length + added.length} keys`
  const before = oldThreshold === undefined ? '' : `${oldThreshold} of ${kept.length + removed.length} keys -> `
  const isNew = oldThreshold === undefined
  return [
    `  who signs for ${role === channelsRole ? 'channels to come' : role}: ${before}${now}`,
    ...kept.map((id) => `    keeps ${nameOf(id)}`),
    ...removed.map((id) => `    removes ${nameOf(id)}`),
    ...added.map(
      ({ keyId, isAnnounced }) =>
        `    adds ${nameOf(keyId)}${isNew ? '' : isAnnounced ? ', which was announced' : ', which was NOT announced'}`,
    ),
    ...announced.map((id) => `    announces ${nameOf(id)}`),
  ]
}
