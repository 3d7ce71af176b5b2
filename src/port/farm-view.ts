import type { Attempt, Build, BuildState } from './farm-build.ts'
import type { BuildCount, FarmEvent, Handover, KnownBranch, KnownBuilder, Report, Sighting } from './farm-catalog.ts'

/**
 * What people read of a farm: its pages, its feeds, its figures. Lists come newest first and are paged by key (`before`
 * is the `id` of the last row that one has), so that page 1,000 costs what page 1 does. Times are milliseconds since the
 * epoch.
 */
export type FarmView = {
  overview(): Promise<Overview>
  builds(query: BuildQuery): Promise<Page<BuildRow>>
  build(id: number): Promise<BuildDetails | undefined>
  /** Bytes of the log of a build's newest attempt, from `from` on; undefined where there is none (any more). */
  log(build: number, from: number, limit: number): Promise<LogPart | undefined>
  /** Of all branches and architectures. */
  history(pkgpath: string, page: PageQuery): Promise<Page<BuiltRow>>
  updates(query: PageQuery & { readonly security: boolean }): Promise<Page<UpdateRow>>
  builders(): Promise<readonly BuilderRow[]>
  publications(page: PageQuery): Promise<Page<PublicationRow>>
  sightings(): Promise<readonly Sighting[]>
  fleet(query: FleetQuery): Promise<FleetPage>
  /** What lists can be narrowed by. */
  filters(): Promise<{ readonly branches: readonly BranchRow[] }>
  /** The audit trail. */
  events(page: PageQuery): Promise<Page<FarmEvent>>
  /** What happened after the event `cursor`, oldest first, at most so many; without a cursor, only where the trail ends now. */
  eventsAfter(cursor: number | undefined, limit: number): Promise<{ readonly cursor: number; readonly events: readonly FarmEvent[] }>
  figures(): Promise<Figures>
}

export type PageQuery = { readonly before?: number | undefined; readonly limit: number }

export type Page<Row> = {
  readonly rows: readonly Row[]
  /** `before` of the page that follows; absent at the end. */
  readonly next?: number
}

export type BuildQuery = PageQuery & {
  readonly state?: BuildState | undefined
  readonly branch?: string | undefined
  readonly arch?: string | undefined
}

export type BuildRow = Build & {
  /** Its newest attempt. */
  readonly attempt: AttemptSummary | undefined
  /** How long such a build takes: the median of those of this port on this architecture; undefined where none succeeded. */
  readonly usualMs: number | undefined
}

export type AttemptSummary = Pick<Attempt, 'number' | 'builder' | 'started' | 'ended' | 'outcome' | 'why' | 'lines' | 'logSize'>

export type BuiltRow = BuildRow & { readonly made: readonly MadePackage[] }

export type MadePackage = { readonly file: string; readonly size: number; readonly sha256: string }

export type BuildDetails = BuiltRow & {
  readonly cves: readonly string[]
  readonly messages: readonly string[]
  readonly attempts: readonly Attempt[]
  /** What the audit trail says of it, oldest first. */
  readonly events: readonly FarmEvent[]
}

export type LogPart = {
  readonly bytes: Uint8Array
  readonly from: number
  readonly size: number
  /** Nothing will be added any more. */
  readonly ended: boolean
}

/** A change of a port, with how far its builds are. */
export type UpdateRow = {
  readonly id: number
  readonly branch: string
  readonly pkgpath: string
  readonly seen: number
  readonly isSecurity: boolean
  readonly cves: readonly string[]
  readonly messages: readonly string[]
  readonly builds: readonly { readonly id: number; readonly arch: string; readonly state: BuildState }[]
}

export type BuilderRow = KnownBuilder & {
  readonly building: readonly BuildRow[]
  /** Attempts that ended within a day. */
  readonly built: number
  readonly failed: number
}

export type PublicationRow = {
  readonly id: number
  readonly branch: string
  readonly arch: string
  readonly at: number
  readonly digest: string
  readonly packages: number
}

export type FleetQuery = {
  /** `next` of the page before. */
  readonly after?: string | undefined
  readonly limit: number
}

/** By machine and channel. */
export type FleetPage = {
  readonly rows: readonly Report[]
  readonly next?: string
  /** How many machines run what, over all of them. */
  readonly releases: readonly { readonly channel: string; readonly release: string; readonly machines: number }[]
}

export type BranchRow = Pick<KnownBranch, 'name' | 'release' | 'archs' | 'paused' | 'failure'>

export type Overview = Figures & {
  readonly building: readonly BuildRow[]
  /** What is taken next. */
  readonly queue: readonly BuildRow[]
  /** Failed and quarantined, the newest ones. */
  readonly failures: readonly BuildRow[]
  readonly updates: readonly UpdateRow[]
  /** Of those that wait for a signature or to be published. */
  readonly handovers: readonly Handover[]
  /** The newest of each branch and architecture. */
  readonly publications: readonly PublicationRow[]
}

export type Figures = {
  /** When they were taken. */
  readonly at: number
  /** Of states that something is still to happen to. */
  readonly counts: readonly BuildCount[]
  /** Builds that were published within a day. */
  readonly publishedToday: number
  readonly oldestWaiting: number | undefined
  readonly oldestHandover: number | undefined
  readonly branches: readonly BranchRow[]
  readonly builders: readonly KnownBuilder[]
  readonly sightings: readonly Sighting[]
}

/** So many rows at most of what the overview lists. */
export const rowsOfOverview = { queue: 10, failures: 8, updates: 10, building: 50 } as const
