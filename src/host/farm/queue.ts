import { sql } from 'kysely'
import { BinderyError } from '../../base/error.ts'
import { queueName } from './boss.ts'
import { dequeue, enqueue } from './jobs.ts'
import { claim, claimOf } from './queue-claim.ts'
import { finish, lose, putBack } from './queue-end.ts'
import { affectedBy, attemptOf, endAttempts, inTransaction, moveAll, queueIn, readBuild } from './world.ts'
import type { Selectable } from 'kysely'
import type { FarmQueue, Lost } from '../../port/farm-queue.ts'
import type { Attempt, Build } from '../../port/farm-build.ts'
import type { Queued } from './jobs.ts'
import type { Wakened } from '../wakened.ts'
import type { AttemptTable } from './tables.ts'
import type { Tx, World } from './world.ts'

export function farmQueue(world: World, { changed }: Wakened): FarmQueue {
  return {
    claim: async (builder) => await claim(world, builder),
    claimOf: async (attempt) => await claimOf(world, attempt),
    beat: async (attempt, log) => await beat(world, attempt, log),
    finish: async (attempt, end) => await finish(world, attempt, end),
    expire: async () => await expire(world),
    renew: async () => await renew(world),
    releaseAll: async (builders, why) => await releaseAll(world, builders, why),
    cancel: async (build, actor) =>
      await inTransaction(world, async (tx) => {
        await dequeue(tx, world, [build])
        await moveAll(tx, world.rules, [build], 'cancelled', { actor })
        await endAttempts(tx, [build], 'cancelled')
      }),
    retry: async (build, actor) => {
      await inTransaction(world, async (tx) => {
        const known = await wanted(tx, build)
        await refuseUnwanted(tx, known)
        if (known.state === 'building') throw new BinderyError('conflict', `build ${build} is being built`)
        await dequeue(tx, world, [build])
        await moveAll(tx, world.rules, [build], 'waiting', { actor, set: { failures: 0, queued_at: sql`now()`, unwanted_at: null } })
        await enqueue(tx, world, [known])
      })
      world.wake()
    },
    prioritise: async (build, priority, actor) => {
      await inTransaction(world, async (tx) => await prioritise(tx, world, { build, priority, actor }))
      world.wake()
    },
    repair: async () => await inTransaction(world, async (tx) => await repair(tx, world)),
    changed: async (milliseconds) => await changed(milliseconds),
  }
}

async function beat(world: World, id: number, { size }: { readonly size: number }): Promise<'held' | 'lost'> {
  return await inTransaction(world, async (tx) => {
    const attempt = await tx.selectFrom('farm.attempt').selectAll().where('id', '=', id).where('ended_at', 'is', null).executeTakeFirst()
    const build = attempt === undefined ? undefined : await readBuild(tx, attempt.build)
    if (attempt === undefined || build === undefined) return 'lost'
    const lease = { id: attempt.job, retryCount: attempt.job_try }
    const touched = await world.boss.touch(queueName(build.branch, build.arch), lease, queueIn(tx))
    if (affectedBy(touched) === 0) return 'lost'
    const set = { heartbeat_at: sql<Date>`now()`, log_size: size }
    await tx.updateTable('farm.attempt').set(set).where('id', '=', id).execute()
    return 'held'
  })
}

/** Which claims have run out is decided by the queue; the catalog follows. */
async function expire(world: World): Promise<readonly Lost[]> {
  await world.boss.supervise()
  const silent = await world.db
    .selectFrom('farm.attempt')
    .selectAll()
    .where('ended_at', 'is', null)
    .where('heartbeat_at', '<', sql<Date>`now() - ${world.leaseSeconds} * interval '1 second'`)
    .execute()
  const lost: Lost[] = []
  for (const attempt of silent) {
    const becomes = await loseIfExpired(world, attempt)
    if (becomes !== undefined) lost.push({ attempt: attemptOf(attempt), becomes })
  }
  if (lost.length > 0) world.wake()
  return lost
}

async function loseIfExpired(world: World, attempt: Selectable<AttemptTable>): Promise<Lost['becomes'] | undefined> {
  return await inTransaction(world, async (tx) => {
    const build = await readBuild(tx, attempt.build)
    if (build === undefined) return undefined
    const [job] = await world.boss.findJobs(queueName(build.branch, build.arch), { id: attempt.job, ...queueIn(tx) })
    if (job !== undefined && job.state === 'active' && job.retryCount === attempt.job_try) return undefined
    const isOpen = await tx
      .selectFrom('farm.attempt')
      .select('id')
      .where('id', '=', attempt.id)
      .where('ended_at', 'is', null)
      .forUpdate()
      .executeTakeFirst()
    return isOpen === undefined ? undefined : await lose(tx, world, { attempt, build })
  })
}

