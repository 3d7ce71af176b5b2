// The dashboard over a catalog of 100,000 builds, on both engines: server time of each page, first paint in Chromium where
// it is there. Generated facts; --builds N for fewer.
import { existsSync, rmSync } from 'node:fs'
import { usualRetries } from '../../src/engine/farm/retry.ts'
import { farmRules } from '../../src/engine/farm/rules.ts'
import { farmPlace, openFarm } from '../../src/host/farm/open.ts'
import { farmView } from '../../src/host/farm/view.ts'
import { farmFolder } from '../../test/helpers/farm-database.ts'
import { startDashboard } from '../../test/helpers/dashboard.ts'
import { generatedFacts } from '../../test/helpers/farm-facts.ts'
import { seedFarm } from '../../test/helpers/farm-seed.ts'
import { needsPostgres, startCluster } from '../../test/helpers/postgres.ts'
import { folderInMemory } from '../../test/helpers/temporary.ts'
import type { FarmPlace } from '../../src/host/farm/engine.ts'

const given = process.argv.indexOf('--builds')
const builds = given < 0 ? 100_000 : Number(process.argv[given + 1])
const facts = generatedFacts(builds)
const middle = Math.floor(builds / 2)
const paths = [
  '/',
  '/builds',
  '/builds?state=quarantined',
  '/builds?state=published&arch=arm64',
  `/builds?before=${middle}`,
  `/builds/${builds - 10}`,
  `/packages/${facts.builds[middle]?.pkgpath ?? ''}`,
  '/updates',
  '/security',
  '/builders',
  '/mirrors',
  '/fleet',
  '/trail',
  '/metrics',
]

const out = (line: string): void => void process.stdout.write(`${line}\n`)

async function measure(name: string, place: FarmPlace): Promise<void> {
  const rules = farmRules(usualRetries)
  const farm = await openFarm(place, { rules, leaseSeconds: 60, verb: 'bench', onError: (error) => out(String(error)) })
  const logs = folderInMemory('bindery-bench-')
  try {
    await seedFarm(farm.engine.db, facts, logs)
    const view = farmView({ db: farm.engine.db, catalog: farm.catalog, clock: { now: () => facts.now }, folder: logs })
    const operators = async (): Promise<readonly []> => await Promise.resolve([])
    const dashboard = await startDashboard({ facts, farm: { view, operators, addEvent: async () => {} } })
    for (const path of paths) out(`${name}\t${path}\t${(await serverTime(dashboard.url, path)).toFixed(1)} ms`)
    for (const path of ['/', '/builds']) out(`${name}\t${path}\tfirst paint ${await firstPaint(dashboard.url, path)}`)
    await dashboard.close()
  } finally {
    await farm.close()
    rmSync(logs, { recursive: true })
  }
}

/** The median of nine, after one that nobody counts. */
async function serverTime(url: string, path: string): Promise<number> {
  const times: number[] = []
  for (let turn = 0; turn < 10; turn++) {
    const start = performance.now()
    const answer = await fetch(new URL(path, url))
    await answer.arrayBuffer()
    if (answer.status !== 200) throw new Error(`${path}: ${answer.status}`)
    if (turn > 0) times.push(performance.now() - start)
  }
  return times.toSorted((a, b) => a - b)[4] as number
}

const executablePath = '/usr/bin/chromium'

async function firstPaint(url: string, path: string): Promise<string> {
  if (!existsSync(executablePath)) return 'not measured: no chromium'
  const { chromium } = await import('playwright-core')
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] })
  try {
    // A browser that has just started draws its first page late, whatever it is.
    for (let turn = 0; turn < 2; turn++) await (await browser.newPage()).goto(new URL('/login', url).href)
    const page = await browser.newPage()
    await page.goto(new URL(path, url).href)
    // Other paints may be told of before it.
    const paint = `new Promise((resolve) => new PerformanceObserver((list) => {
      const [first] = list.getEntriesByName('first-contentful-paint')
      if (first !== undefined) resolve(first.startTime)
    }).observe({ type: 'paint', buffered: true }))`
    return `${(await page.evaluate<number>(paint)).toFixed(0)} ms`
  } finally {
    await browser.close()
  }
}

const folder = await farmFolder()
try {
  await measure('PGlite', farmPlace(folder, undefined))
} finally {
  rmSync(folder, { recursive: true })
}
if (needsPostgres().skip === undefined) {
  const cluster = await startCluster()
  await measure('PostgreSQL', farmPlace('', await cluster.database()))
  await cluster.stop()
}
