import { sql } from 'kysely'
import { BinderyError } from '../../base/error.ts'
import { addEvents, inTransaction, moveAll, moveBuilds } from './world.ts'
import type { Selectable } from 'kysely'
import type { Sha256 } from '../../base/digest.ts'
import type { Actor, BuildState } from '../../port/farm-build.ts'
import type { FarmCatalog, Handover, HandoverState, NewHandover } from '../../port/farm-catalog.ts'
import type { HandoverTable } from './tables.ts'
import type { MoveBy, Tx, World } from './world.ts'

/** What goes to the signer, comes back, and is published. */
type Part = Pick<FarmCatalog, 'addHandover' | 'handovers' | 'noteNotified' | 'moveHandover' | 'addPublication' | 'lastPublication'>

export function catalogHandovers(world: World): Part {
  const { db } = world
  return {
    addHandover: async (handover, actor) => await inTransaction(world, async (tx) => await addHandover(tx, world, handover, actor)),
    handovers: async (states) => await readHandovers(world, states),
    noteNotified: async (handover) => {
      await db
        .updateTable('farm.handover')
        .set({ notified_at: sql`now()` })
        .where('id', '=', handover)
        .execute()
    },
    moveHandover: async (handover, to, by) =>
      await inTransaction(world, async (tx) => await moveHandover(tx, world, { id: handover, to, by })),
    addPublication: async ({ branch, arch, handover, digest, packages }) => {
      const last = await db
        .selectFrom('farm.publication')
        .select('digest')
        .where('branch', '=', branch)
        .where('arch', '=', arch)
        .orderBy('id', 'desc')
        .limit(1)
        .executeTakeFirst()
      if (last?.digest === digest) return
      await db
        .insertInto('farm.publication')
        .values({ branch, arch, handover: handover ?? null, digest, packages })
        .execute()
    },
    lastPublication: async () => {
      const row = await db.selectFrom('farm.publication').select('id').orderBy('id', 'desc').limit(1).executeTakeFirst()
      return row === undefined ? undefined : String(row.id)
    },
  }
}

async function addHandover(tx: Tx, world: World, handover: NewHandover, actor: Actor): Promise<number> {
  const { branch, arch, digest, file, basis, packages } = handover
  const { id } = await tx
    .insertInto('farm.handover')
    .values({ branch, arch, digest, file, basis: basis ?? null })
    .returning('id')
    .executeTakeFirstOrThrow()
  await sql`insert into farm.handover_package (handover, package) select ${id}::bigint, unnest(${[...packages]}::bigint[])`.execute(tx)
  await moveAll(tx, world.rules, await buildsOf(tx, id), 'handed-over', { actor, why: `handover ${id}` })
  await addEvents(tx, [{ actor, kind: 'handover', subject: String(id), what: 'requested' }])
  return id
}

async function buildsOf(tx: Tx, handover: number): Promise<readonly number[]> {
  const rows = await tx
    .selectFrom('farm.handover_package')
    .innerJoin('farm.package', 'farm.package.id', 'farm.handover_package.package')
    .select('farm.package.build')
    .distinct()
    .where('farm.handover_package.handover', '=', handover)
    .execute()
  return rows.map(({ build }) => build)
}

async function readHandovers({ db }: World, states: readonly HandoverState[]): Promise<readonly Handover[]> {
  const rows = await db
    .selectFrom('farm.handover')
    .selectAll()
    .where('state', '=', sql<HandoverState>`any(${[...states]})`)
    .orderBy('id')
    .execute()
  const ids = rows.map(({ id }) => id)
  const handed = await db
    .selectFrom('farm.handover_package')
    .selectAll()
    .where('handover', '=', sql<number>`any(${ids})`)
    .orderBy('package')
    .execute()
  const byHandover = Map.groupBy(handed, ({ handover }) => handover)
  return rows.map((row) =>
    handoverOf(
      row,
      (byHandover.get(row.id) ?? []).map((one) => one.package),
    ),
  )
}

function handoverOf(row: Selectable<HandoverTable>, packages: readonly number[]): Handover {
  return {
    id: row.id,
    branch: row.branch,
    arch: row.arch,
    digest: row.digest as Sha256,
    file: row.file,
    basis: (row.basis ?? undefined) as Sha256 | undefined,
    packages,
    state: row.state,
    made: row.made_at.getTime(),
    notified: row.notified_at?.getTime(),
    signed: row.signed_at?.getTime(),
    published: row.published_at?.getTime(),
  }
}

/** What may follow which, and what becomes of the builds. Those that were superseded meanwhile stay so. */
const steps: Readonly<
  Record<Exclude<HandoverState, 'requested'>, { readonly from: readonly HandoverState[]; readonly builds: BuildState }>
> = {
  signed: { from: ['requested'], builds: 'signed' },
  published: { from: ['signed'], builds: 'published' },
  withdrawn: { from: ['requested'], builds: 'built' },
  stale: { from: ['requested', 'signed'], builds: 'built' },
}

type Moving = { readonly id: number; readonly to: HandoverState; readonly by: MoveBy }

async function moveHandover(tx: Tx, world: World, { id, to, by }: Moving): Promise<void> {
  const row = await tx.selectFrom('farm.handover').select('state').where('id', '=', id).forUpdate().executeTakeFirst()
  if (row === undefined) throw new BinderyError('not-found', `there is no handover ${id}`)
  const step = to === 'requested' ? undefined : steps[to]
  if (step === undefined || !step.from.includes(row.state))
    throw new BinderyError('conflict', `handover ${id} is ${row.state}, and cannot become ${to}`)
  const stamp = to === 'signed' ? { signed_at: sql<Date>`now()` } : to === 'published' ? { published_at: sql<Date>`now()` } : {}
  await tx
    .updateTable('farm.handover')
    .set({ state: to, ...stamp })
    .where('id', '=', id)
    .execute()
  await moveBuilds(tx, world.rules, await buildsOf(tx, id), step.builds, { ...by, why: by.why ?? `handover ${id} is ${to}` })
  await addEvents(tx, [{ actor: by.actor, kind: 'handover', subject: String(id), what: by.why === undefined ? to : `${to}: ${by.why}` }])
}
