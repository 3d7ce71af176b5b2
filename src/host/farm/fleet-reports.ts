import type { Kysely } from 'kysely'
import type { FarmCatalog, Report } from '../../port/farm-catalog.ts'
import type { Tables } from './tables.ts'

/** What is known of one machine of the fleet, and how more becomes known. */
export type MachineReports = {
  known(machine: string): Promise<{ readonly key: string; readonly last: number } | undefined>
  put(reports: readonly Report[]): Promise<void>
}

export function fleetReports(db: Kysely<Tables>, catalog: Pick<FarmCatalog, 'putReport'>): MachineReports {
  return {
    known: async (machine) => {
      const row = await db
        .selectFrom('farm.report')
        .select(['key', 'reported_at'])
        .where('machine', '=', machine)
        .orderBy('reported_at', 'desc')
        .limit(1)
        .executeTakeFirst()
      return row && { key: row.key, last: row.reported_at.getTime() }
    },
    put: async (reports) => {
      for (const report of reports) await catalog.putReport(report)
    },
  }
}
