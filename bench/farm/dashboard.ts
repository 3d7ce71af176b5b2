// The dashboard over a catalog of 100,000 builds, on both engines: server time of each page, first paint in Chromium where
// it is there. Generated facts; --builds N for fewer.
import { once } from 'node:events'
import { existsSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
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
import type { AddressInfo } from 'node:net'
import type { Browser } from 'playwright-core'
import type { FarmPlace } from '../../src/host/farm/engine.ts'

const given = process.argv.indexOf('--builds')
const builds = given < 0 ? 100_000 : Number(process.argv[given + 1])
const facts = generatedFacts(builds)
const half = Math.floor(builds / 2)
// A thousand mirrors of twelve architectures.
const [sighting] = facts.sightings
if (sighting !== undefined)
  for (let i = 0; i < builds * 0.12; i++)
    facts.sightings.push({
      ...sighting,
      mirror: `https://mirror${Math.floor(i / 12)}.example/`,
      arch: `arch${i % 12}`,
      state: i % 100 === 0 ? 'torn' : 'current',
    })
const paths = [
  '/',
  '/builds',
  '/builds?state=quarantined',
  '/builds?state=published&arch=arm64',
  `/builds?before=${half}`,
  `/builds/${builds - 10}`,
  `/packages/${facts.builds[half]?.pkgpath ?? ''}`,
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
  return middle(times)
}

const executablePath = '/usr/bin/chromium'

/** The median of five loads, each in a page of its own that is closed behind it: others that stay open would go on asking. */
async function firstPaint(url: string, path: string): Promise<string> {
  if (!existsSync(executablePath)) return 'not measured: no chromium'
  const { chromium } = await import('playwright-core')
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] })
  const least = createServer((_, response) => response.setHeader('content-type', 'text/html').end('<!doctype html><h1>floor</h1>'))
  try {
    least.listen(0, '127.0.0.1')
    await once(least, 'listening')
    const floor = `http://127.0.0.1:${(least.address() as AddressInfo).port}/`
    // A browser that has just started draws its first page late, whatever it is.
    for (let turn = 0; turn < 2; turn++) await paintOf(browser, floor)
    const times: number[] = []
    const floors: number[] = []
    for (let turn = 0; turn < 5; turn++) {
      floors.push(await paintOf(browser, floor))
      times.push(await paintOf(browser, new URL(path, url).href))
    }
    return `${middle(times).toFixed(0)} ms, of a page of one word ${middle(floors).toFixed(0)} ms`
  } finally {
    await browser.close()
    least.close()
  }
}

async function paintOf(browser: Browser, href: string): Promise<number> {
  const page = await browser.newPage()
  try {
    await page.goto(href)
    // Other paints may be told of before it.
    return await page.evaluate<number>(`new Promise((resolve) => new PerformanceObserver((list) => {
      const [first] = list.getEntriesByName('first-contentful-paint')
      if (first !== undefined) resolve(first.startTime)
    }).observe({ type: 'paint', buffered: true }))`)
  } finally {
    await page.close()
  }
}

const middle = (of: readonly number[]): number => of.toSorted((a, b) => a - b)[Math.floor(of.length / 2)] as number

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
