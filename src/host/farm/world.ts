import { sql } from 'kysely'
import { fromKysely } from 'pg-boss'
import { BinderyError } from '../../base/error.ts'
import type { Kysely, Selectable, Transaction, UpdateObject } from 'kysely'
import type { Db as QueueDatabase, PgBoss } from 'pg-boss'
import type { Actor, Attempt, Build, BuildState, FarmRules, Transitions } from '../../port/farm-build.ts'
import type { AttemptTable, BuildTable, Tables } from './tables.ts'

/** What the parts of the catalog and the queue share. */
export type World = {
  readonly db: Kysely<Tables>
  readonly boss: PgBoss
  readonly rules: FarmRules
  readonly leaseSeconds: number
  /** Called when something may be waiting in the queue. */
  readonly wake: () => void
}

export type Tx = Transaction<Tables>

/** Somebody else held what we needed: the transaction was undone, and is good for another try. */
const passing = new Set(['40001', '40P01', '23505'])
const mostTries = 5

export async function inTransaction<T>({ db }: Pick<World, 'db'>, work: (tx: Tx) => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await db.transaction().execute(work)
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? String(error.code) : ''
      if (tries >= mostTries || !passing.has(code)) throw error
    }
  }
}

/** The queue's statements as part of this transaction. */
export function queueIn(tx: Tx): { readonly db: QueueDatabase } {
  return { db: fromKysely(tx) }
}

/** How many jobs a statement of the queue changed. Its types do not say, its documents do. */
export function affectedBy(response: object): number {
  if ('affected' in response && typeof response.affected === 'number') return response.affected
  throw new TypeError('the queue does not say what it changed')
}

export function buildOf(row: Pick<Selectable<BuildTable>, (typeof buildColumns)[number]> & { is_security: boolean }): Build {
  return {
    id: row.id,
    branch: row.branch,
    pkgpath: row.pkgpath,
    arch: row.arch,
    packages: row.packages,
    state: row.state,
    priority: row.priority,
    isSecurity: row.is_security,
    failures: row.failures,
    notBefore: row.not_before?.getTime(),
    since: row.since.getTime(),
  }
}

export const buildColumns = [
  'id',
  'branch',
  'pkgpath',
  'arch',
  'packages',
  'state',
  'priority',
  'failures',
  'not_before',
  'since',
] as const satisfies readonly (keyof BuildTable)[]

export function attemptOf(row: Selectable<AttemptTable>): Attempt {
  return {
    id: row.id,
    build: row.build,
    number: row.number,
    builder: row.builder,
    started: row.started_at.getTime(),
    heartbeat: row.heartbeat_at.getTime(),
    ended: row.ended_at?.getTime(),
    outcome: row.outcome ?? undefined,
    why: row.why,
    lines: row.lines,
    logFile: row.log_file,
    logSize: row.log_size,
  }
}

export async function readBuild(tx: Tx | Kysely<Tables>, id: number): Promise<Build | undefined> {
  const row = await tx
    .selectFrom('farm.build')
    .innerJoin('farm.update', 'farm.update.id', 'farm.build.update_id')
    .select(buildColumns.map((name) => `farm.build.${name}` as const))
    .select('farm.update.is_security')
    .where('farm.build.id', '=', id)
    .executeTakeFirst()
  return row === undefined ? undefined : buildOf(row)
}

export type MoveBy = { readonly actor: Actor; readonly why?: string | undefined; readonly set?: UpdateObject<Tables, 'farm.build'> }

const stamps: Readonly<Partial<Record<BuildState, keyof BuildTable>>> = {
  building: 'started_at',
  built: 'ended_at',
  failed: 'ended_at',
  'handed-over': 'handed_over_at',
  signed: 'signed_at',
  published: 'published_at',
}

/** The one way in which the state of a build changes. Answers those that could be moved. */
export async function moveBuilds(
  tx: Tx,
  rules: Transitions,
  builds: readonly number[],
  to: BuildState,
  { actor, why, set }: MoveBy,
): Promise<readonly number[]> {
  if (builds.length === 0) return []
  const stamp = stamps[to]
  const moved = await tx
    .updateTable('farm.build')
    .set({ state: to, since: sql`now()`, not_before: null, ...(stamp === undefined ? {} : { [stamp]: sql`now()` }), ...set })
    .where('id', '=', sql<number>`any(${[...builds]})`)
    .where('state', '=', sql<BuildState>`any(${[...rules.statesBefore(to)]})`)
    .returning('id')
    .execute()
  const ids = moved.map(({ id }) => id)
  const what = why === undefined || why === '' ? to : `${to}: ${why}`
  await addEvents(
    tx,
    ids.map((id) => ({ actor, kind: 'build', subject: String(id), what })),
  )
  return ids
}

/** Refuses where one of them could not be moved. */
export async function moveAll(tx: Tx, rules: Transitions, builds: readonly number[], to: BuildState, by: MoveBy): Promise<void> {
  const moved = new Set(await moveBuilds(tx, rules, builds, to, by))
  const left = builds.find((id) => !moved.has(id))
  if (left === undefined) return
  const state = (await readBuild(tx, left))?.state
  if (state === undefined) throw new BinderyError('not-found', `there is no build ${left}`)
  throw new BinderyError('conflict', `build ${left} is ${state}, and cannot become ${to}`)
}

/** Of builds that nobody is to go on with. */
export async function endAttempts(tx: Tx, builds: readonly number[], outcome: 'cancelled' | 'superseded'): Promise<void> {
  await tx
    .updateTable('farm.attempt')
    .set({ ended_at: sql`now()`, outcome })
    .where('build', '=', sql<number>`any(${[...builds]})`)
    .where('ended_at', 'is', null)
    .execute()
}

export async function addEvents(
  tx: Tx | Kysely<Tables>,
  events: readonly { readonly actor: Actor; readonly kind: string; readonly subject: string; readonly what: string }[],
): Promise<void> {
  const perStatement = 1000
  for (let at = 0; at < events.length; at += perStatement)
    await tx
      .insertInto('farm.event')
      .values(events.slice(at, at + perStatement))
      .execute()
}
