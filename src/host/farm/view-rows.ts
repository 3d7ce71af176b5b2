import { sql } from 'kysely'
import type { Kysely, RawBuilder } from 'kysely'
import type { AttemptOutcome, BuildState } from '../../port/farm-build.ts'
import type { AttemptSummary, BuildRow, MadePackage, PublicationRow, UpdateRow } from '../../port/farm-view.ts'
import type { Tables } from './tables.ts'

/** Rows of lists, each with what belongs to it, in one statement: `chosen` selects the ids of builds or updates. */

type Db = Kysely<Tables>

type BuildColumns = {
  readonly id: number
  readonly branch: string
  readonly pkgpath: string
  readonly arch: string
  readonly packages: readonly string[]
  readonly state: BuildState
  readonly priority: number
  readonly is_security: boolean
  readonly failures: number
  readonly not_before: Date | null
  readonly since: Date
  readonly usual_ms: number | null
}

type AttemptColumns = {
  readonly number: number | null
  readonly builder: string
  readonly started_at: Date
  readonly ended_at: Date | null
  readonly outcome: AttemptOutcome | null
  readonly why: string
  readonly lines: readonly string[]
  readonly log_size: number
}

/** In the order of `chosen`, which has a column `place` for it. */
export async function buildRows(db: Db, chosen: RawBuilder<unknown>): Promise<readonly BuildRow[]> {
  const { rows } = await sql<BuildColumns & AttemptColumns>`
    select b.id, b.branch, b.pkgpath, b.arch, b.packages, b.state, b.priority, u.is_security, b.failures, b.not_before, b.since,
      usual.ms as usual_ms, a.number, a.builder, a.started_at, a.ended_at, a.outcome, a.why, a.lines, a.log_size
    from (${chosen}) chosen
    join farm.build b on b.id = chosen.id
    join farm.update u on u.id = b.update_id
    left join lateral (select * from farm.attempt where build = b.id order by number desc limit 1) a on true
    left join lateral (
      select percentile_disc(0.5) within group (order by spent) as ms from (
        select (extract(epoch from t.ended_at - t.started_at) * 1000)::double precision as spent
        from farm.build other join farm.attempt t on t.build = other.id and t.outcome = 'built'
        where other.pkgpath = b.pkgpath and other.arch = b.arch
        order by other.id desc, t.number desc limit 9) latest) usual on true
    order by chosen.place`.execute(db)
  return rows.map((row) => ({ ...buildOf(row), attempt: attemptOf(row), usualMs: row.usual_ms ?? undefined }))
}

function buildOf(row: BuildColumns): Omit<BuildRow, 'attempt' | 'usualMs'> {
  const { id, branch, pkgpath, arch, packages, state, priority, failures } = row
  const times = { notBefore: row.not_before?.getTime(), since: row.since.getTime() }
  return { id, branch, pkgpath, arch, packages, state, priority, isSecurity: row.is_security, failures, ...times }
}

function attemptOf({ number, builder, started_at, ended_at, outcome, why, lines, log_size }: AttemptColumns): AttemptSummary | undefined {
  if (number === null) return undefined
  const times = { started: started_at.getTime(), ended: ended_at?.getTime() }
  return { number, builder, ...times, outcome: outcome ?? undefined, why, lines, logSize: log_size }
}

export async function madeBy(db: Db, builds: readonly number[]): Promise<ReadonlyMap<number, readonly MadePackage[]>> {
  const made = new Map<number, MadePackage[]>(builds.map((id) => [id, []]))
  const rows = await db
    .selectFrom('farm.package')
    .select(['build', 'file', 'size', 'sha256'])
    .where('build', '=', sql<number>`any(${[...builds]}::bigint[])`)
    .orderBy('file')
    .execute()
  for (const { build, file, size, sha256 } of rows) made.get(build)?.push({ file, size, sha256 })
  return made
}

type UpdateColumns = {
  readonly id: number
  readonly branch: string
  readonly pkgpath: string
  readonly seen_at: Date
  readonly is_security: boolean
  readonly cves: readonly string[]
  readonly messages: readonly string[]
  /** Numbers of 64 bits, which drivers give as text in arrays. */
  readonly builds: readonly (number | string)[] | null
  readonly archs: readonly string[] | null
  readonly states: readonly BuildState[] | null
}

/** Newest first. */
export async function updateRows(db: Db, chosen: RawBuilder<unknown>): Promise<readonly UpdateRow[]> {
  const { rows } = await sql<UpdateColumns>`
    select u.id, u.branch, u.pkgpath, u.seen_at, u.is_security, u.cves, u.messages,
      (select array_agg(b.id order by b.id) from farm.build b where b.update_id = u.id) as builds,
      (select array_agg(b.arch order by b.id) from farm.build b where b.update_id = u.id) as archs,
      (select array_agg(b.state order by b.id) from farm.build b where b.update_id = u.id) as states
    from (${chosen}) chosen join farm.update u on u.id = chosen.id
    order by u.id desc`.execute(db)
  return rows.map(({ seen_at, is_security, builds, archs, states, ...row }) => ({
    ...row,
    seen: seen_at.getTime(),
    isSecurity: is_security,
    builds: (builds ?? []).map((id, i) => ({ id: Number(id), arch: archs?.[i] as string, state: states?.[i] as BuildState })),
  }))
}

export async function publicationRows(db: Db, where: RawBuilder<unknown>): Promise<readonly PublicationRow[]> {
  const { rows } = await sql<Omit<PublicationRow, 'at'> & { readonly published_at: Date }>`
    select id, branch, arch, digest, packages, published_at from farm.publication where ${where}`.execute(db)
  return rows.map(({ published_at, ...row }) => ({ ...row, at: published_at.getTime() }))
}
