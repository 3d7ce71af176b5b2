import { sql } from 'kysely'
import { neverExpires, queueName } from './boss.ts'
import { queueIn } from './world.ts'
import type { Tx, World } from './world.ts'

/** A build that is to be in the queue. */
export type Queued = { readonly id: number; readonly branch: string; readonly arch: string; readonly priority: number }

/** Puts builds into the queue, `afterSeconds` from now on, and notes their jobs. Those that are in it already stay as they are. */
export async function enqueue(tx: Tx, { boss }: World, builds: readonly Queued[], afterSeconds = 0): Promise<void> {
  for (const [name, its] of byQueue(builds)) {
    const jobs = its.map((build) => ({ build, id: crypto.randomUUID() }))
    const inserted = await boss.insert(
      name,
      jobs.map(({ build: { id: key, priority }, id }) => ({
        id,
        data: { build: key },
        priority,
        singletonKey: String(key),
        startAfter: afterSeconds,
        ...neverExpires,
      })),
      { ...queueIn(tx), returnId: true },
    )
    const fresh = new Set(inserted)
    const noted = jobs.filter(({ id }) => fresh.has(id))
    if (noted.length > 0) await noteJobs(tx, noted)
  }
}

async function noteJobs(tx: Tx, jobs: readonly { readonly build: Queued; readonly id: string }[]): Promise<void> {
  const builds = jobs.map(({ build }) => build.id)
  const ids = jobs.map(({ id }) => id)
  await sql`update farm.build set job = noted.job from unnest(${builds}::bigint[], ${ids}::uuid[]) as noted (id, job)
    where farm.build.id = noted.id`.execute(tx)
}

/** Takes the jobs of builds away, whoever has them. Before their rows are touched: a builder that claims goes in this order, too. */
export async function dequeue(tx: Tx, { boss }: World, builds: readonly number[]): Promise<void> {
  const rows = await tx
    .selectFrom('farm.build')
    .select(['id', 'branch', 'arch', 'job', 'priority'])
    .where('id', '=', sql<number>`any(${[...builds]})`)
    .where('job', 'is not', null)
    .execute()
  for (const [name, its] of byQueue(rows))
    await boss.deleteJob(
      name,
      its.map(({ job }) => job as string),
      queueIn(tx),
    )
  if (rows.length > 0)
    await tx
      .updateTable('farm.build')
      .set({ job: null })
      .where('id', '=', sql<number>`any(${rows.map(({ id }) => id)})`)
      .execute()
}

function byQueue<T extends Pick<Queued, 'branch' | 'arch'>>(builds: readonly T[]): ReadonlyMap<string, readonly T[]> {
  return Map.groupBy(builds, ({ branch, arch }) => queueName(branch, arch))
}
