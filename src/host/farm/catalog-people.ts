import { sql } from 'kysely'
import { BinderyError } from '../../base/error.ts'
import { addEvents, inTransaction } from './world.ts'
import type { UpdateObject } from 'kysely'
import type { Builder, FarmCatalog, KnownBuilder, NewSighting } from '../../port/farm-catalog.ts'
import type { Actor } from '../../port/farm-build.ts'
import type { Tables } from './tables.ts'
import type { Tx, World } from './world.ts'

/** Whom the farm knows: builders, operators, mirrors, machines of the fleet. */
type Part = Pick<
  FarmCatalog,
  | 'putMirror'
  | 'addSighting'
  | 'sightings'
  | 'putBuilder'
  | 'builders'
  | 'pauseBuilder'
  | 'quarantineBuilder'
  | 'removeBuilder'
  | 'noteBuilder'
  | 'putOperator'
  | 'operators'
  | 'removeOperator'
  | 'putReport'
  | 'reports'
  | 'forgetMachine'
>

export function catalogPeople(world: World): Part {
  const { db } = world
  const change = async (name: string, set: UpdateObject<Tables, 'farm.builder'>, told: Told): Promise<void> =>
    await inTransaction(world, async (tx) => await changeBuilder(tx, name, set, told))
  return {
    ...mirrors(world),
    putBuilder: async (builder, actor) => await inTransaction(world, async (tx) => await putBuilder(tx, builder, actor)),
    builders: async () => await readBuilders(world),
    pauseBuilder: async (name, paused, actor) => {
      await change(name, { paused }, { actor, what: paused ? 'paused' : 'resumed' })
      world.wake()
    },
    quarantineBuilder: async (name, quarantined, actor) => {
      await change(name, { quarantined }, { actor, what: quarantined ? 'quarantined' : 'released from quarantine' })
      world.wake()
    },
    removeBuilder: async (name, actor) => await change(name, { removed: true }, { actor, what: 'removed' }),
    noteBuilder: async (name, load) => {
      await db
        .updateTable('farm.builder')
        .set({ seen_at: sql`now()`, load })
        .where('name', '=', name)
        .execute()
    },
    ...operators(world),
  }
}

type Told = { readonly actor: Actor; readonly what: string }

async function putBuilder(tx: Tx, { name, publicKey, arch, releases, tags, jobs }: Builder, actor: Actor): Promise<void> {
  const facts = { public_key: publicKey ?? null, arch, releases, tags, jobs, removed: false }
  const before = await tx.selectFrom('farm.builder').select('removed').where('name', '=', name).executeTakeFirst()
  await tx
    .insertInto('farm.builder')
    .values({ name, ...facts })
    .onConflict((oc) => oc.column('name').doUpdateSet(facts))
    .execute()
  if (before?.removed !== false) await addEvents(tx, [{ actor, kind: 'builder', subject: name, what: 'added' }])
}

async function changeBuilder(tx: Tx, name: string, set: UpdateObject<Tables, 'farm.builder'>, { actor, what }: Told): Promise<void> {
  const changed = await tx
    .updateTable('farm.builder')
    .set(set)
    .where('name', '=', name)
    .where('removed', '=', false)
    .returning('name')
    .executeTakeFirst()
  if (changed === undefined) throw new BinderyError('not-found', `there is no builder '${name}'`)
  await addEvents(tx, [{ actor, kind: 'builder', subject: name, what }])
}

async function readBuilders({ db }: World): Promise<readonly KnownBuilder[]> {
  const rows = await db.selectFrom('farm.builder').selectAll().where('removed', '=', false).orderBy('name').execute()
  return rows.map((row) => ({
    name: row.name,
    publicKey: row.public_key ?? undefined,
    arch: row.arch,
    releases: row.releases,
    tags: row.tags,
    jobs: row.jobs,
    paused: row.paused,
    quarantined: row.quarantined,
    seen: row.seen_at?.getTime(),
    load: row.load ?? undefined,
  }))
}

