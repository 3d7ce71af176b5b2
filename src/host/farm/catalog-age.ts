import { sql } from 'kysely'
import type { RawBuilder } from 'kysely'
import type { FarmCatalog, OldFile } from '../../port/farm-catalog.ts'
import type { World } from './world.ts'

/** What nobody needs any more, after so many days. */
type Part = Pick<FarmCatalog, 'oldLogs' | 'forgetLogs' | 'oldRequests' | 'forgetRequests' | 'dropEvents'>

export function catalogAge({ db }: World): Part {
  return {
    oldLogs: async (days, limit) => {
      const { rows } = await sql<OldFile>`
        select attempt.id, attempt.log_file as file from farm.attempt join farm.build on build.id = attempt.build
        where attempt.log_file <> '' and attempt.ended_at < ${ago(days)}
          and (build.state in ${ends} or exists (select from farm.attempt later where later.build = build.id and later.number > attempt.number))
        order by attempt.id limit ${limit}`.execute(db)
      return rows
    },
    forgetLogs: async (attempts) => {
      await sql`update farm.attempt set log_file = '' where id = any(${[...attempts]}::bigint[])`.execute(db)
    },
    oldRequests: async (days) => {
      const { rows } = await sql<OldFile>`
        select handover.id, handover.file from farm.handover
        where file <> '' and state not in ${open} and greatest(made_at, signed_at, published_at) < ${ago(days)}
          and not exists (select from farm.handover other where other.file = handover.file and other.state in ${open})
        order by id`.execute(db)
      return rows
    },
    forgetRequests: async (handovers) => {
      await sql`update farm.handover set file = '' where id = any(${[...handovers]}::bigint[])`.execute(db)
    },
    dropEvents: async (days) => {
      const { rows } = await sql<{ readonly count: number }>`
        with events as (
          delete from farm.event where at < ${ago(days)}
            and not (kind = 'build' and exists (select from farm.build where build.id::text = event.subject and build.state not in ${ends}))
            and not (kind = 'handover' and exists (
              select from farm.handover where handover.id::text = event.subject and handover.state in ${open}))
          returning id),
        sightings as (delete from farm.sighting where not is_newest and last_at < ${ago(days)} returning id)
        select (select count(*) from events)::integer + (select count(*) from sightings)::integer as count`.execute(db)
      return rows[0]?.count ?? 0
    },
  }
}

const ends = sql`('published', 'superseded', 'cancelled')`
const open = sql`('requested', 'signed')`

function ago(days: number): RawBuilder<Date> {
  return sql<Date>`now() - ${days} * interval '1 day'`
}
