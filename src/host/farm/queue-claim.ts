import { sql } from 'kysely'
import { queueName } from './boss.ts'
import { attemptOf, inTransaction, moveAll, moveBuilds, queueIn, readBuild } from './world.ts'
import type { Selectable } from 'kysely'
import type { Job } from 'pg-boss'
import type { Revision } from '../../base/source-change.ts'
import type { Claim } from '../../port/farm-queue.ts'
import type { Attempt, Build } from '../../port/farm-build.ts'
import type { Tables } from './tables.ts'
import type { Tx, World } from './world.ts'

type Line = { readonly name: string; readonly release: string }
type Claiming = { readonly builder: string; readonly queue: string; readonly line: Line }

export async function claim(world: World, builder: string): Promise<Claim | undefined> {
  return await inTransaction(world, async (tx) => {
    const row = await tx
      .selectFrom('farm.builder')
      .selectAll()
      .where('name', '=', builder)
      .where('removed', '=', false)
      .forUpdate()
      .executeTakeFirst()
    if (row === undefined || row.paused || row.quarantined || (await openAttempts(tx, builder)) >= row.jobs) return undefined
    const lines = await linesFor(tx, row)
    for (const minPriority of [world.rules.urgentPriority, undefined])
      for (const line of lines) {
        const claimed = await claimFrom(tx, world, { builder, queue: queueName(line.name, row.arch), line }, minPriority)
        if (claimed !== undefined) return claimed
      }
    return undefined
  })
}

async function openAttempts(tx: Tx, builder: string): Promise<number> {
  const { count } = await tx
    .selectFrom('farm.attempt')
    .select(sql<number>`count(*)::integer`.as('count'))
    .where('builder', '=', builder)
    .where('ended_at', 'is', null)
    .executeTakeFirstOrThrow()
  return count
}

type BuilderRow = Selectable<Tables['farm.builder']>

/** Releases are made by places of the controller alone: what they are made of is there. */
async function linesFor(tx: Tx, { arch, releases, tags, public_key }: BuilderRow): Promise<readonly Line[]> {
  const branches = await tx
    .selectFrom('farm.branch')
    .select(['name', 'product', 'release', 'archs', 'tags'])
    .where('paused', '=', false)
    .where('retired', '=', false)
    .orderBy('name', 'desc')
    .execute()
  return branches.filter(
    (branch) =>
      branch.archs.includes(arch) &&
      (branch.product === null || public_key === null) &&
      (releases.length === 0 || releases.includes(branch.release)) &&
      branch.tags.every((tag) => tags.includes(tag)),
  )
}

async function claimFrom(tx: Tx, world: World, claiming: Claiming, minPriority: number | undefined): Promise<Claim | undefined> {
  for (;;) {
    const limit = minPriority === undefined ? {} : { minPriority }
    const [job] = await world.boss.fetch<{ build: number }>(claiming.queue, { ...queueIn(tx), ...limit })
    if (job === undefined) return undefined
    const build = await takeable(tx, world, job)
    if (build !== undefined) return await begin(tx, world, claiming, { job, build })
    // Nobody wants it any more.
    await world.boss.deleteJob(claiming.queue, job.id, queueIn(tx))
  }
}

/** The build of a job, brought to `waiting`: one that failed is due again, one that is being built has lost its builder. */
async function takeable(tx: Tx, { rules }: World, job: Job<{ build: number }>): Promise<Build | undefined> {
  const row = await tx
    .selectFrom('farm.build')
    .select(['id', 'job', 'state'])
    .where('id', '=', job.data.build)
    .forUpdate()
    .executeTakeFirst()
  if (row === undefined || row.job !== job.id) return undefined
  if (row.state === 'building') await loseAttempt(tx, row.id)
  if (row.state === 'building' || row.state === 'failed')
    await moveAll(tx, rules, [row.id], 'waiting', {
      actor: 'farm',
      why: row.state === 'failed' ? 'it is tried again' : 'the builder was lost',
    })
  const build = await readBuild(tx, row.id)
  return build?.state === 'waiting' ? build : undefined
}

async function loseAttempt(tx: Tx, build: number): Promise<void> {
  await tx
    .updateTable('farm.attempt')
    .set({ ended_at: sql`now()`, outcome: 'lost', why: 'no sign of life' })
    .where('build', '=', build)
    .where('ended_at', 'is', null)
    .execute()
}

type Begun = { readonly job: Job<{ build: number }>; readonly build: Build }

async function begin(tx: Tx, { rules }: World, { builder, line }: Claiming, { job, build }: Begun): Promise<Claim> {
  await moveBuilds(tx, rules, [build.id], 'building', { actor: builder })
  const attempt = await addAttempt(tx, builder, { job, build })
  await tx
    .updateTable('farm.builder')
    .set({ seen_at: sql`now()` })
    .where('name', '=', builder)
    .execute()
  return {
    build: { ...build, state: 'building', notBefore: undefined, since: attempt.started },
    attempt,
    release: line.release,
    revision: await revisionOf(tx, build.id),
  }
}

async function addAttempt(tx: Tx, builder: string, { job, build }: Begun): Promise<Attempt> {
  const { last } = await tx
    .selectFrom('farm.attempt')
    .select(sql<number>`coalesce(max(number), 0)`.as('last'))
    .where('build', '=', build.id)
    .executeTakeFirstOrThrow()
  const number = last + 1
  const row = await tx
    .insertInto('farm.attempt')
    .values({
      build: build.id,
      number,
      builder,
      job: job.id,
      job_try: job.retryCount,
      log_file: `log/${build.branch}/${build.arch}/${build.id}.${number}.log`,
    })
    .returningAll()
    .executeTakeFirstOrThrow()
  return attemptOf(row)
}

export async function claimOf({ db }: World, id: number): Promise<Claim | undefined> {
  const attempt = await db.selectFrom('farm.attempt').selectAll().where('id', '=', id).executeTakeFirst()
  const build = attempt === undefined ? undefined : await readBuild(db, attempt.build)
  if (attempt === undefined || build === undefined) return undefined
  const { release } = await db.selectFrom('farm.branch').select('release').where('name', '=', build.branch).executeTakeFirstOrThrow()
  return { build, attempt: attemptOf(attempt), release, revision: await revisionOf(db, build.id) }
}

/** Not what the branch is by now: what came into it meanwhile is a build of its own. */
async function revisionOf(db: Tx | World['db'], build: number): Promise<Revision> {
  const row = await db
    .selectFrom('farm.build')
    .innerJoin('farm.update', 'farm.update.id', 'farm.build.update_id')
    .innerJoin('farm.source_state', 'farm.source_state.id', 'farm.update.source_state')
    .select(['farm.source_state.to_tag', 'farm.source_state.revision', 'farm.source_state.revision_at'])
    .where('farm.build.id', '=', build)
    .executeTakeFirstOrThrow()
  const at = row.revision_at ?? undefined
  return { name: row.revision ?? row.to_tag, seconds: at === undefined ? undefined : Math.floor(at.getTime() / 1000) }
}
