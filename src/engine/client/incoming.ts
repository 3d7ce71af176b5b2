import type { ByteStream } from '../../base/bytes.ts'
import type { Sha256 } from '../../base/digest.ts'
import type { FileEntry, Manifest } from '../../base/entry.ts'
import type { Channel } from '../../base/name.ts'
import type { RelPath } from '../../base/path.ts'
import type { Verified } from '../../base/verified.ts'
import type { ObsoleteList } from '../../format/obsolete.ts'
import type { ReleaseState } from '../../format/release-state.ts'
import type { Update } from '../../format/update.ts'

/**
 * What the network half hands to the install half: one channel's next release, downloaded and verified. Get it through
 * `withIncoming` (fetch.ts), which tries another way when a delta turns out to be broken while `tar` flows.
 */
export type Incoming = {
  readonly channel: Channel
  /** The state that this release replaces. */
  readonly installed: ReleaseState
  readonly update: Verified<Update>
  /** The records of the releases between, oldest first: what they ask for is asked for by this step. */
  readonly passed: readonly Verified<Update>[]
  readonly manifest: Verified<Manifest>
  /** The new uncompressed tar, verified while it flows; each call is a fresh pass over local files, no network. */
  tar(): ByteStream
  /**
   * Contents of files of the installed release, by digest and verified; what cannot be had without fetching a large release is
   * missing, and that is said.
   */
  oldContents(files: readonly FileEntry[]): Promise<ReadonlyMap<Sha256, Uint8Array>>
  /** How the channel's state changes with this release: ordinary last actions of the same journalled plan. */
  readonly stateFiles: readonly StateFile[]
  /** What earlier releases had, where this root has never been cleared of it. */
  readonly obsolete?: Verified<ObsoleteList> | undefined
  /** How it came, for reports: the kind of way, how many deltas, bytes over the network. */
  readonly fetched: { readonly route: 'full' | 'deltas' | 'assembled'; readonly steps: number; readonly bytes: number }
  /** The entries of the cache that belong to this release; all can go (`sweepCache`) when it is installed. */
  readonly cached: readonly Sha256[]
}

export type StateFile = {
  /** Below `var/db/bindery/channel/<role>/`. */
  readonly path: RelPath
  readonly content: (() => ByteStream) | 'remove'
  /** 0644 for what `check` reads without root, 0600 for all else. */
  readonly mode: number
  /** Bytes of the content, for the check of free space; an estimate where it is compressed on the way. */
  readonly size: number
  /**
   * A file below the root, on the file system of the state folder, that holds exactly these bytes and belongs to the
   * cache: it may be hard-linked or moved instead of copied (flash must not be worn).
   */
  readonly from?: RelPath
}
