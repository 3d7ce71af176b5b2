import { openQueue, queueName, startBoss } from './boss.ts'
import { catalogAge } from './catalog-age.ts'
import { catalogBuilds } from './catalog-builds.ts'
import { catalogHandovers } from './catalog-handovers.ts'
import { catalogPeople } from './catalog-people.ts'
import { catalogSources } from './catalog-sources.ts'
import { databaseError } from './database-error.ts'
import { openEngine } from './engine.ts'
import { migrate } from './migrate.ts'
import { wakened } from '../wakened.ts'
import { farmQueue } from './queue.ts'
import { exportCatalog, importCatalog } from './transfer.ts'
import type { FarmCatalog } from '../../port/farm-catalog.ts'
import type { FarmQueue } from '../../port/farm-queue.ts'
import type { Engine, FarmPlace } from './engine.ts'
import type { FarmRules } from '../../port/farm-build.ts'
import type { World } from './world.ts'

/** The database of a farm at its newest version. */
export async function openFarmDatabase(place: FarmPlace, verb: string): Promise<Engine> {
  const engine = await openEngine(place, verb)
  try {
    await migrate(engine.db)
    return engine
  } catch (error) {
    await engine.close()
    throw databaseError(error, place.kind === 'folder' ? place.folder : 'DATABASE_URL')
  }
}

export type FarmOptions = {
  readonly rules: FarmRules
  /** After so long without a sign of life, a build goes to another builder; at least 10. */
  readonly leaseSeconds: number
  readonly verb: string
  /** Of what the queue does by itself. */
  readonly onError: (error: unknown) => void
}

export type Farm = {
  readonly engine: Engine
  readonly catalog: FarmCatalog
  readonly queue: FarmQueue
  /** All that is in the catalog, a line for each record. */
  exportTo(write: (line: string) => Promise<void>): Promise<void>
  /** Answers how many records there were. */
  importFrom(lines: AsyncIterable<string>): Promise<number>
  close(): Promise<void>
}

export async function openFarm(place: FarmPlace, { rules, leaseSeconds, verb, onError }: FarmOptions): Promise<Farm> {
  const engine = await openFarmDatabase(place, verb)
  try {
    const boss = await startBoss(engine, { leaseSeconds, onError })
    const waiting = wakened()
    const world: World = { db: engine.db, boss, rules, leaseSeconds, wake: waiting.wake }
    const catalog = {
      ...catalogSources(world),
      ...catalogBuilds(world),
      ...catalogHandovers(world),
      ...catalogPeople(world),
      ...catalogAge(world),
    }
    const queue = farmQueue(world, waiting)
    return {
      engine,
      catalog,
      queue,
      exportTo: async (write) => await exportCatalog(engine.db, write),
      importFrom: async (lines) => {
        const count = await importCatalog(engine.db, lines)
        for (const { name, archs } of await catalog.branches())
          for (const arch of archs) await openQueue(boss, queueName(name, arch), world)
        await queue.repair()
        return count
      },
      close: async () => {
        await boss.stop({ graceful: false, close: false })
        await engine.close()
      },
    }
  } catch (error) {
    await engine.close()
    throw databaseError(error, place.kind === 'folder' ? place.folder : 'DATABASE_URL')
  }
}

export function farmPlace(folder: string, url: string | undefined): FarmPlace {
  return url === undefined || url === '' ? { kind: 'folder', folder } : { kind: 'postgres', url }
}
