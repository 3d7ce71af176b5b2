import { hex } from '../base/bytes.ts'
import { sha256 } from '../base/digest.ts'
import { canonicalJson, formatJson } from './strict-json.ts'
import type { Json, JsonObject } from './strict-json.ts'

/**
 * TUF metadata (doc/spec/trust.md; The Update Framework specification 1.0.34, section 4) as values, the bytes that
 * signatures cover, and files. Unknown members of files that were read are kept in `extra`, as section 4 demands, and
 * written again.
 */
export const specVersion = '1.0.34'

export type Metadata = Root | Timestamp | Snapshot | Targets

type Common = {
  /** From 1. */
  readonly version: number
  /** Milliseconds since the epoch, whole seconds. */
  readonly expires: number
  readonly extra?: JsonObject
}

/** 4.3: who may sign what. */
export type Root = Common & {
  readonly kind: 'root'
  readonly consistentSnapshot: boolean
  readonly keys: ReadonlyMap<string, TufKey>
  readonly roles: Readonly<Record<TopRole, RoleKeys>>
}

export const topRoles = ['root', 'timestamp', 'snapshot', 'targets'] as const
export type TopRole = (typeof topRoles)[number]

/** 4.6: which snapshot is the newest. */
export type Timestamp = Common & {
  readonly kind: 'timestamp'
  readonly snapshot: MetaFile
  /**
   * When it was signed, in milliseconds. Ours, not of the specification: a member `issued` that other clients ignore.
   * It is the floor under a client's clock (doc/spec/trust.md).
   */
  readonly issued?: number
}

/** 4.4: the versions of all targets roles, by role name. */
export type Snapshot = Common & { readonly kind: 'snapshot'; readonly meta: ReadonlyMap<string, MetaFile> }

/** 4.5: target files by path, and who may sign for others. */
export type Targets = Common & {
  readonly kind: 'targets'
  readonly targets: ReadonlyMap<string, TargetFile>
  readonly delegations?: Delegations
}

/** A public key: ed25519 in hex, RSA and ECDSA in PEM. */
export type TufKey = {
  readonly keytype: string
  readonly scheme: string
  readonly publicKey: string
  /** As it stands in the file; the key id is the digest of this. */
  readonly json: JsonObject
}

export type RoleKeys = { readonly keyIds: readonly string[]; readonly threshold: number; readonly extra?: JsonObject }

/** Digests in lower-case hex by the names of their algorithms. */
export type Hashes = Readonly<Record<string, string>>

export type MetaFile = { readonly version: number; readonly length?: number; readonly hashes?: Hashes; readonly extra?: JsonObject }

export type TargetFile = { readonly length: number; readonly hashes: Hashes; readonly custom?: JsonObject; readonly extra?: JsonObject }

export type Delegations = {
  readonly keys: ReadonlyMap<string, TufKey>
  /** In order of priority. */
  readonly roles: readonly DelegatedRole[]
  readonly extra?: JsonObject
}

export type DelegatedRole = RoleKeys & {
  readonly name: string
  readonly terminating: boolean
  /** Path patterns, or hex prefixes of the sha256 of paths. */
  readonly scope:
    | { readonly kind: 'paths'; readonly patterns: readonly string[] }
    | { readonly kind: 'hashes'; readonly prefixes: readonly string[] }
}

/** `sig` is hex; kept as it is, since an unreadable one only does not count. */
export type Signature = { readonly keyId: string; readonly sig: string }

export type Signed<T extends Metadata = Metadata> = {
  readonly value: T
  readonly signatures: readonly Signature[]
  /** What the signatures cover: the canonical form of `signed` as it was received, unknown members and all. */
  readonly covered: Uint8Array
}

export { addSignatures, decodeMetadata, decodeRoot, decodeSnapshot, decodeTargets, decodeTimestamp } from './tuf-decode.ts'

/** The bytes to sign. */
export function canonical(metadata: Metadata): Uint8Array {
  return canonicalJson(signedJson(metadata))
}

