import { sql } from 'kysely'
import { queueName } from './boss.ts'
import { dequeue, enqueue } from './jobs.ts'
import { affectedBy, inTransaction, moveAll, moveBuilds, queueIn, readBuild } from './world.ts'
import type { Selectable, UpdateObject } from 'kysely'
import type { AttemptEnd, NewPackage } from '../../port/farm-queue.ts'
import type { AttemptOutcome, Build } from '../../port/farm-build.ts'
import type { AttemptTable, Tables } from './tables.ts'
import type { Tx, World } from './world.ts'

/** How an attempt ends by the word of its builder. */
export async function finish(world: World, attempt: number, end: AttemptEnd): Promise<'ended' | 'lost'> {
  const ended = await inTransaction(world, async (tx) => {
    const held = await heldBy(tx, world, attempt)
    if (held === 'ended' || held === 'lost') return (await outcomeOf(tx, attempt)) === end.kind ? 'ended' : 'lost'
    await endHeld(tx, world, held, end)
    return 'ended'
  })
  world.wake()
  return ended
}

export type Held = { readonly attempt: Selectable<AttemptTable>; readonly build: Build; readonly queue: string }

/** The lease: the job must still be this try's. Settles the job, which ends the lease. */
async function heldBy(tx: Tx, { boss }: World, id: number): Promise<Held | 'ended' | 'lost'> {
  const attempt = await tx.selectFrom('farm.attempt').selectAll().where('id', '=', id).executeTakeFirst()
  if (attempt === undefined) return 'lost'
  if (attempt.ended_at !== null) return 'ended'
  const build = await readBuild(tx, attempt.build)
  if (build === undefined) return 'lost'
  const queue = queueName(build.branch, build.arch)
  const completed = await boss.complete(queue, { id: attempt.job, retryCount: attempt.job_try }, null, queueIn(tx))
  return affectedBy(completed) === 0 ? 'lost' : { attempt, build, queue }
}

async function outcomeOf(tx: Tx, id: number): Promise<AttemptOutcome | undefined> {
  return (await tx.selectFrom('farm.attempt').select('outcome').where('id', '=', id).executeTakeFirst())?.outcome ?? undefined
}

async function endHeld(tx: Tx, world: World, held: Held, end: AttemptEnd): Promise<void> {
  switch (end.kind) {
    case 'built':
      return await endBuilt(tx, world, held, end)
    case 'failed':
      return await endFailed(tx, world, held, end)
    case 'released':
      return await putBack(tx, world, held, { outcome: 'released', why: end.why })
  }
}

async function endAttempt(tx: Tx, id: number, set: UpdateObject<Tables, 'farm.attempt'>): Promise<void> {
  await tx
    .updateTable('farm.attempt')
    .set({ ended_at: sql`now()`, ...set })
    .where('id', '=', id)
    .execute()
}

type Built = Extract<AttemptEnd, { kind: 'built' }>

async function endBuilt(tx: Tx, { rules }: World, { attempt, build }: Held, { packages, logSize }: Built): Promise<void> {
  await endAttempt(tx, attempt.id, { outcome: 'built', log_size: logSize })
  for (const one of packages) await addPackage(tx, build.id, one)
  const by = { actor: attempt.builder }
  await moveAll(tx, rules, [build.id], 'built', { ...by, set: { failures: 0, job: null } })
  await moveBuilds(tx, rules, await olderBuilt(tx, build), 'superseded', { ...by, why: `build ${build.id} takes its place` })
}

/** What a builder says of its packages beside these facts stays in its manifest. */
async function addPackage(tx: Tx, build: number, one: NewPackage): Promise<void> {
  const { file, pkgpath, sha256, size, signature, reproducible = null } = one
  await tx
    .insertInto('farm.package')
    .values({ build, file, pkgpath, sha256, size, signature, reproducible })
    .onConflict((oc) => oc.constraint('package_file_uq').doNothing())
    .execute()
}

/** Whose packages have just been replaced in the folder that requests are made of. */
async function olderBuilt(tx: Tx, { id, branch, pkgpath, arch }: Build): Promise<readonly number[]> {
  const rows = await tx
    .selectFrom('farm.build')
    .select('id')
    .where('branch', '=', branch)
    .where('pkgpath', '=', pkgpath)
    .where('arch', '=', arch)
    .where('state', '=', 'built')
    .where('id', '<', id)
    .execute()
  return rows.map((row) => row.id)
}

type Failed = Extract<AttemptEnd, { kind: 'failed' }>

async function endFailed(tx: Tx, world: World, { attempt, build }: Held, { why, lines, logSize }: Failed): Promise<void> {
  const failures = build.failures + 1
  const next = world.rules.afterFailure(failures)
  await endAttempt(tx, attempt.id, { outcome: 'failed', why, lines, log_size: logSize })
  const set = { failures, job: null }
  if (next.kind === 'quarantine') {
    await moveAll(tx, world.rules, [build.id], 'failed', { actor: attempt.builder, why, set })
    return await moveAll(tx, world.rules, [build.id], 'quarantined', { actor: 'farm', why: `it failed ${failures} times` })
  }
  const later = sql<Date>`now() + ${next.afterSeconds} * interval '1 second'`
  await moveAll(tx, world.rules, [build.id], 'failed', { actor: attempt.builder, why, set: { ...set, not_before: later } })
  await enqueue(tx, world, [build], next.afterSeconds)
}

/** Nothing was heard of its builder. What takes its builders down, one after the other, is given to no more of them. */
export async function lose(tx: Tx, world: World, held: Pick<Held, 'attempt' | 'build'>): Promise<'waiting' | 'quarantined'> {
  const { attempt, build } = held
  const why = 'no sign of life'
  const losses = (await lossesOf(tx, build.id)) + 1
  if (losses < world.rules.mostLosses) {
    await putBack(tx, world, held, { outcome: 'lost', why })
    return 'waiting'
  }
  await dequeue(tx, world, [build.id])
  await endAttempt(tx, attempt.id, { outcome: 'lost', why })
  await moveAll(tx, world.rules, [build.id], 'failed', { actor: 'farm', why: `nothing is heard of ${attempt.builder}` })
  await moveAll(tx, world.rules, [build.id], 'quarantined', { actor: 'farm', why: `it lost ${losses} builders` })
  return 'quarantined'
}

/** Since it last came to wait by more than that. */
async function lossesOf(tx: Tx, build: number): Promise<number> {
  const { count } = await tx
    .selectFrom('farm.attempt')
    .innerJoin('farm.build', 'farm.build.id', 'farm.attempt.build')
    .select(sql<number>`count(*)::integer`.as('count'))
    .where('farm.attempt.build', '=', build)
    .where('farm.attempt.outcome', '=', 'lost')
    .whereRef('farm.attempt.started_at', '>=', 'farm.build.queued_at')
    .executeTakeFirstOrThrow()
  return count
}

/** For whoever comes next. */
export async function putBack(
  tx: Tx,
  world: World,
  { attempt, build }: Pick<Held, 'attempt' | 'build'>,
  { outcome, why }: { readonly outcome: 'released' | 'lost'; readonly why: string },
): Promise<void> {
  await dequeue(tx, world, [build.id])
  await endAttempt(tx, attempt.id, { outcome, why })
  await moveAll(tx, world.rules, [build.id], 'waiting', { actor: outcome === 'lost' ? 'farm' : attempt.builder, why })
  await enqueue(tx, world, [build])
}