async function renew(world: World): Promise<void> {
  await inTransaction(world, async (tx) => {
    const open = await tx
      .selectFrom('farm.attempt')
      .innerJoin('farm.build', 'farm.build.id', 'farm.attempt.build')
      .select(['farm.attempt.id', 'farm.attempt.job', 'farm.attempt.job_try', 'farm.build.branch', 'farm.build.arch'])
      .where('farm.attempt.ended_at', 'is', null)
      .execute()
    for (const { job, job_try, branch, arch } of open)
      await world.boss.touch(queueName(branch, arch), { id: job, retryCount: job_try }, queueIn(tx))
    await tx
      .updateTable('farm.attempt')
      .set({ heartbeat_at: sql<Date>`now()` })
      .where('ended_at', 'is', null)
      .execute()
  })
}

async function releaseAll(world: World, builders: readonly string[], why: string): Promise<readonly Attempt[]> {
  const attempts = await inTransaction(world, async (tx) => {
    const open = await tx
      .selectFrom('farm.attempt')
      .selectAll()
      .where('ended_at', 'is', null)
      .where('builder', '=', sql<string>`any(${[...builders]})`)
      .execute()
    for (const attempt of open) {
      const build = await readBuild(tx, attempt.build)
      if (build !== undefined) await putBack(tx, world, { attempt, build }, { outcome: 'released', why })
    }
    return open.map(attemptOf)
  })
  if (attempts.length > 0) world.wake()
  return attempts
}

async function wanted(tx: Tx, id: number): Promise<Build> {
  const build = await readBuild(tx, id)
  if (build === undefined) throw new BinderyError('not-found', `there is no build ${id}`)
  return build
}

/** Nobody would ever take it. */
async function refuseUnwanted(tx: Tx, { id, branch, arch }: Build): Promise<void> {
  const row = await tx.selectFrom('farm.branch').select(['archs', 'retired']).where('name', '=', branch).executeTakeFirstOrThrow()
  if (row.retired) throw new BinderyError('conflict', `build ${id} is of ${branch}, which farm.toml no longer has`)
  if (!row.archs.includes(arch))
    throw new BinderyError('conflict', `build ${id} is for ${arch}, which ${branch} no longer has in farm.toml`)
}

type Prioritising = { readonly build: number; readonly priority: number; readonly actor: string }

async function prioritise(tx: Tx, world: World, { build: id, priority, actor }: Prioritising): Promise<void> {
  const build = await wanted(tx, id)
  if (build.state !== 'waiting') throw new BinderyError('conflict', `build ${id} is ${build.state}, and waits for no builder`)
  await dequeue(tx, world, [id])
  const waits = await tx
    .updateTable('farm.build')
    .set({ priority })
    .where('id', '=', id)
    .where('state', '=', 'waiting')
    .returning('id')
    .execute()
  if (waits.length === 0) throw new BinderyError('conflict', `build ${id} waits no longer`)
  await enqueue(tx, world, [{ ...build, priority }])
  await tx
    .insertInto('farm.event')
    .values({ actor, kind: 'build', subject: String(id), what: `priority ${priority}` })
    .execute()
}

/** The table of pg-boss is only asked whether a job is there: over its interface each would come here whole. */
async function repair(tx: Tx, world: World): Promise<number> {
  const { rows } = await sql<Queued & { readonly seconds: number }>`
    select build.id, build.branch, build.arch, build.priority,
      greatest(0, ceil(extract(epoch from build.not_before - now())))::integer as seconds
    from farm.build
    where (build.state = 'waiting' or build.state = 'failed' and build.not_before is not null)
      and not exists (
        select from farm_queue.job
        where job.name = 'build/' || build.branch || '/' || build.arch and job.id = build.job and job.state < 'completed')
    order by build.id`.execute(tx)
  if (rows.length === 0) return 0
  const ids = rows.map(({ id }) => id)
  await tx
    .updateTable('farm.build')
    .set({ job: null })
    .where('id', '=', sql<number>`any(${ids})`)
    .execute()
  for (const [seconds, its] of Map.groupBy(rows, (row) => row.seconds ?? 0)) await enqueue(tx, world, its, seconds)
  return rows.length
}
