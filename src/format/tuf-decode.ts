import { BinderyError } from '../base/error.ts'
import { canonicalJson, formatJson, isJsonObject, otherMembers, parseJson } from './strict-json.ts'
import type { Json, JsonObject } from './strict-json.ts'
import type {
  DelegatedRole,
  Delegations,
  Hashes,
  MetaFile,
  Metadata,
  Root,
  RoleKeys,
  Signature,
  Signed,
  Snapshot,
  TargetFile,
  Targets,
  Timestamp,
  TufKey,
} from './tuf.ts'

/** Reads TUF metadata strictly: everything the specification demands of a file by itself, `bad-format` where it fails. */

const commonMembers = ['_type', 'spec_version', 'version', 'expires']
/** A role's file name in a client's store must stay below the 255 bytes of a name. */
const maxRoleFileName = 200
const topNames = ['root', 'timestamp', 'snapshot', 'targets']

export function decodeRoot(file: Uint8Array): Signed<Root> {
  return decodeAs(file, 'root', rootOf)
}

export function decodeTimestamp(file: Uint8Array): Signed<Timestamp> {
  return decodeAs(file, 'timestamp', timestampOf)
}

export function decodeSnapshot(file: Uint8Array): Signed<Snapshot> {
  return decodeAs(file, 'snapshot', snapshotOf)
}

/** Also for delegated roles, whose `_type` is `targets` as well. */
export function decodeTargets(file: Uint8Array): Signed<Targets> {
  return decodeAs(file, 'targets', targetsOf)
}

/** Whatever it says it is: for tools that sign or show; a client says what it expects. */
export function decodeMetadata(file: Uint8Array): Signed {
  const { signed } = envelopeOf(file)
  switch (text(signed, '_type')) {
    case 'root':
      return decodeRoot(file)
    case 'timestamp':
      return decodeTimestamp(file)
    case 'snapshot':
      return decodeSnapshot(file)
    case 'targets':
      return decodeTargets(file)
    default:
      throw bad(`'_type' is ${text(signed, '_type')}`)
  }
}

/** The file with further signatures, which replace those of the same keys; what is signed stays as it is. */
export function addSignatures(file: Uint8Array, signatures: readonly Signature[]): Uint8Array {
  const { signed, signatures: old } = envelopeOf(file)
  const added = new Set(signatures.map(({ keyId }) => keyId))
  const all = [...old.filter(({ keyId }) => !added.has(keyId)), ...signatures].sort((a, b) => (a.keyId < b.keyId ? -1 : 1))
  return formatJson({ signed, signatures: all.map(({ keyId, sig }) => ({ keyid: keyId, sig })) })
}

function decodeAs<T extends Metadata>(file: Uint8Array, type: string, read: (signed: JsonObject) => T): Signed<T> {
  const { signed, signatures } = envelopeOf(file)
  // A snapshot that some key signed must not pass for a timestamp that the same key may sign.
  if (text(signed, '_type') !== type) throw bad(`'_type' is ${text(signed, '_type')}, not ${type}`)
  checkSpecVersion(text(signed, 'spec_version'))
  return { value: read(signed), signatures, covered: canonicalJson(signed) }
}

type Envelope = { readonly signed: JsonObject; readonly signatures: readonly Signature[] }

function envelopeOf(file: Uint8Array): Envelope {
  const envelope = parseJson(file)
  if (!isJsonObject(envelope)) throw bad('is no JSON object')
  const signatures = list(envelope, 'signatures').map(signatureOf)
  // 4.2.1: "multiple signatures with the same keyid are not allowed".
  checkUnique(
    signatures.map(({ keyId }) => keyId),
    'signatures by key',
  )
  return { signed: object(envelope, 'signed'), signatures }
}

function signatureOf(json: Json): Signature {
  if (!isJsonObject(json)) throw bad("'signatures' holds something that is no object")
  return { keyId: text(json, 'keyid'), sig: text(json, 'sig') }
}

/** 4.3: any minor version of the first major one is read. */
function checkSpecVersion(version: string): void {
  if (/^1\.[0-9]{1,4}(?:\.[0-9]{1,4})?$/.test(version)) return
  throw new BinderyError('not-supported', `is written by version '${version}' of the TUF specification, not 1`)
}

