import { sql } from 'kysely'
import { rowsOfOverview } from '../../port/farm-view.ts'
import { lookFailure } from './branches.ts'
import { buildRows, publicationRows, updateRows } from './view-rows.ts'
import type { Kysely } from 'kysely'
import type { BuildCount } from '../../port/farm-catalog.ts'
import type { BuilderRow, BranchRow, FarmView, Figures, Overview } from '../../port/farm-view.ts'
import type { Tables } from './tables.ts'
import type { ViewInput } from './view.ts'

const day = 86_400_000

export function overviewOf(input: ViewInput): Pick<FarmView, 'overview' | 'figures' | 'builders' | 'filters'> {
  return {
    overview: async () => await overview(input),
    figures: async () => await figures(input),
    builders: async () => await builders(input),
    filters: async () => ({ branches: await branches(input) }),
  }
}

async function overview(input: ViewInput): Promise<Overview> {
  const { db, catalog } = input
  const { building, queue, failures, updates } = rowsOfOverview
  return {
    ...(await figures(input)),
    building: await buildRows(db, sql`select id, id as place from farm.build where state = 'building' order by id limit ${building}`),
    queue: await buildRows(
      db,
      sql`select id, row_number() over (order by priority desc, id) as place from farm.build
      where state = 'waiting' order by priority desc, id limit ${queue}`,
    ),
    failures: await buildRows(
      db,
      sql`select id, row_number() over (order by since desc, id desc) as place from farm.build
      where state in ('failed', 'quarantined') order by since desc, id desc limit ${failures}`,
    ),
    updates: await updateRows(db, sql`select id from farm.update order by id desc limit ${updates}`),
    handovers: await catalog.handovers(['requested', 'signed']),
    publications: await publicationRows(
      db,
      sql`id in (select max(id) from farm.publication group by branch, arch) order by branch collate "C", arch collate "C"`,
    ),
  }
}

async function branches({ db }: ViewInput): Promise<readonly BranchRow[]> {
  const rows = await db
    .selectFrom('farm.branch')
    .select(['name', 'release', 'archs', 'paused', 'look_failed_at', 'look_why'])
    .where('retired', '=', false)
    .orderBy('name')
    .execute()
  return rows.map(({ name, release, archs, paused, ...look }) => ({ name, release, archs, paused, failure: lookFailure(look) }))
}

async function figures(input: ViewInput): Promise<Figures> {
  const { db, catalog, clock } = input
  const at = clock.now()
  const { rows } = await sql<{ readonly today: number; readonly waiting: Date | null; readonly handover: Date | null }>`select
    (select count(*)::integer from farm.build where state = 'published' and since > ${new Date(at - day)}) as today,
    (select min(since) from farm.build where state = 'waiting') as waiting,
    (select min(made_at) from farm.handover where state = 'requested') as handover`.execute(db)
  const row = rows[0]
  return {
    at,
    counts: await openCounts(db),
    publishedToday: row?.today ?? 0,
    oldestWaiting: row?.waiting?.getTime(),
    oldestHandover: row?.handover?.getTime(),
    branches: await branches(input),
    builders: await catalog.builders(),
    sightings: await catalog.sightings(),
  }
}

/** Those that have ended are by far the most, and are not looked at: each state is a range of the index. */
async function openCounts(db: Kysely<Tables>): Promise<readonly BuildCount[]> {
  const { rows } = await sql<BuildCount>`select branch, arch, state, count(*)::integer as count from farm.build
    where state in ('waiting', 'building', 'failed', 'quarantined', 'built', 'handed-over', 'signed')
    group by branch, arch, state order by branch collate "C", arch collate "C", state collate "C"`.execute(db)
  return rows
}

async function builders({ db, catalog, clock }: ViewInput): Promise<readonly BuilderRow[]> {
  const known = await catalog.builders()
  const building = await buildRows(db, sql`select id, id as place from farm.build where state = 'building'`)
  const { rows: ends } = await sql<{ readonly builder: string; readonly built: number; readonly failed: number }>`
    select builder, (count(*) filter (where outcome = 'built'))::integer as built, (count(*) filter (where outcome = 'failed'))::integer as failed
    from farm.attempt where ended_at > ${new Date(clock.now() - day)} group by builder`.execute(db)
  return known.map((builder) => {
    const end = ends.find((one) => one.builder === builder.name)
    const its = building.filter(({ attempt }) => attempt?.builder === builder.name)
    return { ...builder, building: its, built: end?.built ?? 0, failed: end?.failed ?? 0 }
  })
}
