// Builds through the queue: so many queued by one look at the sources, then claimed, reported alive and ended by 50 builders at once, on
// both engines. None may be stuck, none done twice. --builds N (default 100,000; PGlite gets a tenth).
import { rmSync } from 'node:fs'
import { sql } from 'kysely'
import { sha256 } from '../../src/base/digest.ts'
import { utf8 } from '../../src/base/bytes.ts'
import { usualRetries } from '../../src/engine/farm/retry.ts'
import { farmRules } from '../../src/engine/farm/rules.ts'
import { farmPlace, openFarm } from '../../src/host/farm/open.ts'
import { farmFolder } from '../../test/helpers/farm-database.ts'
import { needsPostgres, startCluster } from '../../test/helpers/postgres.ts'
import type { FarmPlace } from '../../src/host/farm/engine.ts'
import type { Farm } from '../../src/host/farm/open.ts'
import type { SourcePlan } from '../../src/port/farm-catalog.ts'

const given = process.argv.indexOf('--builds')
const builds = given < 0 ? 100_000 : Number(process.argv[given + 1])
const builders = 50
const archs = ['aarch64', 'amd64', 'i386', 'sparc64'] as const

const out = (line: string): void => void process.stdout.write(`${line}\n`)

async function measure(name: string, place: FarmPlace, count: number): Promise<void> {
  const rules = farmRules(usualRetries)
  const farm = await openFarm(place, { rules, leaseSeconds: 300, verb: 'bench', onError: (error) => out(String(error)) })
  try {
    await prepare(farm)
    const queued = await seconds(async () => void (await farm.catalog.apply(planOf(count), 'bench')))
    out(`${name}\t${count} builds queued\t${queued.toFixed(1)} s\t${Math.round(count / queued)}/s`)
    const drained = await seconds(async () => await drain(farm))
    out(`${name}\tdrained by ${builders} builders\t${drained.toFixed(1)} s\t${Math.round(count / drained)}/s`)
    const asked = 1000
    const idle = await seconds(async () => await askInVain(farm, asked))
    out(`${name}\tnothing to build, asked\t${((1000 * idle) / asked).toFixed(2)} ms each`)
    await check(farm, count)
    out(`${name}\t${await bytesPerBuild(farm, count)} bytes of the database for each`)
  } finally {
    await farm.close()
  }
}

async function prepare({ catalog }: Farm): Promise<void> {
  const source = { kind: 'git', place: '/ports', module: undefined } as const
  const branch = { name: 'stable', release: '7.6', source, from: 'release', to: 'stable', sqlports: undefined, tags: [], archs }
  await catalog.putBranches([branch], 'bench')
  for (let number = 0; number < builders; number++) {
    const arch = archs[number % archs.length] as string
    await catalog.putBuilder({ name: builderName(number), publicKey: undefined, arch, releases: [], tags: [], jobs: 1 }, 'bench')
  }
}

function builderName(number: number): string {
  return `builder-${number}`
}

function planOf(count: number): SourcePlan {
  const updates = Array.from({ length: count / archs.length }, (_, number) => {
    const pkgpath = `category/port${number}`
    const isSecurity = number % 50 === 0
    return {
      pkgpath,
      key: sha256(utf8(pkgpath)),
      isSecurity,
      cves: [],
      messages: ['update'],
      builds: archs.map((arch) => ({ arch, packages: [pkgpath], priority: isSecurity ? 100 : 0 })),
    }
  })
  return {
    branch: 'stable',
    digest: sha256(utf8('sources')),
    from: 'release',
    to: 'stable',
    revision: { name: 'stable', seconds: undefined },
    updates,
    superseded: { builds: [], from: [] },
  }
}

async function drain({ queue }: Farm): Promise<void> {
  const work = async (name: string): Promise<void> => {
    for (;;) {
      const claim = await queue.claim(name)
      if (claim === undefined) return
      await queue.beat(claim.attempt.id, { size: 100 })
      await queue.finish(claim.attempt.id, { kind: 'built', packages: [], logSize: 100 })
    }
  }
  await Promise.all(Array.from({ length: builders }, async (_, number) => await work(builderName(number))))
}

/** What a builder costs that waits. */
async function askInVain({ queue }: Farm, times: number): Promise<void> {
  for (let turn = 0; turn < times; turn++)
    if ((await queue.claim(builderName(turn % builders))) !== undefined) throw new Error('something was left to build')
}

/** Each of them once. */
async function check({ catalog, engine }: Farm, count: number): Promise<void> {
  const counts = await catalog.counts()
  const built = counts.filter(({ state }) => state === 'built').reduce((sum, one) => sum + one.count, 0)
  const { attempts } = await engine.db
    .selectFrom('farm.attempt')
    .select(({ fn }) => fn.countAll<number>().as('attempts'))
    .executeTakeFirstOrThrow()
  if (built !== count || attempts !== count) throw new Error(`${built} of ${count} were built, in ${attempts} attempts`)
  out(`\tnone stuck, none twice`)
}

async function bytesPerBuild({ engine }: Farm, count: number): Promise<number> {
  const { rows } = await sql<{ size: string }>`select pg_database_size(current_database()) as size`.execute(engine.db)
  return Math.round(Number(rows[0]?.size) / count)
}

async function seconds(work: () => Promise<void>): Promise<number> {
  const started = performance.now()
  await work()
  return (performance.now() - started) / 1000
}

const folder = await farmFolder()
await measure('PGlite', farmPlace(folder, undefined), builds / 10)
rmSync(folder, { recursive: true })
const { skip } = needsPostgres()
if (skip === undefined) {
  const cluster = await startCluster({ durable: true })
  try {
    await measure('PostgreSQL', farmPlace(folder, await cluster.database()), builds)
  } finally {
    await cluster.stop()
  }
} else out(`PostgreSQL: ${skip}`)