function commonOf(signed: JsonObject, known: readonly string[]): { version: number; expires: number; extra?: JsonObject } {
  return { version: count(signed, 'version', 1), expires: time(signed, 'expires'), ...extraOf(signed, [...commonMembers, ...known]) }
}

function rootOf(signed: JsonObject): Root {
  const roles = object(signed, 'roles')
  const role = (name: string): RoleKeys => roleKeysOf(object(roles, name), ['keyids', 'threshold'])
  return {
    ...commonOf(signed, ['consistent_snapshot', 'keys', 'roles']),
    kind: 'root',
    consistentSnapshot: flag(signed, 'consistent_snapshot'),
    keys: decodeKeys(object(signed, 'keys')),
    roles: { root: role('root'), timestamp: role('timestamp'), snapshot: role('snapshot'), targets: role('targets') },
  }
}

function timestampOf(signed: JsonObject): Timestamp {
  const meta = object(signed, 'meta')
  // 4.6: "this MUST only include a description of the snapshot.json file".
  if (Object.keys(meta).length !== 1) throw bad("'meta' lists more than snapshot.json")
  const issued = signed['issued'] === undefined ? {} : { issued: time(signed, 'issued') }
  return { ...commonOf(signed, ['meta', 'issued']), kind: 'timestamp', snapshot: metaFileOf(object(meta, 'snapshot.json')), ...issued }
}

function snapshotOf(signed: JsonObject): Snapshot {
  const meta = new Map<string, MetaFile>()
  for (const [name, file] of Object.entries(object(signed, 'meta'))) {
    if (!name.endsWith('.json') || !isJsonObject(file)) throw bad(`'meta' holds '${name}', which describes no metadata file`)
    meta.set(name.slice(0, -'.json'.length), metaFileOf(file))
  }
  return { ...commonOf(signed, ['meta']), kind: 'snapshot', meta }
}

function targetsOf(signed: JsonObject): Targets {
  const targets = new Map<string, TargetFile>()
  for (const [path, file] of Object.entries(object(signed, 'targets'))) {
    if (path === '' || !isJsonObject(file)) throw bad(`'targets' holds '${path}', which describes no target`)
    targets.set(path, targetFileOf(file))
  }
  const delegations = signed['delegations'] === undefined ? {} : { delegations: delegationsOf(object(signed, 'delegations')) }
  return { ...commonOf(signed, ['targets', 'delegations']), kind: 'targets', targets, ...delegations }
}

function metaFileOf(json: JsonObject): MetaFile {
  return {
    version: count(json, 'version', 1),
    ...(json['length'] === undefined ? {} : { length: count(json, 'length', 0) }),
    ...(json['hashes'] === undefined ? {} : { hashes: hashesOf(object(json, 'hashes')) }),
    ...extraOf(json, ['version', 'length', 'hashes']),
  }
}

function targetFileOf(json: JsonObject): TargetFile {
  return {
    length: count(json, 'length', 0),
    hashes: hashesOf(object(json, 'hashes')),
    ...(json['custom'] === undefined ? {} : { custom: object(json, 'custom') }),
    ...extraOf(json, ['length', 'hashes', 'custom']),
  }
}

function hashesOf(json: JsonObject): Hashes {
  const hashes = Object.create(null) as Record<string, string>
  for (const name of Object.keys(json)) hashes[name] = hexText(text(json, name), `hashes.${name}`)
  if (Object.keys(hashes).length === 0) throw bad("'hashes' is empty")
  return hashes
}

function delegationsOf(json: JsonObject): Delegations {
  const roles = list(json, 'roles').map(delegatedRoleOf)
  checkUnique(
    roles.map(({ name }) => name),
    'delegations to',
  )
  return { keys: decodeKeys(object(json, 'keys')), roles, ...extraOf(json, ['keys', 'roles']) }
}

