import { rowsOfOverview } from '../port/farm-view.ts'
import type { Attempt, Build } from '../port/farm-build.ts'
import type { BuildCount, FarmEvent, FarmPackage, Handover, KnownBuilder, Report, Sighting } from '../port/farm-catalog.ts'
import type {
  BranchRow,
  BuildRow,
  BuiltRow,
  FarmView,
  Figures,
  FleetPage,
  FleetQuery,
  Page,
  PageQuery,
  PublicationRow,
  UpdateRow,
} from '../port/farm-view.ts'

/** What a farm knows, each list by ascending `id`. Whoever holds it may change it. */
export type FarmFacts = {
  now: number
  branches: BranchRow[]
  updates: Omit<UpdateRow, 'builds'>[]
  builds: (Build & { readonly update: number })[]
  attempts: Attempt[]
  packages: FarmPackage[]
  handovers: Handover[]
  publications: PublicationRow[]
  sightings: Sighting[]
  builders: KnownBuilder[]
  reports: Report[]
  events: FarmEvent[]
  /** By attempt. */
  logs: Map<number, Uint8Array>
}

const day = 86_400_000

/** The twin in memory of the catalog's readers. */
export function memoryFarmView(facts: FarmFacts): FarmView {
  const row = (build: Build): BuildRow => rowOf(facts, build)
  const update = (one: FarmFacts['updates'][number]): UpdateRow => updateOf(facts, one)
  return {
    overview: async () => overviewOf(facts),
    builds: async (query) =>
      pageOf(
        facts.builds.filter((build) => fits(build, query)),
        query,
        (build) => row(stripped(build)),
      ),
    build: async (id) => {
      const found = facts.builds.find((build) => build.id === id)
      const about = found && facts.updates.find((one) => one.id === found.update)
      return (
        found &&
        about && {
          ...builtOf(facts, found),
          cves: about.cves,
          messages: about.messages,
          attempts: attemptsOf(facts, id),
          events: eventsOf(facts, id),
        }
      )
    },
    log: async (build, from, limit) => {
      const attempt = attemptsOf(facts, build).at(-1)
      const bytes = attempt && facts.logs.get(attempt.id)
      if (attempt === undefined || bytes === undefined) return undefined
      const part = bytes.slice(from, from + limit)
      return { bytes: part, from: Math.min(from, bytes.length), size: bytes.length, ended: attempt.ended !== undefined }
    },
    history: async (pkgpath, page) =>
      pageOf(
        facts.builds.filter((build) => build.pkgpath === pkgpath),
        page,
        (build) => builtOf(facts, build),
      ),
    updates: async (query) =>
      pageOf(
        facts.updates.filter((one) => !query.security || one.isSecurity),
        query,
        update,
      ),
    builders: async () =>
      facts.builders.map((builder) => ({ ...builder, building: buildingOn(facts, builder.name), ...endsOf(facts, builder.name) })),
    publications: async (page) => pageOf(facts.publications, page, (one) => one),
    sightings: async () => facts.sightings,
    fleet: async (query) => fleetOf(facts, query),
    events: async (page) => pageOf(facts.events, page, (one) => one),
    eventsAfter: async (cursor, limit) => {
      const last = facts.events.at(-1)?.id ?? 0
      if (cursor === undefined) return { cursor: last, events: [] }
      const events = facts.events.filter(({ id }) => id > cursor).slice(0, limit)
      return { cursor: events.at(-1)?.id ?? cursor, events }
    },
    filters: async () => ({ branches: facts.branches }),
    figures: async () => figuresOf(facts),
  }
}

function fits(
  build: Build,
  {
    state,
    branch,
    arch,
  }: { readonly state?: string | undefined; readonly branch?: string | undefined; readonly arch?: string | undefined },
): boolean {
  const is = (wanted: string | undefined, value: string): boolean => wanted === undefined || wanted === value
  return is(state, build.state) && is(branch, build.branch) && is(arch, build.arch)
}

function pageOf<T extends { readonly id: number }, Row extends { readonly id: number }>(
  all: readonly T[],
  { before, limit }: PageQuery,
  show: (one: T) => Row,
): Page<Row> {
  const there = all.filter(({ id }) => before === undefined || id < before)
  const rows = there.slice(-limit).reverse().map(show)
  const last = rows.at(-1)
  return there.length > limit && last !== undefined ? { rows, next: last.id } : { rows }
}

function stripped({ update: _, ...build }: FarmFacts['builds'][number]): Build {
  return build
}

function attemptsOf({ attempts }: FarmFacts, build: number): readonly Attempt[] {
  return attempts.filter((one) => one.build === build)
}

function eventsOf({ events }: FarmFacts, build: number): readonly FarmEvent[] {
  return events.filter(({ kind, subject }) => kind === 'build' && subject === String(build))
}

function rowOf(facts: FarmFacts, build: Build): BuildRow {
  const attempt = attemptsOf(facts, build.id).at(-1)
  const { number, builder, started, ended, outcome, why, lines, logSize } = attempt ?? ({} as Attempt)
  const summary = attempt && { number, builder, started, ended, outcome, why, lines, logSize }
  return { ...build, attempt: summary, usualMs: usualOf(facts, build) }
}