/** A metadata file: compact, members and signatures sorted, so that the same input gives the same bytes. */
export function encodeSigned(metadata: Metadata, signatures: readonly Signature[]): Uint8Array {
  return formatJson({ signed: signedJson(metadata), signatures: signaturesJson(signatures) })
}

export function signaturesJson(signatures: readonly Signature[]): Json {
  const sorted = [...signatures].sort((a, b) => (a.keyId < b.keyId ? -1 : 1))
  return sorted.map(({ keyId, sig }) => ({ keyid: keyId, sig }))
}

export function ed25519Key(publicKey: Uint8Array): TufKey {
  const text = hex(publicKey)
  return {
    keytype: 'ed25519',
    scheme: 'ed25519',
    publicKey: text,
    json: { keytype: 'ed25519', scheme: 'ed25519', keyval: { public: text } },
  }
}

/** 4.2.1: the sha256 of the canonical form of the key. */
export function tufKeyId(key: TufKey): string {
  return sha256(canonicalJson(key.json))
}

/** What timestamp and snapshot say of a file. */
export function metaFile(version: number, file: Uint8Array): MetaFile {
  return { version, length: file.length, hashes: { sha256: sha256(file) } }
}

function signedJson(metadata: Metadata): JsonObject {
  const common = { ...metadata.extra, spec_version: specVersion, version: metadata.version, expires: formatTime(metadata.expires) }
  switch (metadata.kind) {
    case 'root':
      return { ...common, _type: 'root', ...rootJson(metadata) }
    case 'timestamp':
      return { ...common, _type: 'timestamp', meta: { 'snapshot.json': metaFileJson(metadata.snapshot) }, ...issuedJson(metadata) }
    case 'snapshot':
      return {
        ...common,
        _type: 'snapshot',
        meta: objectOf(
          metadata.meta,
          (file) => metaFileJson(file),
          (role) => `${role}.json`,
        ),
      }
    case 'targets':
      return { ...common, _type: 'targets', targets: objectOf(metadata.targets, targetJson), ...delegationsJson(metadata.delegations) }
  }
}

function rootJson(root: Root): JsonObject {
  return {
    consistent_snapshot: root.consistentSnapshot,
    keys: objectOf(root.keys, (key) => key.json),
    roles: Object.fromEntries(topRoles.map((role) => [role, roleKeysJson(root.roles[role])])),
  }
}

function issuedJson({ issued }: Timestamp): JsonObject {
  return issued === undefined ? {} : { issued: formatTime(issued) }
}

function roleKeysJson({ keyIds, threshold, extra }: RoleKeys): JsonObject {
  return { ...extra, keyids: keyIds, threshold }
}

function metaFileJson({ version, length, hashes, extra }: MetaFile): JsonObject {
  return { ...extra, version, ...(length === undefined ? {} : { length }), ...(hashes === undefined ? {} : { hashes }) }
}

function targetJson({ length, hashes, custom, extra }: TargetFile): JsonObject {
  return { ...extra, length, hashes, ...(custom === undefined ? {} : { custom }) }
}

function delegationsJson(delegations: Delegations | undefined): JsonObject {
  if (delegations === undefined) return {}
  const { keys, roles, extra } = delegations
  return { delegations: { ...extra, keys: objectOf(keys, (key) => key.json), roles: roles.map(delegatedRoleJson) } }
}

function delegatedRoleJson(role: DelegatedRole): JsonObject {
  const scope = role.scope.kind === 'paths' ? { paths: role.scope.patterns } : { path_hash_prefixes: role.scope.prefixes }
  return { ...roleKeysJson(role), name: role.name, terminating: role.terminating, ...scope }
}

/** Without a prototype: a role or target may be called `__proto__`. */
function objectOf<T>(map: ReadonlyMap<string, T>, json: (value: T) => Json, name: (key: string) => string = (key) => key): JsonObject {
  const object = Object.create(null) as Record<string, Json>
  for (const [key, value] of map) object[name(key)] = json(value)
  return object
}

/** 4.2.3; the specification has whole seconds only. */
export function formatTime(milliseconds: number): string {
  return `${new Date(milliseconds).toISOString().slice(0, 19)}Z`
}