function delegatedRoleOf(json: Json): DelegatedRole {
  if (!isJsonObject(json)) throw bad("'roles' holds something that is no object")
  const name = text(json, 'name')
  if (name === '' || topNames.includes(name)) throw bad(`delegates to a role called '${name}'`)
  if (encodeURIComponent(name).length > maxRoleFileName)
    throw new BinderyError('over-limit', 'delegates to a role with a name too long for a file')
  const terminating = json['terminating'] === undefined ? false : flag(json, 'terminating')
  return {
    name,
    terminating,
    scope: scopeOf(json),
    ...roleKeysOf(json, ['keyids', 'threshold', 'name', 'terminating', 'paths', 'path_hash_prefixes']),
  }
}

/** 4.5: one of the two, or neither, which covers no path at all. */
function scopeOf(json: JsonObject): DelegatedRole['scope'] {
  const { paths, path_hash_prefixes: prefixes } = json
  if (paths !== undefined && prefixes !== undefined) throw bad("a delegation has both 'paths' and 'path_hash_prefixes'")
  if (prefixes === undefined) return { kind: 'paths', patterns: paths === undefined ? [] : texts(json, 'paths') }
  return { kind: 'hashes', prefixes: texts(json, 'path_hash_prefixes').map((prefix) => hexText(prefix, 'path_hash_prefixes')) }
}

function roleKeysOf(json: JsonObject, known: readonly string[]): RoleKeys {
  const keyIds = texts(json, 'keyids')
  checkUnique(keyIds, 'keyids:')
  return { keyIds, threshold: count(json, 'threshold', 1), ...extraOf(json, known) }
}

export function decodeKeys(json: JsonObject): ReadonlyMap<string, TufKey> {
  const keys = new Map<string, TufKey>()
  for (const id of Object.keys(json)) {
    const key = object(json, id)
    keys.set(id, {
      keytype: text(key, 'keytype'),
      scheme: text(key, 'scheme'),
      publicKey: text(object(key, 'keyval'), 'public'),
      json: key,
    })
  }
  return keys
}

function extraOf(json: JsonObject, known: readonly string[]): { extra?: JsonObject } {
  const extra = otherMembers(json, known)
  return extra === undefined ? {} : { extra }
}

function checkUnique(values: readonly string[], what: string): void {
  const seen = new Set<string>()
  for (const value of values) {
    if (seen.has(value)) throw bad(`has two ${what} ${value}`)
    seen.add(value)
  }
}

function object(json: JsonObject, name: string): JsonObject {
  const value = json[name]
  if (!isJsonObject(value)) throw bad(`'${name}' is no object`)
  return value
}

function list(json: JsonObject, name: string): readonly Json[] {
  const value = json[name]
  if (!Array.isArray(value)) throw bad(`'${name}' is no list`)
  return value as readonly Json[]
}

function text(json: JsonObject, name: string): string {
  const value = json[name]
  if (typeof value !== 'string') throw bad(`'${name}' is no string`)
  return value
}

function texts(json: JsonObject, name: string): readonly string[] {
  const values = list(json, name)
  if (!values.every((value) => typeof value === 'string')) throw bad(`'${name}' holds something that is no string`)
  return values
}

function flag(json: JsonObject, name: string): boolean {
  const value = json[name]
  if (value === undefined || typeof value === 'boolean') return value ?? false
  throw bad(`'${name}' is neither true nor false`)
}

function count(json: JsonObject, name: string, least: number): number {
  const value = json[name]
  if (typeof value !== 'number' || value < least) throw bad(`'${name}' is no number from ${least}`)
  return value
}

function hexText(value: string, name: string): string {
  if (!/^[0-9a-fA-F]+$/.test(value)) throw bad(`'${name}' holds something that is no hex`)
  return value.toLowerCase()
}

/** 4.2.3: YYYY-MM-DDTHH:MM:SSZ; the fractions that tuf-js writes are read as well. */
function time(json: JsonObject, name: string): number {
  const value = text(json, name)
  const milliseconds = /^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?Z$/.test(value) ? Date.parse(value) : NaN
  if (Number.isNaN(milliseconds)) throw bad(`'${name}' is no date and time in UTC`)
  return milliseconds
}

function bad(message: string): BinderyError {
  return new BinderyError('bad-format', message)
}
