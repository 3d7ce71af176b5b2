import { sql } from 'kysely'
import { dequeue } from './jobs.ts'
import { addEvents, attemptOf, buildColumns, buildOf, inTransaction, moveAll, readBuild } from './world.ts'
import type { Sha256 } from '../../base/digest.ts'
import type { FarmCatalog, FarmPackage } from '../../port/farm-catalog.ts'
import type { BuildState } from '../../port/farm-build.ts'
import type { PackageTable } from './tables.ts'
import type { World } from './world.ts'
import type { Selectable } from 'kysely'

type Part = Pick<FarmCatalog, 'build' | 'buildsIn' | 'attemptsOf' | 'packagesOf' | 'securityOf' | 'move' | 'counts' | 'addEvent' | 'events'>

export function catalogBuilds(world: World): Part {
  const { db } = world
  return {
    build: async (id) => await readBuild(db, id),
    buildsIn: async (states, where = {}) => await readBuilds(world, states, where),
    attemptsOf: async (build) =>
      (await db.selectFrom('farm.attempt').selectAll().where('build', '=', build).orderBy('number').execute()).map(attemptOf),
    packagesOf: async (build) =>
      (await db.selectFrom('farm.package').selectAll().where('build', '=', build).orderBy('file').execute()).map(packageOf),
    securityOf: async (builds) => {
      const rows = await db
        .selectFrom('farm.build')
        .innerJoin('farm.update', 'farm.update.id', 'farm.build.update_id')
        .select(['farm.update.pkgpath', 'farm.update.cves', 'farm.update.messages'])
        .where('farm.build.id', '=', sql<number>`any(${[...builds]})`)
        .where('farm.update.is_security', '=', true)
        .execute()
      return new Map(rows.map(({ pkgpath, cves, messages }) => [pkgpath, [...cves, ...messages]]))
    },
    move: async (builds, to, by) =>
      await inTransaction(world, async (tx) => {
        await dequeue(tx, world, builds)
        await moveAll(tx, world.rules, builds, to, by)
      }),
    counts: async () => {
      const rows = await db
        .selectFrom('farm.build')
        .select(['branch', 'arch', 'state', sql<number>`count(*)::integer`.as('count')])
        .groupBy(['branch', 'arch', 'state'])
        .orderBy('branch')
        .orderBy('arch')
        .execute()
      return rows
    },
    addEvent: async (event) => await addEvents(db, [event]),
    events: async ({ before, limit }) => {
      const all = db.selectFrom('farm.event').selectAll()
      const rows = await (before === undefined ? all : all.where('id', '<', before)).orderBy('id', 'desc').limit(limit).execute()
      return rows.map(({ id, at, actor, kind, subject, what }) => ({ id, at: at.getTime(), actor, kind, subject, what }))
    },
  }
}

async function readBuilds(
  { db }: World,
  states: readonly BuildState[],
  { branch, arch }: { readonly branch?: string; readonly arch?: string },
): ReturnType<FarmCatalog['buildsIn']> {
  let query = db
    .selectFrom('farm.build')
    .innerJoin('farm.update', 'farm.update.id', 'farm.build.update_id')
    .select(buildColumns.map((name) => `farm.build.${name}` as const))
    .select('farm.update.is_security')
    .where('farm.build.state', '=', sql<BuildState>`any(${[...states]})`)
  if (branch !== undefined) query = query.where('farm.build.branch', '=', branch)
  if (arch !== undefined) query = query.where('farm.build.arch', '=', arch)
  return (await query.orderBy('farm.build.id').execute()).map(buildOf)
}

export function packageOf(row: Selectable<PackageTable>): FarmPackage {
  return {
    id: row.id,
    build: row.build,
    file: row.file,
    pkgpath: row.pkgpath,
    sha256: row.sha256 as Sha256,
    size: row.size,
    signature: row.signature,
    reproducible: row.reproducible ?? undefined,
  }
}