function mirrors(world: World): Pick<FarmCatalog, 'putMirror' | 'addSighting' | 'sightings'> {
  const { db } = world
  return {
    putMirror: async (place) => {
      await db
        .insertInto('farm.mirror')
        .values({ place })
        .onConflict((oc) => oc.column('place').doUpdateSet({ removed: false }))
        .execute()
    },
    addSighting: async (sighting) => await inTransaction(world, async (tx) => await addSighting(tx, sighting)),
    sightings: async () => {
      const rows = await db
        .selectFrom('farm.sighting')
        .innerJoin('farm.mirror', 'farm.mirror.place', 'farm.sighting.mirror')
        .selectAll('farm.sighting')
        .where('is_newest', '=', true)
        .where('farm.mirror.removed', '=', false)
        .orderBy('mirror')
        .orderBy('branch')
        .orderBy('arch')
        .execute()
      return rows.map(({ mirror, branch, arch, state, lag_seconds, files, why, first_at, last_at }) => ({
        mirror,
        branch,
        arch,
        state,
        files,
        why,
        lagSeconds: lag_seconds ?? undefined,
        first: first_at.getTime(),
        last: last_at.getTime(),
      }))
    },
  }
}

async function addSighting(tx: Tx, { mirror, branch, arch, state, lagSeconds, files, why }: NewSighting): Promise<void> {
  const newest = await tx
    .selectFrom('farm.sighting')
    .select(['id', 'state', 'why', 'files'])
    .where('mirror', '=', mirror)
    .where('branch', '=', branch)
    .where('arch', '=', arch)
    .where('is_newest', '=', true)
    .forUpdate()
    .executeTakeFirst()
  const isSame = newest !== undefined && newest.state === state && newest.why === why && newest.files.join('\n') === files.join('\n')
  const lag = { lag_seconds: lagSeconds ?? null }
  if (isSame) {
    await tx
      .updateTable('farm.sighting')
      .set({ last_at: sql`now()`, ...lag })
      .where('id', '=', newest.id)
      .execute()
    return
  }
  if (newest !== undefined) await tx.updateTable('farm.sighting').set({ is_newest: false }).where('id', '=', newest.id).execute()
  await tx
    .insertInto('farm.sighting')
    .values({ mirror, branch, arch, state, files, why, ...lag })
    .execute()
}

function operators(
  world: World,
): Pick<FarmCatalog, 'putOperator' | 'operators' | 'removeOperator' | 'putReport' | 'reports' | 'forgetMachine'> {
  const { db } = world
  return {
    putOperator: async ({ name, tokenHash, may }, actor) =>
      await inTransaction(world, async (tx) => {
        const facts = { token_sha256: tokenHash, may }
        await tx
          .insertInto('farm.operator')
          .values({ name, ...facts })
          .onConflict((oc) => oc.column('name').doUpdateSet(facts))
          .execute()
        await addEvents(tx, [{ actor, kind: 'operator', subject: name, what: `may ${may}` }])
      }),
    operators: async () => {
      const rows = await db.selectFrom('farm.operator').selectAll().orderBy('name').execute()
      return rows.map(({ name, token_sha256, may, added_at }) => ({ name, tokenHash: token_sha256, may, added: added_at.getTime() }))
    },
    removeOperator: async (name, actor) =>
      await inTransaction(world, async (tx) => {
        await tx.deleteFrom('farm.operator').where('name', '=', name).execute()
        await addEvents(tx, [{ actor, kind: 'operator', subject: name, what: 'removed' }])
      }),
    putReport: async ({ machine, channel, release, at, key, lastRun, reboot }) => {
      const facts = { release, reported_at: new Date(at), key, last_run: lastRun, reboot }
      await db
        .insertInto('farm.report')
        .values({ machine, channel, ...facts })
        // Reports may come late, by a detour.
        .onConflict((oc) => oc.columns(['machine', 'channel']).doUpdateSet(facts).where('farm.report.reported_at', '<=', facts.reported_at))
        .execute()
    },
    reports: async () => {
      const rows = await db.selectFrom('farm.report').selectAll().orderBy('machine').orderBy('channel').execute()
      return rows.map(({ reported_at, last_run, ...rest }) => ({ ...rest, at: reported_at.getTime(), lastRun: last_run }))
    },
    forgetMachine: async (machine, actor) =>
      await inTransaction(world, async (tx) => {
        const gone = await tx.deleteFrom('farm.report').where('machine', '=', machine).returning('machine').execute()
        if (gone.length === 0) throw new BinderyError('not-found', `there is no machine '${machine}'`)
        await addEvents(tx, [{ actor, kind: 'machine', subject: machine, what: 'forgotten' }])
      }),
  }
}
