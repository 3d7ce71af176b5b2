import { sql } from 'kysely'
import { dequeue, enqueue } from './jobs.ts'
import { addEvents, buildColumns, buildOf, endAttempts, inTransaction, moveBuilds } from './world.ts'
import { lookFailure, putBranches } from './branches.ts'
import type { Applied, FarmCatalog, KnownBranch, SourcePlan } from '../../port/farm-catalog.ts'
import type { Actor, Build } from '../../port/farm-build.ts'
import type { Tx, World } from './world.ts'

/** Branches, and what their sources come to. */
type Part = Pick<FarmCatalog, 'putBranches' | 'branches' | 'pauseBranch' | 'noteLook' | 'lastSource' | 'known' | 'apply'>

export function catalogSources(world: World): Part {
  return {
    putBranches: async (branches, actor) => {
      const anew = await putBranches(world, branches, actor)
      if (anew.waiting.length > 0) world.wake()
      return anew
    },
    branches: async () => await readBranches(world),
    pauseBranch: async (name, paused, actor) => {
      await inTransaction(world, async (tx) => {
        await tx.updateTable('farm.branch').set({ paused }).where('name', '=', name).execute()
        await addEvents(tx, [{ actor, kind: 'branch', subject: name, what: paused ? 'paused' : 'resumed' }])
      })
      world.wake()
    },
    noteLook: async (branch, failure) => await inTransaction(world, async (tx) => await noteLook(tx, branch, failure)),
    lastSource: async (branch) => {
      const row = await world.db
        .selectFrom('farm.source_state')
        .select(['digest', 'seen_at'])
        .where('branch', '=', branch)
        .orderBy('id', 'desc')
        .limit(1)
        .executeTakeFirst()
      return row === undefined ? undefined : { digest: row.digest, seen: row.seen_at.getTime() }
    },
    known: async (branch) => await readKnown(world, branch),
    apply: async (plan, actor) => {
      const applied = await inTransaction(world, async (tx) => await applyPlan(tx, world, plan, actor))
      if (applied.queued.length > 0) world.wake()
      return applied
    },
  }
}

async function readBranches({ db }: World): Promise<readonly KnownBranch[]> {
  const rows = await db.selectFrom('farm.branch').selectAll().where('retired', '=', false).orderBy('name').execute()
  return rows.map((row) => ({
    name: row.name,
    release: row.release,
    source: { kind: row.source_kind, place: row.source, module: row.module ?? undefined },
    from: row.from_tag,
    to: row.to_tag,
    sqlports: row.sqlports ?? undefined,
    archs: row.archs,
    tags: row.tags,
    paused: row.paused,
    failure: lookFailure(row),
  }))
}

async function noteLook(tx: Tx, branch: string, failure: string | undefined): Promise<boolean> {
  const anew =
    failure === undefined
      ? { look_failed_at: null, look_why: null }
      : { look_failed_at: sql<Date>`coalesce(look_failed_at, now())`, look_why: failure }
  const changed = await tx
    .updateTable('farm.branch')
    .set(anew)
    .where('name', '=', branch)
    .where(sql<boolean>`look_why is distinct from ${failure ?? null}::text`)
    .returning('name')
    .execute()
  const what = failure === undefined ? 'its sources can be read again' : `its sources cannot be read: ${failure}`
  await addEvents(
    tx,
    changed.map(({ name }) => ({ actor: 'farm', kind: 'branch', subject: name, what })),
  )
  return changed.length > 0
}

async function readKnown({ db }: World, branch: string): ReturnType<FarmCatalog['known']> {
  const updates = await db
    .selectFrom('farm.update')
    .select(['id', 'pkgpath', 'key'])
    .where('branch', '=', branch)
    .where('is_newest', '=', true)
    .orderBy('pkgpath')
    .execute()
  const builds = await db
    .selectFrom('farm.build')
    .innerJoin('farm.update', 'farm.update.id', 'farm.build.update_id')
    .select(['farm.build.id', 'farm.build.update_id', 'farm.build.arch', 'farm.build.state'])
    .where('farm.update.branch', '=', branch)
    .where('farm.update.is_newest', '=', true)
    .orderBy('farm.build.id')
    .execute()
  const byUpdate = Map.groupBy(builds, ({ update_id }) => update_id)
  return updates.map(({ id, pkgpath, key }) => ({
    pkgpath,
    key,
    builds: (byUpdate.get(id) ?? []).map((one) => ({ id: one.id, arch: one.arch, state: one.state })),
  }))
}

