import { rmSync } from 'node:fs'
import { after } from 'node:test'
import { pipeline } from '../src/engine/farm/pipeline.ts'
import { afterFailure, usualRetries } from '../src/engine/farm/retry.ts'
import { farmPlace, openFarm } from '../src/host/farm/open.ts'
import { farmConformance } from './conformance/farm.ts'
import { farmFolder } from './helpers/farm-database.ts'
import { needsPostgres, startCluster } from './helpers/postgres.ts'
import type { Cluster } from './helpers/postgres.ts'
import type { Farm } from '../src/host/farm/open.ts'
import type { FarmPlace } from '../src/host/farm/engine.ts'

/** One farm for all tests of an engine: each adds a branch of its own, which takes the place of the one before. */
function shared(place: () => Promise<FarmPlace>): { readonly open: () => Promise<Farm>; readonly close: () => Promise<void> } {
  let opened: Promise<Farm> | undefined
  const rules = { ...pipeline, afterFailure: (failures: number) => afterFailure(failures, usualRetries) }
  const onError = (error: unknown): void => void process.stderr.write(`${String(error)}\n`)
  const open = async (): Promise<Farm> => await openFarm(await place(), { rules, leaseSeconds: 60, verb: 'test', onError })
  return {
    open: async () => await (opened ??= open()),
    close: async () => await (await opened)?.close(),
  }
}

let cluster: Cluster | undefined
let folder: string | undefined
const embedded = shared(async () => farmPlace((folder = await farmFolder()), undefined))
const server = shared(async () => farmPlace('', await (cluster = await startCluster()).database()))

after(async () => {
  await embedded.close()
  await server.close()
  await cluster?.stop()
  if (folder !== undefined) rmSync(folder, { recursive: true })
})

farmConformance('PGlite', embedded.open)
farmConformance('PostgreSQL', server.open, needsPostgres())
