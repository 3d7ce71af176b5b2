import type { Sha256 } from '../base/digest.ts'
import type { Branch } from '../base/farm-branch.ts'
import type { Revision } from '../base/source-change.ts'
import type { Actor, Attempt, Build, BuildState } from './farm-build.ts'

/**
 * What the farm remembers: branches, states of their sources, updates, builds, packages, handovers, publications, mirrors, builders, and who
 * did what. Each method is one transaction. A transition that the table of states does not have is refused with `conflict`.
 */
export type FarmCatalog = {
  /** These and no others. Builds that no branch wants any more are cancelled, and wait again when one does. */
  putBranches(branches: readonly Branch[], actor: Actor): Promise<WantedAnew>
  branches(): Promise<readonly KnownBranch[]>
  pauseBranch(name: string, paused: boolean, actor: Actor): Promise<void>

  /** What a look at the sources came to: nothing, or why it failed. Answers whether that is another thing than before, which is an event then. */
  noteLook(branch: string, failure: string | undefined): Promise<boolean>
  /** The digest of the newest state of a branch's sources, undefined where none was seen. */
  lastSource(branch: string): Promise<{ readonly digest: string; readonly seen: number } | undefined>
  /** What the plan is made against: the newest update of each port of the branch, with its builds. */
  known(branch: string): Promise<readonly KnownUpdate[]>
  /** Writes the state, its updates and builds, and what they supersede. A plan that was applied already does nothing. */
  apply(plan: SourcePlan, actor: Actor): Promise<Applied>

  build(id: number): Promise<Build | undefined>
  /** Of one branch and architecture, in order of their ids. */
  buildsIn(states: readonly BuildState[], where?: { readonly branch?: string; readonly arch?: string }): Promise<readonly Build[]>
  attemptsOf(build: number): Promise<readonly Attempt[]>
  packagesOf(build: number): Promise<readonly FarmPackage[]>
  /** By pkgpath: CVEs and subjects of commits, of those of these builds that close a hole. */
  securityOf(builds: readonly number[]): Promise<ReadonlyMap<string, readonly string[]>>
  /** Refused with `conflict` where one of them is in no state before `to`; then none is moved. */
  move(builds: readonly number[], to: BuildState, by: { readonly actor: Actor; readonly why?: string }): Promise<void>
  counts(): Promise<readonly BuildCount[]>

  /** Moves the builds to `handed-over`; `handedPackages` are of them. */
  addHandover(handover: NewHandover, actor: Actor): Promise<number>
  handovers(states: readonly HandoverState[]): Promise<readonly Handover[]>
  noteNotified(handover: number): Promise<void>
  /** `signed`, `published`: its builds follow. `withdrawn`, `stale`: they are built again, to be handed over anew. */
  moveHandover(handover: number, to: HandoverState, by: { readonly actor: Actor; readonly why?: string }): Promise<void>
  addPublication(publication: Publication): Promise<void>
  /** Changes with each publication. */
  lastPublication(): Promise<string | undefined>

  putMirror(place: string): Promise<void>
  /** The last of them for each mirror, branch and architecture; seeing the same again moves only its time. */
  addSighting(sighting: NewSighting): Promise<void>
  sightings(): Promise<readonly Sighting[]>

  putBuilder(builder: Builder, actor: Actor): Promise<void>
  builders(): Promise<readonly KnownBuilder[]>
  pauseBuilder(name: string, paused: boolean, actor: Actor): Promise<void>
  quarantineBuilder(name: string, quarantined: boolean, actor: Actor): Promise<void>
  removeBuilder(name: string, actor: Actor): Promise<void>
  noteBuilder(name: string, load: number): Promise<void>

  putOperator(operator: Operator, actor: Actor): Promise<void>
  operators(): Promise<readonly Operator[]>
  removeOperator(name: string, actor: Actor): Promise<void>

  putReport(report: Report): Promise<void>
  /** Its reports and its key: whoever reports next under this name is believed. `not-found` where there is no such machine. */
  forgetMachine(machine: string, actor: Actor): Promise<void>
  reports(): Promise<readonly Report[]>

  addEvent(event: NewEvent): Promise<void>
  /** Older than so many days, and of no use to a page: only the newest log of a build that has not ended is. */
  oldLogs(days: number, limit: number): Promise<readonly OldFile[]>
  forgetLogs(attempts: readonly number[]): Promise<void>
  /** Of handovers that are done with; no open one has the same. */
  oldRequests(days: number): Promise<readonly OldFile[]>
  forgetRequests(handovers: readonly number[]): Promise<void>
  /** Events, but for those of what has not ended, and how mirrors stood. Answers how many went. */
  dropEvents(days: number): Promise<number>
  /** Newest first, from the one before `before` on. */
  events(page: { readonly before?: number; readonly limit: number }): Promise<readonly FarmEvent[]>
}

