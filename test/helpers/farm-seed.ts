import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { sql } from 'kysely'
import { digestOf } from './farm-facts.ts'
import type { Kysely } from 'kysely'
import type { FarmFacts } from '../../src/host/memory-farm-view.ts'
import type { Tables } from '../../src/host/farm/tables.ts'

/** Writes facts into an empty catalog. Ids are those of the facts: they are given in order. */
export async function seedFarm(db: Kysely<Tables>, facts: FarmFacts, folder: string): Promise<void> {
  await sql.raw(`truncate ${tables.map((table) => `farm.${table}`).join(', ')} restart identity cascade`).execute(db)
  const put = async (table: keyof Tables, rows: readonly object[]): Promise<void> => {
    const perStatement = 2000
    for (let at = 0; at < rows.length; at += perStatement)
      await db
        .insertInto(table)
        .values(rows.slice(at, at + perStatement))
        .execute()
  }
  await put(
    'farm.branch',
    facts.branches.map(({ name, release, archs, paused, failure }) => ({
      name,
      release,
      archs,
      paused,
      ...sources,
      look_failed_at: failure === undefined ? null : new Date(failure.since),
      look_why: failure?.why ?? null,
    })),
  )
  await put('farm.source_state', [{ branch: '7.7', digest: digestOf('source'), from_tag: 'a', to_tag: 'b' }])
  await put('farm.update', updateRows(facts))
  await put('farm.build', facts.builds.map(buildRow))
  await put(
    'farm.builder',
    facts.builders.map(({ publicKey: _, seen, ...row }) => ({ ...row, seen_at: date(seen) })),
  )
  await put('farm.attempt', facts.attempts.map(attemptRow))
  await put(
    'farm.package',
    facts.packages.map(({ id: _, ...row }) => row),
  )
  for (const { packages, made, notified, signed, published, ...row } of facts.handovers) {
    await put(
      'farm.handover',
      [{ ...row, made_at: date(made), notified_at: date(notified), signed_at: date(signed), published_at: date(published) }].map(withoutId),
    )
    await put(
      'farm.handover_package',
      packages.map((one) => ({ handover: row.id, package: one })),
    )
  }
  await put(
    'farm.publication',
    facts.publications.map(({ id: _, at, ...row }) => ({ ...row, published_at: date(at) })),
  )
  await put(
    'farm.mirror',
    [...new Set(facts.sightings.map(({ mirror }) => mirror))].map((place) => ({ place })),
  )
  await put(
    'farm.sighting',
    facts.sightings.map(({ lagSeconds, first, last, ...row }) => ({
      ...row,
      lag_seconds: lagSeconds ?? null,
      first_at: date(first),
      last_at: date(last),
    })),
  )
  await put(
    'farm.report',
    facts.reports.map(({ at, lastRun, ...row }) => ({ ...row, last_run: lastRun, reported_at: date(at) })),
  )
  await put(
    'farm.event',
    facts.events.map(({ id: _, at, ...row }) => ({ ...row, at: date(at) })),
  )
  for (const [attempt, bytes] of facts.logs) writeLog(join(folder, facts.attempts.find(({ id }) => id === attempt)?.logFile ?? ''), bytes)
  await sql`analyze`.execute(db)
}

const tables = [
  'branch',
  'builder',
  'source_state',
  'update',
  'build',
  'attempt',
  'package',
  'handover',
  'publication',
  'mirror',
  'sighting',
  'report',
  'event',
]
const sources = { source_kind: 'git', source: '/ports', module: null, from_tag: 'a', to_tag: 'b', sqlports: null }

function date(at: number | undefined): Date | null {
  return at === undefined ? null : new Date(at)
}

function withoutId({ id: _, ...row }: { readonly id?: unknown }): object {
  return row
}

function updateRows({ updates }: FarmFacts): readonly object[] {
  const newest = new Map(updates.map(({ pkgpath, id }) => [pkgpath, id]))
  return updates.map(({ id, seen, isSecurity, ...row }) => ({
    ...row,
    key: digestOf(String(id)),
    source_state: 1,
    is_security: isSecurity,
    is_newest: newest.get(row.pkgpath) === id,
    seen_at: date(seen),
  }))
}

function buildRow({ id: _, update, isSecurity: __, notBefore, since, ...row }: FarmFacts['builds'][number]): object {
  return { ...row, update_id: update, not_before: date(notBefore), since: date(since), queued_at: date(since), job: null }
}

function attemptRow({ id: _, started, heartbeat, ended, outcome, logFile, logSize, ...row }: FarmFacts['attempts'][number]): object {
  const times = { started_at: date(started), heartbeat_at: date(heartbeat), ended_at: date(ended) }
  return {
    ...row,
    ...times,
    outcome: outcome ?? null,
    job: '00000000-0000-0000-0000-000000000000',
    job_try: 0,
    log_file: logFile,
    log_size: logSize,
  }
}

function writeLog(file: string, bytes: Uint8Array): void {
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, bytes)
}
