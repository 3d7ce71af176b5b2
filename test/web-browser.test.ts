import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { after, test } from 'node:test'
import axe from 'axe-core'
import { chromium } from 'playwright-core'
import { utf8 } from '../src/base/bytes.ts'
import { startDashboard, tokens } from './helpers/dashboard.ts'
import { generatedFacts } from './helpers/farm-facts.ts'
import type { Browser, Page } from 'playwright-core'
import type { TestDashboard } from './helpers/dashboard.ts'

/** The dashboard in a real browser, started once for this file. */

const executablePath = '/usr/bin/chromium'
const options = existsSync(executablePath) ? {} : { skip: 'not installed: chromium' }

let browser: Promise<Browser> | undefined
const open: TestDashboard[] = []
after(async () => {
  await (await browser)?.close()
  await Promise.all(open.map(async (one) => await one.close()))
})

type Look = NonNullable<Parameters<Browser['newContext']>[0]>

/** A page that may complain of nothing: errors of scripts and what the security policy stops fail the test. */
async function inBrowser(look: Look, work: (page: Page, dashboard: TestDashboard) => Promise<void>): Promise<void> {
  const dashboard = await startDashboard({ facts: generatedFacts(30) })
  open.push(dashboard)
  browser ??= chromium.launch({ executablePath, args: ['--no-sandbox'] })
  const context = await (await browser).newContext({ baseURL: dashboard.url, ...look })
  const page = await context.newPage()
  const complaints: string[] = []
  page.on('pageerror', (error) => complaints.push(String(error)))
  page.on('console', (message) => (message.type() === 'error' ? complaints.push(message.text()) : undefined))
  try {
    await work(page, dashboard)
    assert.deepEqual(complaints, [])
  } finally {
    await context.close()
  }
}

async function login(page: Page): Promise<void> {
  await page.goto('/login')
  await page.fill('#token', tokens.act)
  await page.click('main button')
}

const paths = [
  '/',
  '/builds',
  '/builds?state=published',
  '/updates',
  '/security',
  '/builders',
  '/mirrors',
  '/fleet',
  '/trail',
  '/releases',
  '/packages/editors/vim',
  '/login',
]

function buildIn(dashboard: TestDashboard, state: string): number {
  return dashboard.facts.builds.find((build) => build.state === state)?.id ?? 0
}

type Violation = { readonly id: string; readonly nodes: readonly { readonly html: string; readonly failureSummary: string }[] }

async function violationsOn(page: Page, run: string): Promise<readonly string[]> {
  const { violations } = await page.evaluate<{ violations: readonly Violation[] }>(run)
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html, failureSummary }) => `${html} ${failureSummary}`).join(' | ')}`)
}

test('axe-core finds nothing on any page, and no colour too faint in the dark', options, async () => {
  await inBrowser({ reducedMotion: 'reduce' }, async (page, dashboard) => {
    await login(page)
    for (const path of [...paths, `/builds/${buildIn(dashboard, 'building')}`, `/builds/${buildIn(dashboard, 'quarantined')}`]) {
      await page.emulateMedia({ colorScheme: 'light' })
      await page.goto(path)
      await page.evaluate(axe.source)
      assert.deepEqual(await violationsOn(page, 'axe.run()'), [], path)
      await page.emulateMedia({ colorScheme: 'dark' })
      assert.deepEqual(await violationsOn(page, "axe.run({ runOnly: ['color-contrast'] })"), [], `${path}, dark`)
    }
  })
})

test('no page scrolls sideways on a phone, and what is left out there is only what stands elsewhere', options, async () => {
  await inBrowser({ viewport: { width: 320, height: 640 }, isMobile: true, deviceScaleFactor: 1 }, async (page, dashboard) => {
    for (const path of [...paths, `/builds/${buildIn(dashboard, 'failed')}`]) {
      await page.goto(path)
      const width = await page.evaluate<number>('document.documentElement.scrollWidth')
      assert.ok(width <= 320, `${path} is ${width} wide`)
    }
  })
})

test('dark is dark, light is light', options, async () => {
  const brightness = async (colorScheme: 'light' | 'dark'): Promise<number> => {
    let sum = 0
    await inBrowser({ colorScheme }, async (page) => {
      await page.goto('/')
      const color = await page.evaluate<string>('getComputedStyle(document.body).backgroundColor')
      sum = [...color.matchAll(/\d+/g)].slice(0, 3).reduce((all, [part]) => all + Number(part), 0)
    })
    return sum
  }
  assert.ok((await brightness('dark')) < 150)
  assert.ok((await brightness('light')) > 600)
})

test('what happens is shown without loading the page anew, and the focus stays where it was', options, async () => {
  await inBrowser({}, async (page, dashboard) => {
    const { facts } = dashboard
    await page.goto('/')
    await page.locator('#live.on').waitFor()
    await page.evaluate('window.sameDocument = true')
    const id = buildIn(dashboard, 'waiting')
    await page.locator(`#queue-${id} a`).focus()
    const failed = facts.builds.findIndex(({ state }) => state === 'failed')
    const build = facts.builds[failed]
    assert.ok(build)
    await page.locator(`#failure-${build.id}`).waitFor()
    facts.builds[failed] = { ...build, state: 'building' }
    facts.events.push({
      id: facts.events.length + 1,
      at: facts.now,
      actor: 'amd64-1',
      kind: 'build',
      subject: String(build.id),
      what: 'building',
    })
    await page.locator(`#building-${build.id}`).waitFor()
    await page.locator(`#failure-${build.id}`).waitFor({ state: 'detached' })
    assert.equal(await page.evaluate('window.sameDocument'), true)
    assert.equal(await page.evaluate(`document.activeElement.closest('tr')?.id`), `queue-${id}`)
  })
})

