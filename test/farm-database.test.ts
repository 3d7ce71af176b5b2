import { rmSync } from 'node:fs'
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { usualRetries } from '../src/engine/farm/retry.ts'
import { farmRules } from '../src/engine/farm/rules.ts'
import { farmPlace, openFarm } from '../src/host/farm/open.ts'
import { isBinderyError } from '../src/base/error.ts'
import { emptyFarm, farmConformance, fillFarm } from './conformance/farm.ts'
import { farmFolder } from './helpers/farm-database.ts'
import { needsPostgres, startCluster } from './helpers/postgres.ts'
import type { Cluster } from './helpers/postgres.ts'
import type { Farm } from '../src/host/farm/open.ts'
import type { FarmPlace } from '../src/host/farm/engine.ts'

/** One farm for all tests of an engine: each adds a branch of its own, which takes the place of the one before. */
function shared(place: () => Promise<FarmPlace>): { readonly open: () => Promise<Farm>; readonly close: () => Promise<void> } {
  let opened: Promise<Farm> | undefined
  const rules = farmRules(usualRetries)
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

test('a farm goes from one engine to the other and back, and is the same', needsPostgres(), async () => {
  const [from, to] = [await embedded.open(), await server.open()]
  for (const farm of [from, to]) await emptyFarm(farm)
  await fillFarm(from)
  const first = await exported(from)
  await assert.rejects(from.importFrom(linesOf(first)), (error) => isBinderyError(error, 'exists'))
  assert.equal(await to.importFrom(linesOf(first)), first.length - 1)
  const second = await exported(to)
  await emptyFarm(from)
  await from.importFrom(linesOf(second))
  assert.deepEqual(unnumbered(await exported(from)), unnumbered(second))
  // But for what nobody builds any more.
  const same = (lines: readonly string[]): readonly string[] => lines.filter((line) => !/^{"table":"(?:build|attempt)"/.test(line))
  assert.deepEqual(same(second), same(first))
  assert.deepEqual(
    (await to.catalog.buildsIn(['waiting', 'built'])).map(({ pkgpath, state }) => [pkgpath, state]),
    [
      ['net/a', 'built'],
      ['net/b', 'waiting'],
      ['net/c', 'waiting'],
    ],
  )
  const claims = [await to.queue.claim('here'), await to.queue.claim('here'), await to.queue.claim('here')]
  assert.deepEqual(
    claims.map((claim) => claim?.build.pkgpath),
    ['net/b', 'net/c', undefined],
  )
})

test('one controller looks after the farm in a database, until it ends', needsPostgres(), async () => {
  const { engine } = await server.open()
  const hold = await engine.hold()
  await assert.rejects(engine.hold(), (error) => isBinderyError(error, 'locked'))
  await hold.check()
  await hold.release()
  await (await engine.hold()).release()
})

/** Each queue numbers its jobs by itself. */
function unnumbered(lines: readonly string[]): readonly string[] {
  return lines.map((line) => line.replace(/"job": "[-0-9a-f]{36}"/, '"job": "-"'))
}

async function exported(farm: Farm): Promise<readonly string[]> {
  const lines: string[] = []
  await farm.exportTo(async (line) => void lines.push(line))
  return lines
}

async function* linesOf(lines: readonly string[]): AsyncGenerator<string> {
  yield* lines
}
