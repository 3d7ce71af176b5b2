import { sql } from 'kysely'
import { openQueue, queueName } from './boss.ts'
import { dequeue, enqueue } from './jobs.ts'
import { addEvents, buildColumns, buildOf, endAttempts, inTransaction, moveBuilds } from './world.ts'
import type { RawBuilder, Selectable } from 'kysely'
import type { Branch } from '../../base/farm-branch.ts'
import type { Actor, Build } from '../../port/farm-build.ts'
import type { LookFailure, WantedAnew } from '../../port/farm-catalog.ts'
import type { Tables } from './tables.ts'
import type { Tx, World } from './world.ts'

type BranchRow = Selectable<Tables['farm.branch']>

/** What farm.toml says of branches, into the catalog, and what that means for builds. */
export async function putBranches(world: World, branches: readonly Branch[], actor: Actor): Promise<WantedAnew> {
  for (const { name, archs } of branches) for (const arch of archs) await openQueue(world.boss, queueName(name, arch), world)
  return await inTransaction(world, async (tx) => {
    await tx.updateTable('farm.branch').set({ retired: true }).where('retired', '=', false).execute()
    for (const branch of branches) await putBranch(tx, branch, actor)
    return { cancelled: await cancelUnwanted(tx, world, actor), waiting: await reviveWanted(tx, world, actor) }
  })
}

export function lookFailure({ look_failed_at, look_why }: Pick<BranchRow, 'look_failed_at' | 'look_why'>): LookFailure | undefined {
  return look_failed_at === null ? undefined : { since: look_failed_at.getTime(), why: look_why ?? '' }
}

async function putBranch(tx: Tx, { name, release, source, from, to, sqlports, archs, tags }: Branch, actor: Actor): Promise<void> {
  const facts = {
    release,
    source_kind: source.kind,
    source: source.place,
    module: source.module ?? null,
    from_tag: from,
    to_tag: to,
    sqlports: sqlports ?? null,
    archs,
    tags,
  }
  const before = await tx.selectFrom('farm.branch').select('name').where('name', '=', name).executeTakeFirst()
  await tx
    .insertInto('farm.branch')
    .values({ name, ...facts })
    .onConflict((oc) => oc.column('name').doUpdateSet({ ...facts, retired: false }))
    .execute()
  if (before === undefined) await addEvents(tx, [{ actor, kind: 'branch', subject: name, what: 'added' }])
}

/** What the signer has, or is signed, goes its way: somebody has looked at it. */
async function cancelUnwanted(tx: Tx, world: World, actor: Actor): Promise<readonly Build[]> {
  const states = world.rules.statesBefore('cancelled')
  const builds = await chosenBuilds(tx, sql<boolean>`build.state = any(${[...states]}) and not ${isWanted}`)
  const ids = builds.map(({ id }) => id)
  await dequeue(tx, world, ids)
  const why = 'farm.toml no longer has its branch or architecture'
  await moveBuilds(tx, world.rules, ids, 'cancelled', { actor, why, set: { unwanted_at: sql`now()` } })
  await endAttempts(tx, ids, 'cancelled')
  return builds
}

/** What a person cancelled stays so. */
async function reviveWanted(tx: Tx, world: World, actor: Actor): Promise<readonly Build[]> {
  const where = sql<boolean>`build.state = 'cancelled' and build.unwanted_at is not null and update.is_newest and ${isWanted}`
  const builds = await chosenBuilds(tx, where)
  const set = { failures: 0, queued_at: sql<Date>`now()`, unwanted_at: null }
  const ids = builds.map(({ id }) => id)
  await moveBuilds(tx, world.rules, ids, 'waiting', { actor, why: 'farm.toml has its branch and architecture again', set })
  await enqueue(tx, world, builds)
  return builds
}

const isWanted = sql<boolean>`exists (
  select from farm.branch where branch.name = build.branch and not branch.retired and build.arch = any(branch.archs))`

async function chosenBuilds(tx: Tx, where: RawBuilder<boolean>): Promise<readonly Build[]> {
  const rows = await tx
    .selectFrom('farm.build as build')
    .innerJoin('farm.update as update', 'update.id', 'build.update_id')
    .select(buildColumns.map((name) => `build.${name}` as const))
    .select('update.is_security')
    .where(where)
    .orderBy('build.id')
    .execute()
  return rows.map(buildOf)
}