export type WantedAnew = { readonly cancelled: readonly Build[]; readonly waiting: readonly Build[] }

export type KnownBranch = Branch & { readonly paused: boolean; readonly failure: LookFailure | undefined }

/** Looks at the sources fail since then; `why` is what the last one said. */
export type LookFailure = { readonly since: number; readonly why: string }

export type KnownUpdate = {
  readonly pkgpath: string
  readonly key: string
  readonly builds: readonly { readonly id: number; readonly arch: string; readonly state: BuildState }[]
}

/** What one look at the sources of a branch comes to (engine/farm/plan.ts). */
export type SourcePlan = {
  readonly branch: string
  readonly digest: string
  readonly from: string
  readonly to: string
  /** What its builds bring the sources to. */
  readonly revision: Revision
  readonly updates: readonly PlannedUpdate[]
  /** Builds of states of the sources that are past; those that have come further than `from` since are left alone. */
  readonly superseded: { readonly builds: readonly number[]; readonly from: readonly BuildState[] }
}

export type PlannedUpdate = {
  readonly pkgpath: string
  /** Over the paths of the port that changed and their revisions: what names the work. */
  readonly key: string
  readonly isSecurity: boolean
  readonly cves: readonly string[]
  /** Subjects of the commits. */
  readonly messages: readonly string[]
  readonly builds: readonly { readonly arch: string; readonly packages: readonly string[]; readonly priority: number }[]
}

export type Applied = { readonly updates: number; readonly queued: readonly Build[]; readonly superseded: readonly Build[] }

export type FarmPackage = {
  readonly id: number
  readonly build: number
  readonly file: string
  readonly pkgpath: string
  readonly sha256: Sha256
  readonly size: number
  readonly signature: string
  /** Undefined where it was built once. */
  readonly reproducible: boolean | undefined
}

export type BuildCount = { readonly branch: string; readonly arch: string; readonly state: BuildState; readonly count: number }

export type HandoverState = 'requested' | 'signed' | 'published' | 'withdrawn' | 'stale'

export type NewHandover = {
  readonly branch: string
  readonly arch: string
  /** Of the request, as it stands in the file. */
  readonly digest: Sha256
  /** Below the farm's folder. */
  readonly file: string
  /** Of the SHA256.sig that it follows. */
  readonly basis: Sha256 | undefined
  readonly packages: readonly number[]
}

export type Handover = NewHandover & {
  readonly id: number
  readonly state: HandoverState
  readonly made: number
  readonly signed: number | undefined
  readonly published: number | undefined
  readonly notified: number | undefined
}

export type Publication = {
  readonly branch: string
  readonly arch: string
  readonly handover: number | undefined
  /** Of the SHA256.sig that is published now. */
  readonly digest: Sha256
  readonly packages: number
}

export type NewSighting = {
  readonly mirror: string
  readonly branch: string
  readonly arch: string
  readonly state: 'current' | 'missing' | 'behind' | 'other' | 'torn' | 'failed'
  readonly lagSeconds: number | undefined
  /** Of a torn one. */
  readonly files: readonly string[]
  readonly why: string
}

/** From the first look that found it so to the last. */
export type Sighting = NewSighting & { readonly first: number; readonly last: number }

export type Builder = {
  readonly name: string
  /** Undefined for one of the controller's own. */
  readonly publicKey: string | undefined
  readonly arch: string
  /** Empty: any. */
  readonly releases: readonly string[]
  readonly tags: readonly string[]
  /** How many builds at once. */
  readonly jobs: number
}

export type KnownBuilder = Builder & {
  readonly paused: boolean
  readonly quarantined: boolean
  readonly seen: number | undefined
  readonly load: number | undefined
}

export type Operator = {
  readonly name: string
  readonly tokenHash: string
  readonly may: 'read' | 'act'
  readonly added: number
}

/** What a machine of the fleet said of itself. */
export type Report = {
  readonly machine: string
  readonly channel: string
  readonly release: string
  readonly at: number
  /** The key that signed it, as a line of base64. */
  readonly key: string
  /** Verb, exit status, and the code of the error that ended it. */
  readonly lastRun: string
  /** What it waits for. */
  readonly reboot: 'none' | 'reboot' | 'careful'
}

export type NewEvent = {
  readonly actor: Actor
  /** What it is about: `build`, `branch`, `builder`, `handover`, `mirror`… and which one. */
  readonly kind: string
  readonly subject: string
  readonly what: string
}

/** Below the farm's folder. */
export type OldFile = { readonly id: number; readonly file: string }

export type FarmEvent = NewEvent & { readonly id: number; readonly at: number }