/** Of the last nine that were built. */
function usualOf(facts: FarmFacts, { pkgpath, arch }: Build): number | undefined {
  const same = facts.builds.filter((one) => one.pkgpath === pkgpath && one.arch === arch)
  const ended = same.flatMap(({ id }) => attemptsOf(facts, id).filter(({ outcome }) => outcome === 'built')).slice(-9)
  const spent = ended.map(({ started, ended }) => (ended ?? started) - started).sort((a, b) => a - b)
  return spent[Math.ceil(spent.length / 2) - 1]
}

function builtOf(facts: FarmFacts, build: FarmFacts['builds'][number]): BuiltRow {
  const made = facts.packages.filter((one) => one.build === build.id).map(({ file, size, sha256 }) => ({ file, size, sha256 }))
  return { ...rowOf(facts, stripped(build)), made }
}

function updateOf(facts: FarmFacts, update: FarmFacts['updates'][number]): UpdateRow {
  const builds = facts.builds.filter((build) => build.update === update.id).map(({ id, arch, state }) => ({ id, arch, state }))
  return { ...update, builds }
}

function newestFirst<T extends { readonly id: number }>(rows: readonly T[], most: number): readonly T[] {
  return rows.slice(-most).reverse()
}

function buildingOn(facts: FarmFacts, builder: string): readonly BuildRow[] {
  const rows = facts.builds.filter(({ state }) => state === 'building').map((build) => rowOf(facts, stripped(build)))
  return rows.filter(({ attempt }) => attempt?.builder === builder)
}

function endsOf({ attempts, now }: FarmFacts, builder: string): { readonly built: number; readonly failed: number } {
  const ended = attempts.filter((one) => one.builder === builder && one.ended !== undefined && one.ended > now - day)
  const count = (outcome: string): number => ended.filter((one) => one.outcome === outcome).length
  return { built: count('built'), failed: count('failed') }
}

function fleetOf({ reports }: FarmFacts, { after, limit }: FleetQuery): FleetPage {
  const keyOf = ({ machine, channel }: Report): string => `${machine} ${channel}`
  const sorted = reports.toSorted((a, b) => compare(a.machine, b.machine) || compare(a.channel, b.channel))
  const there = sorted.filter((one) => after === undefined || keyOf(one) > after)
  const rows = there.slice(0, limit)
  const last = rows.at(-1)
  const releases = releasesOf(reports)
  return there.length > limit && last !== undefined ? { rows, releases, next: keyOf(last) } : { rows, releases }
}

function releasesOf(reports: readonly Report[]): FleetPage['releases'] {
  const counts = new Map<string, { channel: string; release: string; machines: number }>()
  for (const { channel, release } of reports) {
    const key = `${channel} ${release}`
    counts.set(key, { channel, release, machines: (counts.get(key)?.machines ?? 0) + 1 })
  }
  return [...counts.values()].sort((a, b) => b.machines - a.machines || compare(a.channel, b.channel) || compare(b.release, a.release))
}

function overviewOf(facts: FarmFacts): Awaited<ReturnType<FarmView['overview']>> {
  const rows = (builds: FarmFacts['builds']): readonly BuildRow[] => builds.map((build) => rowOf(facts, stripped(build)))
  const inState = (...states: string[]): FarmFacts['builds'] => facts.builds.filter(({ state }) => states.includes(state))
  const queue = inState('waiting').sort((a, b) => b.priority - a.priority || a.id - b.id)
  const failures = inState('failed', 'quarantined').sort((a, b) => b.since - a.since || b.id - a.id)
  const newest = new Map(facts.publications.map((one) => [`${one.branch} ${one.arch}`, one]))
  return {
    ...figuresOf(facts),
    building: rows(inState('building').slice(0, rowsOfOverview.building)),
    queue: rows(queue.slice(0, rowsOfOverview.queue)),
    failures: rows(failures.slice(0, rowsOfOverview.failures)),
    updates: newestFirst(facts.updates, rowsOfOverview.updates).map((one) => updateOf(facts, one)),
    handovers: facts.handovers.filter(({ state }) => state === 'requested' || state === 'signed'),
    publications: [...newest.values()].sort((a, b) => (a.branch === b.branch ? compare(a.arch, b.arch) : compare(a.branch, b.branch))),
  }
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

const ended = ['published', 'superseded', 'cancelled']

function figuresOf(facts: FarmFacts): Figures {
  const least = (times: readonly number[]): number | undefined => (times.length === 0 ? undefined : Math.min(...times))
  return {
    at: facts.now,
    counts: countsOf(facts.builds.filter(({ state }) => !ended.includes(state))),
    publishedToday: facts.builds.filter(({ state, since }) => state === 'published' && since > facts.now - day).length,
    oldestWaiting: least(facts.builds.filter(({ state }) => state === 'waiting').map(({ since }) => since)),
    oldestHandover: least(facts.handovers.filter(({ state }) => state === 'requested').map(({ made }) => made)),
    branches: facts.branches,
    builders: facts.builders,
    sightings: facts.sightings,
  }
}

function countsOf(builds: FarmFacts['builds']): readonly BuildCount[] {
  const counts = new Map<string, BuildCount>()
  for (const { branch, arch, state } of builds) {
    const key = `${branch} ${arch} ${state}`
    counts.set(key, { branch, arch, state, count: (counts.get(key)?.count ?? 0) + 1 })
  }
  return [...counts].sort(([a], [b]) => compare(a, b)).map(([, count]) => count)
}
