import type { Sha256 } from '../../base/digest.ts'
import type { Verified } from '../../base/verified.ts'
import type { JsonObject } from '../../format/strict-json.ts'
import type { Clock } from '../../port/ambient.ts'
import type { Root, TargetFile } from '../../format/tuf.ts'

/**
 * Where a client keeps the metadata that it trusts: files by simple names, byte-identical to what was served.
 * `save` is atomic and durable when it returns; `remove` of what is not there does nothing.
 */
export type TrustStore = {
  load(file: string): Promise<Uint8Array | undefined>
  save(file: string, bytes: Uint8Array): Promise<void>
  remove(file: string): Promise<void>
}

/** Where metadata comes from: nobody trusts it. */
export type MetadataSource = {
  /**
   * `file` is relative to the metadata's URL and already quoted for one. At most `limit` bytes are read (`over-limit`
   * beyond). With `ifChangedFrom`, an `etag` of an earlier answer, the answer may be `unchanged`. What an `etag` holds
   * is the source's own business.
   */
  readonly fetch: (file: string, limit: number, ifChangedFrom?: string) => Promise<SourceAnswer>
}

export type SourceAnswer =
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array; readonly etag?: string }
  | { readonly kind: 'absent' }
  | { readonly kind: 'unchanged' }

export type RefreshInput = {
  readonly store: TrustStore
  readonly source: MetadataSource
  /** Read once, at the start (5.1). */
  readonly clock: Clock
  /**
   * `specification`: root, timestamp, snapshot, targets at each refresh. `timestamp-first` (default): while the stored
   * metadata is good and a new root was looked for within a day, one conditional request for timestamp.json
   * (doc/decisions/0042).
   */
  readonly order?: 'specification' | 'timestamp-first'
  /** The newest time that the caller knows to have passed, in milliseconds: a clock before it is taken to be wrong. */
  readonly floor?: number
  /** For how many milliseconds what has expired is still taken; what is stale then is told by `staleSince`. None for the specification. */
  readonly grace?: number
  readonly limits?: Partial<Limits>
}

/** The numbers that the specification leaves to the application. */
export type Limits = {
  /** W in 5.3.3, in bytes. */
  readonly root: number
  /** Y in 5.3.3. */
  readonly rootRotations: number
  /** X in 5.4.1, in bytes. */
  readonly timestamp: number
  /** Bytes where timestamp.json names no length (5.5.1). */
  readonly snapshot: number
  /** Bytes where snapshot.json names no length (5.6.1). */
  readonly targets: number
  /** Bytes, whatever length is signed. */
  readonly ceiling: number
  /** How many roles one search visits (5.6.7.1). */
  readonly visitedRoles: number
}

export type TargetInfo = {
  readonly path: string
  readonly length: number
  readonly sha256: Sha256
  readonly custom?: JsonObject
}

/** A consistent view of a repository, all of it verified. */
export type Trust = {
  /** Undefined where no role that may speak for `path` lists it. May fetch delegated roles. */
  target(path: string): Promise<Verified<TargetInfo> | undefined>
  /** The same with whatever hashes the metadata has. */
  findTarget(path: string): Promise<Verified<FoundTarget> | undefined>
  /**
   * All that a role lists within its delegation, for roles to which targets.json delegates directly; `not-found` where
   * it does not. May fetch the role.
   */
  targetsOf(role: string): Promise<Verified<readonly TargetInfo[]>>
  /** The roles to which targets.json delegates directly. */
  readonly delegated: readonly string[]
  /** Since when the first of what was loaded is expired, in milliseconds since the epoch; undefined where nothing is. */
  staleSince(): number | undefined
  /** The time, in milliseconds: the clock's, or that of the newest signature. */
  readonly now: number
  /** Whether this refresh brought anything new. */
  readonly changed: boolean
  /** How many milliseconds the clock is behind the newest trusted time; absent where it is not. */
  readonly clockBehind?: number
  readonly root: Verified<Root>
}

export type FoundTarget = TargetFile & { readonly path: string; readonly role: string }
