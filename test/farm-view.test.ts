import { rmSync } from 'node:fs'
import { after } from 'node:test'
import { usualRetries } from '../src/engine/farm/retry.ts'
import { farmRules } from '../src/engine/farm/rules.ts'
import { farmPlace, openFarm } from '../src/host/farm/open.ts'
import { farmView } from '../src/host/farm/view.ts'
import { memoryFarmView } from '../src/host/memory-farm-view.ts'
import { farmViewConformance } from './conformance/farm-view.ts'
import { farmFolder } from './helpers/farm-database.ts'
import { generatedFacts } from './helpers/farm-facts.ts'
import { seedFarm } from './helpers/farm-seed.ts'
import { folderInMemory } from './helpers/temporary.ts'
import { needsPostgres, startCluster } from './helpers/postgres.ts'
import type { FarmPlace } from '../src/host/farm/engine.ts'
import type { Farm } from '../src/host/farm/open.ts'
import type { Cluster } from './helpers/postgres.ts'
import type { FarmFacts } from '../src/host/memory-farm-view.ts'
import type { FarmView } from '../src/port/farm-view.ts'

const facts = generatedFacts(150)
const twin = memoryFarmView(facts)
const folder = await farmFolder()
const logs = folderInMemory('bindery-logs-')
const farms: Farm[] = []
let cluster: Cluster | undefined

after(async () => {
  for (const farm of farms) await farm.close()
  await cluster?.stop()
  for (const one of [folder, logs]) rmSync(one, { recursive: true })
})

type World = { readonly view: FarmView; readonly twin: FarmView; readonly facts: FarmFacts }

/** The same facts for all tests of an engine, which only read. */
function seeded(place: () => Promise<FarmPlace>): () => Promise<World> {
  const rules = farmRules(usualRetries)
  const onError = (error: unknown): void => void process.stderr.write(`${String(error)}\n`)
  const open = async (): Promise<World> => {
    const farm = await openFarm(await place(), { rules, leaseSeconds: 60, verb: 'test', onError })
    farms.push(farm)
    await seedFarm(farm.engine.db, facts, logs)
    const view = farmView({ db: farm.engine.db, catalog: farm.catalog, clock: { now: () => facts.now }, folder: logs })
    return { view, twin, facts }
  }
  let opened: Promise<World> | undefined
  return async () => await (opened ??= open())
}

farmViewConformance('memory', async () => await Promise.resolve({ view: memoryFarmView(generatedFacts(150)), twin, facts }))
farmViewConformance(
  'PGlite',
  seeded(async () => await Promise.resolve(farmPlace(folder, undefined))),
)
farmViewConformance(
  'PostgreSQL',
  seeded(async () => farmPlace('', await (cluster = await startCluster()).database())),
  needsPostgres(),
)
