import type { Revision } from '../base/source-change.ts'
import type { Actor, Attempt, Build } from './farm-build.ts'
import type { FarmPackage } from './farm-catalog.ts'

/**
 * Who builds what: each build that waits is in the queue once, and with one builder at a time. What moves in the queue moves in the catalog in
 * the same transaction, so that neither can say something else than the other.
 */
export type FarmQueue = {
  /** The next build that this builder can do, security first; undefined where there is none, or the builder or the branch is paused. */
  claim(builder: string): Promise<Claim | undefined>
  /** What an attempt is of, ended or not: whoever calls for it may have been away while the controller was started anew. */
  claimOf(attempt: number): Promise<Claim | undefined>
  /** `lost`: another has it by now, or nobody is to have it; whoever calls drops its work. */
  beat(attempt: number, log: { readonly size: number }): Promise<'held' | 'lost'>
  /** Answers `lost` as `beat` does, and then nothing was changed. The same end again is no error. */
  finish(attempt: number, end: AttemptEnd): Promise<'ended' | 'lost'>
  /** Puts builds of lost builders back; one that loses its builders again and again is quarantined. */
  expire(): Promise<readonly Lost[]>
  /** Leases begin anew: nobody could say that he lives while there was no controller, or no database. */
  renew(): Promise<void>
  /** Ends the attempts of these builders, of whom it is known that they do nothing any more. */
  releaseAll(builders: readonly string[], why: string): Promise<readonly Attempt[]>
  /** `conflict` where the state of the build does not allow it. */
  cancel(build: number, actor: Actor): Promise<void>
  retry(build: number, actor: Actor): Promise<void>
  prioritise(build: number, priority: number, actor: Actor): Promise<void>
  /** Puts builds that wait and are in no queue into it, and takes those out that do not wait: after an import, and where a queue was lost. */
  repair(): Promise<number>
  /** Resolves when something came into the queue, or after so long. */
  changed(milliseconds: number): Promise<void>
}

export type Lost = { readonly attempt: Attempt; readonly becomes: 'waiting' | 'quarantined' }

export type Claim = {
  readonly build: Build
  readonly attempt: Attempt
  readonly release: string
  /** What the sources are brought to. */
  readonly revision: Revision
}

export type AttemptEnd =
  | { readonly kind: 'built'; readonly packages: readonly NewPackage[]; readonly logSize: number }
  | { readonly kind: 'failed'; readonly why: string; readonly lines: readonly string[]; readonly logSize: number }
  /** Given back, for somebody else to take. */
  | { readonly kind: 'released'; readonly why: string }

export type NewPackage = Omit<FarmPackage, 'id' | 'build'>