/** The branch's row is held, so that two who saw the same write it once. */
async function applyPlan(tx: Tx, world: World, plan: SourcePlan, actor: Actor): Promise<Applied> {
  await tx.selectFrom('farm.branch').select('name').where('name', '=', plan.branch).forUpdate().execute()
  const state = await putState(tx, plan)
  const superseded = await supersede(tx, world, plan, actor)
  const { ids, fresh } = await putUpdates(tx, plan, state)
  const queued = await putBuilds(tx, plan, ids)
  await enqueue(tx, world, queued)
  await addEvents(
    tx,
    queued.map((build) => ({ actor, kind: 'build', subject: String(build.id), what: 'waiting' })),
  )
  return { updates: fresh, queued, superseded }
}

async function putState(tx: Tx, { branch, digest, from, to, revision }: SourcePlan): Promise<number> {
  const last = await tx
    .selectFrom('farm.source_state')
    .select(['id', 'digest'])
    .where('branch', '=', branch)
    .orderBy('id', 'desc')
    .limit(1)
    .executeTakeFirst()
  if (last?.digest === digest) return last.id
  const at = revision.seconds === undefined ? null : new Date(revision.seconds * 1000)
  const values = { branch, digest, from_tag: from, to_tag: to, revision: revision.name, revision_at: at }
  return (await tx.insertInto('farm.source_state').values(values).returning('id').executeTakeFirstOrThrow()).id
}

async function supersede(tx: Tx, world: World, { superseded }: SourcePlan, actor: Actor): Promise<readonly Build[]> {
  const rows = await tx
    .selectFrom('farm.build')
    .innerJoin('farm.update', 'farm.update.id', 'farm.build.update_id')
    .select(buildColumns.map((name) => `farm.build.${name}` as const))
    .select('farm.update.is_security')
    .where('farm.build.id', '=', sql<number>`any(${[...superseded.builds]})`)
    .where('farm.build.state', '=', sql<Build['state']>`any(${[...superseded.from]})`)
    .execute()
  const builds = rows.map(buildOf)
  const ids = builds.map(({ id }) => id)
  await dequeue(tx, world, ids)
  const moved = new Set(await moveBuilds(tx, world.rules, ids, 'superseded', { actor, why: 'the sources have changed again' }))
  await endAttempts(tx, [...moved], 'superseded')
  return builds.filter(({ id }) => moved.has(id))
}

/** By pkgpath. An update that is there already as the newest of its port is that one. */
type Put = { readonly ids: ReadonlyMap<string, number>; readonly fresh: number }

async function putUpdates(tx: Tx, { branch, updates }: SourcePlan, state: number): Promise<Put> {
  const newest = await tx
    .selectFrom('farm.update')
    .select(['id', 'pkgpath', 'key'])
    .where('branch', '=', branch)
    .where('is_newest', '=', true)
    .execute()
  const known = new Map(newest.map((one) => [one.pkgpath, one]))
  const fresh = updates.filter(({ pkgpath, key }) => known.get(pkgpath)?.key !== key)
  const past = fresh.flatMap(({ pkgpath }) => known.get(pkgpath)?.id ?? [])
  await tx
    .updateTable('farm.update')
    .set({ is_newest: false })
    .where('id', '=', sql<number>`any(${past})`)
    .execute()
  const inserted = await inParts(
    fresh.map(({ pkgpath, key, isSecurity, cves, messages }) => ({
      branch,
      pkgpath,
      key,
      source_state: state,
      is_security: isSecurity,
      cves,
      messages,
    })),
    async (rows) => await tx.insertInto('farm.update').values(rows).returning(['id', 'pkgpath']).execute(),
  )
  return { ids: new Map([...newest, ...inserted].map(({ id, pkgpath }) => [pkgpath, id])), fresh: fresh.length }
}

async function putBuilds(tx: Tx, { branch, updates }: SourcePlan, ids: Put['ids']): Promise<readonly Build[]> {
  const security = new Set(updates.flatMap(({ pkgpath, isSecurity }) => (isSecurity ? [pkgpath] : [])))
  const wanted = updates.flatMap(({ pkgpath, builds }) =>
    builds.map((build) => ({ update_id: ids.get(pkgpath) as number, branch, pkgpath, ...build })),
  )
  const inserted = await inParts(
    wanted,
    async (rows) =>
      await tx
        .insertInto('farm.build')
        .values(rows)
        .onConflict((oc) => oc.constraint('build_work_uq').doNothing())
        .returning(buildColumns)
        .execute(),
  )
  return inserted.map((row) => buildOf({ ...row, is_security: security.has(row.pkgpath) }))
}

/** A statement has room for so many values. */
const rowsAtOnce = 1000

async function inParts<T, R>(rows: readonly T[], insert: (part: readonly T[]) => Promise<readonly R[]>): Promise<readonly R[]> {
  const inserted: R[] = []
  for (let at = 0; at < rows.length; at += rowsAtOnce) inserted.push(...(await insert(rows.slice(at, at + rowsAtOnce))))
  return inserted
}