test('a log grows while one looks at it, and the page says when it has ended', options, async () => {
  await inBrowser({}, async (page, dashboard) => {
    const { facts } = dashboard
    const attempt = facts.attempts.find(({ outcome }) => outcome === undefined)
    assert.ok(attempt)
    await page.goto(`/builds/${attempt.build}`)
    const before = facts.logs.get(attempt.id) as Uint8Array
    facts.logs.set(attempt.id, utf8(`${Buffer.from(before).toString()}cc -c <last>.c\n`))
    await page.locator('#log-text', { hasText: 'cc -c <last>.c' }).waitFor()
    const at = facts.builds.findIndex(({ id }) => id === attempt.build)
    facts.builds[at] = { ...(facts.builds[at] as (typeof facts.builds)[number]), state: 'built' }
    facts.attempts[facts.attempts.indexOf(attempt)] = { ...attempt, ended: facts.now, outcome: 'built' }
    await page.locator('#about .s-built').waitFor()
  })
})

test('with the keyboard alone one logs in, finds a build that failed, and has it tried again', options, async () => {
  await inBrowser({}, async (page, dashboard) => {
    await page.goto('/login')
    // The field has the focus by itself, but not before the page is painted.
    await page.locator('input:focus').waitFor()
    await page.keyboard.type(tokens.act)
    await page.keyboard.press('Enter')
    await page.locator('text=Log out').waitFor()
    const id = buildIn(dashboard, 'quarantined')
    await tabTo(page, `a[href="/builds/${id}"]`)
    await page.keyboard.press('Enter')
    await page.waitForURL(`**/builds/${id}`)
    await tabTo(page, `form[action="/builds/${id}/retry"] button`)
    assert.notEqual(await page.evaluate('getComputedStyle(document.activeElement).outlineStyle'), 'none')
    await page.keyboard.press('Enter')
    await page.locator('#about .s-waiting').waitFor()
    assert.deepEqual(dashboard.done, [`retry ${id} anna`])
  })
})

async function tabTo(page: Page, selector: string): Promise<void> {
  for (let presses = 0; presses < 200; presses++) {
    await page.keyboard.press('Tab')
    if (await page.evaluate<boolean>(`document.activeElement.matches(${JSON.stringify(selector)})`)) return
  }
  assert.fail(`Tab never comes to ${selector}`)
}

test('without scripts everything can be read, and done', options, async () => {
  await inBrowser({ javaScriptEnabled: false }, async (page, dashboard) => {
    await login(page)
    assert.match(await page.locator('#needs').innerText(), /waits for a signature/)
    const id = buildIn(dashboard, 'failed')
    await page.goto(`/builds/${id}`)
    assert.match(await page.locator('#log-text').innerText(), /1 error generated/)
    await page.click(`form[action="/builds/${id}/retry"] button`)
    assert.equal(await page.locator('#about .state').innerText(), 'waiting')
  })
})
