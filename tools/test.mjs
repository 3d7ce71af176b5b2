// Runs the test files with node's own runner, one process per core: every test/**/*.test.ts, or those named on the
// command line. Under CI=true a skipped test is a failure: there every tool that a test needs is installed.
import { globSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { relative, resolve } from 'node:path'
import { run } from 'node:test'
import { spec } from 'node:test/reporters'

const named = process.argv.slice(2)
// Those that take long come first, so that none of them runs alone at the end.
const long = /^test\/(?:acceptance|crash|hostile)\/|sandbox/
const files = named.length > 0 ? named : globSync('test/**/*.test.ts').sort((a, b) => long.test(b) - long.test(a) || (a < b ? -1 : 1))
const skipped = []
const spans = []
// Each file is a process of its own that would strip and compile the same modules once more; bindery, as they call it, has its own cache.
const cached = `data:text/javascript,import { enableCompileCache } from 'node:module'; enableCompileCache('${resolve('.cache/compile')}')`
const events = run({ files, concurrency: availableParallelism() + 1, timeout: 600_000, execArgv: ['--import', cached] })
events.on('test:fail', () => (process.exitCode = 1))
events.on('test:pass', (event) => {
  if (event.skip !== undefined) skipped.push(`${event.file ?? ''}: ${event.name}: ${event.skip}`)
})
events.on('test:summary', ({ file, duration_ms: span }) => file !== undefined && spans.push([span, relative('.', file)]))
events.on('end', () => {
  // Where the time goes, for whoever has to find some.
  const longest = spans.toSorted(([a], [b]) => b - a).slice(0, 25)
  if (files.length > 25)
    process.stdout.write(`longest files, in seconds:\n${longest.map(([span, file]) => `  ${(span / 1000).toFixed(0)} ${file}\n`).join('')}`)
  if (skipped.length === 0 || process.env.CI !== 'true') return
  process.stderr.write(`\nskipped, which is a failure under CI=true:\n${skipped.map((line) => `  ${line}\n`).join('')}`)
  process.exitCode = 1
})
events.compose(new spec()).pipe(process.stdout)
