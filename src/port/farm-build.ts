/** One port at one state of its sources on one architecture, as the farm's catalog knows it. Times are milliseconds since the epoch. */
export type BuildState =
  | 'waiting'
  | 'building'
  | 'built'
  | 'failed'
  | 'quarantined'
  | 'cancelled'
  | 'handed-over'
  | 'signed'
  | 'published'
  | 'superseded'

/** Which state may follow which (engine/farm/pipeline.ts): the catalog refuses what is not in it. */
export type Transitions = { readonly statesBefore: (to: BuildState) => readonly BuildState[] }

/** What becomes of a build that failed. */
export type Retry = { readonly kind: 'again'; readonly afterSeconds: number } | { readonly kind: 'quarantine' }

/** What the engine decides for the catalog and the queue (engine/farm/rules.ts). */
export type FarmRules = Transitions & {
  readonly afterFailure: (failures: number) => Retry
  /** After a build has lost so many builders, only a person has it tried again. */
  readonly mostLosses: number
  /** Builds of this priority and higher ones come before those of any other branch. */
  readonly urgentPriority: number
}

export type Build = {
  readonly id: number
  readonly branch: string
  readonly pkgpath: string
  readonly arch: string
  /** Fullpkgpaths, in byte order. */
  readonly packages: readonly string[]
  readonly state: BuildState
  /** Higher ones first. */
  readonly priority: number
  readonly isSecurity: boolean
  /** Failures in a row since it last waited by a person's wish. */
  readonly failures: number
  /** When a failed one is tried again. */
  readonly notBefore: number | undefined
  /** Since when it is in this state. */
  readonly since: number
}

/** One try of one builder. */
export type Attempt = {
  readonly id: number
  readonly build: number
  /** From 1 on, within its build. */
  readonly number: number
  readonly builder: string
  readonly started: number
  readonly heartbeat: number
  readonly ended: number | undefined
  readonly outcome: AttemptOutcome | undefined
  readonly why: string
  /** What its log says of a failure. */
  readonly lines: readonly string[]
  /** Below the farm's folder. */
  readonly logFile: string
  readonly logSize: number
}

export type AttemptOutcome = 'built' | 'failed' | 'lost' | 'released' | 'cancelled' | 'superseded'

/** Who does something: a person by name, a builder, or the farm itself. It stands in the audit trail. */
export type Actor = string
