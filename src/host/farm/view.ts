import { sql } from 'kysely'
import { readLog } from './view-log.ts'
import { overviewOf } from './view-overview.ts'
import { buildRows, madeBy, publicationRows, updateRows } from './view-rows.ts'
import type { Kysely, RawBuilder } from 'kysely'
import type { Clock } from '../../port/ambient.ts'
import type { FarmCatalog, FarmEvent, Report } from '../../port/farm-catalog.ts'
import type { BuildQuery, BuiltRow, FarmView, FleetPage, FleetQuery, Page, PageQuery } from '../../port/farm-view.ts'
import type { Tables } from './tables.ts'

export type ViewInput = {
  readonly db: Kysely<Tables>
  readonly catalog: FarmCatalog
  readonly clock: Clock
  /** Of the farm: logs lie below it. */
  readonly folder: string
}

/** The readers of the catalog, on either engine. */
export function farmView(input: ViewInput): FarmView {
  const { db, catalog } = input
  return {
    ...overviewOf(input),
    builds: async (query) => await builds(db, query),
    build: async (id) => await build(input, id),
    log: async (id, from, limit) => await readLog(input, id, { from, limit }),
    history: async (pkgpath, page) => await history(db, pkgpath, page),
    updates: async ({ security, before, limit }) => {
      const where = sql`${olderThan(before)} ${security ? sql`and is_security` : sql``}`
      return pageOf(await updateRows(db, sql`select id from farm.update where ${where} order by id desc limit ${limit + 1}`), limit)
    },
    publications: async ({ before, limit }) =>
      pageOf(await publicationRows(db, sql`${olderThan(before)} order by id desc limit ${limit + 1}`), limit),
    sightings: async () => await catalog.sightings(),
    fleet: async (query) => await fleet(db, query),
    events: async ({ before, limit }) =>
      pageOf(await catalog.events({ ...(before === undefined ? {} : { before }), limit: limit + 1 }), limit),
    eventsAfter: async (cursor, limit) => await eventsAfter(db, cursor, limit),
  }
}

function olderThan(before: number | undefined): RawBuilder<unknown> {
  return before === undefined ? sql`true` : sql`id < ${before}`
}

/** One more row was asked for than is shown: whether there is a next page. */
function pageOf<Row extends { readonly id: number }>(found: readonly Row[], limit: number): Page<Row> {
  const rows = found.slice(0, limit)
  const last = rows.at(-1)
  return found.length > limit && last !== undefined ? { rows, next: last.id } : { rows }
}

async function builds(db: Kysely<Tables>, { state, branch, arch, before, limit }: BuildQuery): ReturnType<FarmView['builds']> {
  const only = (column: string, value: string | undefined): RawBuilder<unknown> =>
    value === undefined ? sql`` : sql`and ${sql.ref(column)} = ${value}`
  const where = sql`${olderThan(before)} ${only('state', state)} ${only('branch', branch)} ${only('arch', arch)}`
  return pageOf(await buildRows(db, newestBuilds(where, limit)), limit)
}

function newestBuilds(where: RawBuilder<unknown>, limit: number): RawBuilder<unknown> {
  return sql`select id, -id as place from farm.build where ${where} order by id desc limit ${limit + 1}`
}

async function history(db: Kysely<Tables>, pkgpath: string, { before, limit }: PageQuery): Promise<Page<BuiltRow>> {
  const page = pageOf(await buildRows(db, newestBuilds(sql`${olderThan(before)} and pkgpath = ${pkgpath}`, limit)), limit)
  const made = await madeBy(
    db,
    page.rows.map(({ id }) => id),
  )
  return { ...page, rows: page.rows.map((row) => ({ ...row, made: made.get(row.id) ?? [] })) }
}

async function build({ db, catalog }: ViewInput, id: number): ReturnType<FarmView['build']> {
  const [row] = await buildRows(db, sql`select id, 0 as place from farm.build where id = ${id}`)
  if (row === undefined) return undefined
  const about = await db
    .selectFrom('farm.update')
    .innerJoin('farm.build', 'farm.build.update_id', 'farm.update.id')
    .select(['farm.update.cves', 'farm.update.messages'])
    .where('farm.build.id', '=', id)
    .executeTakeFirstOrThrow()
  const events = await eventRows(db, sql`kind = 'build' and subject = ${String(id)} order by id`)
  return { ...row, ...about, made: (await madeBy(db, [id])).get(id) ?? [], attempts: await catalog.attemptsOf(id), events }
}

async function eventRows(db: Kysely<Tables>, where: RawBuilder<unknown>): Promise<readonly FarmEvent[]> {
  const { rows } = await sql<Omit<FarmEvent, 'at'> & { readonly at: Date }>`
    select id, at, actor, kind, subject, what from farm.event where ${where}`.execute(db)
  return rows.map((row) => ({ ...row, at: row.at.getTime() }))
}

async function eventsAfter(db: Kysely<Tables>, cursor: number | undefined, limit: number): ReturnType<FarmView['eventsAfter']> {
  if (cursor === undefined) {
    const { rows } = await sql<{ readonly last: number }>`select coalesce(max(id), 0)::bigint as last from farm.event`.execute(db)
    return { cursor: rows[0]?.last ?? 0, events: [] }
  }
  const events = await eventRows(db, sql`id > ${cursor} order by id limit ${limit}`)
  return { cursor: events.at(-1)?.id ?? cursor, events }
}

async function fleet(db: Kysely<Tables>, { after = '', limit }: FleetQuery): Promise<FleetPage> {
  const [machine, channel] = [after.slice(0, after.indexOf(' ')), after.slice(after.indexOf(' ') + 1)]
  const where = after === '' ? sql`` : sql`where (machine, channel) > (${machine}, ${channel})`
  const { rows: found } = await sql<Omit<Report, 'at'> & { readonly reported_at: Date }>`
    select machine, channel, release, reported_at, key, last_run as "lastRun", reboot from farm.report ${where}
    order by machine, channel limit ${limit + 1}`.execute(db)
  const { rows: releases } = await sql<FleetPage['releases'][number]>`
    select channel, release, count(*)::integer as machines from farm.report
    group by channel, release order by machines desc, channel, release desc`.execute(db)
  const rows = found.slice(0, limit).map(({ reported_at, ...row }) => ({ ...row, at: reported_at.getTime() }))
  const last = rows.at(-1)
  return { rows, releases, ...(found.length > limit && last !== undefined ? { next: `${last.machine} ${last.channel}` } : {}) }
}
