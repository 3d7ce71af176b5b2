// make screenshots: pictures of the dashboard for the documents, of a generated farm, into doc/screenshots.
import { mkdirSync } from 'node:fs'
import { chromium } from 'playwright-core'
import { startDashboard } from '../../test/helpers/dashboard.ts'
import { generatedFacts } from '../../test/helpers/farm-facts.ts'

const pictures = [
  { name: 'overview', path: '/', colorScheme: 'light', width: 1200, height: 820 },
  { name: 'releases', path: '/releases', colorScheme: 'dark', width: 1000, height: 520 },
  { name: 'phone', path: '/', colorScheme: 'dark', width: 390, height: 780 },
] as const

mkdirSync('doc/screenshots', { recursive: true })
const dashboard = await startDashboard({ facts: generatedFacts(400) })
const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] })
try {
  for (const { name, path, colorScheme, width, height } of pictures) {
    const page = await browser.newPage({ baseURL: dashboard.url, colorScheme, viewport: { width, height } })
    await page.goto(path)
    await page.evaluate('document.fonts.ready')
    await page.screenshot({ path: `doc/screenshots/${name}.png` })
  }
} finally {
  await browser.close()
  await dashboard.close()
}
