import { isPlainLine } from '../base/show-text.ts'
import { BinderyError } from '../base/error.ts'
import { isJsonObject } from './strict-json.ts'
import { decodeKeys } from './tuf-decode.ts'
import type { Json, JsonObject } from './strict-json.ts'
import type { TufKey } from './tuf.ts'

/** What root.json and targets.json say of keys beyond TUF, in members that other clients ignore (doc/spec/repo.md). */
export type KeyNotes = {
  /** Who holds a key, by key id. */
  readonly holders: ReadonlyMap<string, string>
  /** Keys that do not sign yet and will, by role and key id. */
  readonly next: ReadonlyMap<string, ReadonlyMap<string, TufKey>>
}

export const maxHolderChars = 64

export function isHolder(name: string): boolean {
  return name !== '' && name.length <= maxHolderChars && isPlainLine(name)
}

/** `extra` is all that a metadata file holds beyond TUF. Members of these names that mean something else are passed over. */
export function readKeyNotes(extra: JsonObject | undefined): KeyNotes {
  const holders = membersOf(extra?.['holders']).filter(
    (entry): entry is [string, string] => typeof entry[1] === 'string' && isHolder(entry[1]),
  )
  const next = membersOf(extra?.['next_keys']).map(([role, keys]) => [role, keysOrNone(keys)] as const)
  return { holders: new Map(holders), next: new Map(next) }
}

function membersOf(json: Json | undefined): readonly [string, Json][] {
  return json !== undefined && isJsonObject(json) ? Object.entries(json) : []
}

function keysOrNone(json: Json): ReadonlyMap<string, TufKey> {
  try {
    return isJsonObject(json) ? decodeKeys(json) : new Map()
  } catch (error) {
    if (error instanceof BinderyError) return new Map()
    throw error
  }
}

/** `extra` with these notes instead of its own; what is empty is left out. */
export function withKeyNotes(extra: JsonObject | undefined, { holders, next }: KeyNotes): { readonly extra?: JsonObject } {
  const { holders: _, next_keys: __, ...others } = extra ?? {}
  const announced = [...next].filter(([, keys]) => keys.size > 0)
  const all = {
    ...others,
    ...(holders.size === 0 ? {} : { holders: Object.fromEntries(holders) }),
    ...(announced.length === 0 ? {} : { next_keys: Object.fromEntries(announced.map(([role, keys]) => [role, keysJson(keys)])) }),
  }
  return Object.keys(all).length === 0 ? {} : { extra: all }
}

function keysJson(keys: ReadonlyMap<string, TufKey>): JsonObject {
  return Object.fromEntries([...keys].map(([id, { json }]) => [id, json]))
}
