import { once } from 'node:events'
import { relative, resolve } from 'node:path'
import { run } from 'node:test'
import { counters } from './counters.ts'
import type { RunTest, TestReport, TestRequest } from './protocol.ts'

/** Runs some tests in this process, ends at the first one that fails, and tells its parent what came of them. */

type Told = { readonly name: string; readonly nesting: number; readonly file?: string; readonly line?: number; readonly column?: number }

const [request] = (await once(process, 'message')) as [TestRequest]
if (request.mutant !== undefined) counters.activeMutant = request.mutant
if (request.hitLimit !== undefined) Object.assign(counters, { hitCount: 0, hitLimit: request.hitLimit })

const tests: RunTest[] = []
/** Names of the suites and tests that are open, by depth. */
const open: string[] = []

/** Tests are told in their order, each after what is in it. */
function idOf({ name, nesting, file = '' }: Told): string {
  return [relative('.', file), ...open.slice(0, nesting), name].join(' > ')
}

function report(failed?: TestReport['failed']): void {
  const { mutantCoverage: coverage, hitCount = 0, hitLimit = Infinity } = counters
  const answer: TestReport = { tests, ...(failed === undefined ? {} : { failed }), coverage, endless: hitCount > hitLimit }
  // Whatever a test has left open does not keep the process.
  process.send?.(answer, undefined, {}, () => process.exit(0))
}

/** The runner matches names with spaces between them. */
const nameOf = (id: string): string => id.slice(id.indexOf(' > ') + 3).replaceAll(' > ', ' ')

function patternOf(names: readonly string[]): RegExp {
  return new RegExp(`^(?:${names.map((name) => name.replaceAll(/[$()*+.?[\\\]^{|}/]/g, '\\$&')).join('|')})$`)
}

const files =
  request.only === undefined ? request.files : request.files.filter((file) => request.only?.some((id) => id.startsWith(`${file} > `)))
const events = run({
  files: [resolve(import.meta.dirname, 'current-test.ts'), ...files.map((file) => resolve(file))],
  isolation: 'none',
  ...(request.leaveOut.length === 0 ? {} : { testSkipPatterns: [patternOf(request.leaveOut)] }),
  ...(request.only === undefined ? {} : { testNamePatterns: [patternOf(request.only.map(nameOf))] }),
})
let ended = false
events.on('test:start', (event) => (open[event.nesting] = event.name))
events.on('test:pass', (event) => {
  const { details, line = 1, column = 1, file = '' } = event
  if (details.type === 'suite') return
  tests.push({ id: idOf(event), file: relative('.', file), milliseconds: details.duration_ms, line: line - 1, column: column - 1 })
})
events.on('test:fail', (event) => {
  if (ended || event.todo !== undefined) return
  ended = true
  report({ id: idOf(event), message: String(event.details.error.cause ?? event.details.error) })
})
events.on('end', () => {
  if (!ended) report()
})
events.resume()
