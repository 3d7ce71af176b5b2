import { resolve } from 'node:path'
import { textsForPeople } from './texts-for-people.ts'
import { TestProcess } from './test-process-handle.ts'
import type { RunTest, TestReport, TestRequest } from './protocol.ts'

/**
 * A test runner for StrykerJS, which runs those tests of `node:test` alone that reach the mutant's code. One process takes mutant
 * after mutant as long as they are killed, which mostly takes a few milliseconds, and what is found does not hang on what an earlier
 * mutant may have left behind in it: a test that fails has to pass without the mutant, and what survives is tried again in a fresh process.
 */

type MutantRun = {
  readonly timeout: number
  readonly testFilter?: readonly string[]
  readonly hitLimit?: number
  readonly reloadEnvironment?: boolean
  readonly activeMutant: { readonly id: string }
}

type Answer = { readonly status: string } & Readonly<Record<string, unknown>>

class NodeTestRunner {
  static readonly inject = ['options'] as const
  readonly #tests: Pick<TestRequest, 'files' | 'leaveOut'>
  #process: TestProcess | undefined
  #known: readonly RunTest[] = []

  constructor(options: { readonly nodeTests: Pick<TestRequest, 'files' | 'leaveOut'> }) {
    this.#tests = options.nodeTests
  }

  capabilities(): { readonly reloadEnvironment: boolean } {
    return { reloadEnvironment: true }
  }

  async dryRun({ timeout }: { readonly timeout: number }): Promise<Answer> {
    const report = await this.#fresh().run(this.#tests, timeout)
    if (typeof report === 'string') return { status: report === 'late' ? 'timeout' : 'error', errorMessage: report }
    if (report.failed !== undefined) return { status: 'error', errorMessage: `${report.failed.id}: ${report.failed.message}` }
    this.#known = report.tests
    const tests = this.#known.map(({ id, file, milliseconds, line, column }) => ({
      id,
      name: id,
      // Stryker's TestStatus.Success.
      status: 0,
      timeSpentMs: milliseconds,
      fileName: resolve(file),
      startPosition: { line, column },
    }))
    return { status: 'complete', tests, mutantCoverage: report.coverage ?? { static: {}, perTest: {} } }
  }

  async mutantRun({ timeout, testFilter, hitLimit, activeMutant, reloadEnvironment = false }: MutantRun): Promise<Answer> {
    const request: TestRequest = {
      ...this.#tests,
      mutant: activeMutant.id,
      whileLoading: reloadEnvironment,
      ...(testFilter === undefined ? {} : { only: testFilter }),
      ...(hitLimit === undefined ? {} : { hitLimit }),
    }
    const report = await this.#report(request, timeout - spareTime + maxOverhead)
    if (report === 'late' || (typeof report === 'object' && report.endless)) return { status: 'timeout' }
    const nrOfTests = testFilter?.length ?? this.#known.length
    const killedBy = testFilter ?? this.#known.map(({ id }) => id)
    if (typeof report === 'string') return { status: 'killed', killedBy: killedBy.slice(0, 1), failureMessage: report, nrOfTests }
    const { failed } = report
    if (failed === undefined) return { status: 'survived', nrOfTests }
    const killer = killedBy.find((id) => failed.id === id || failed.id.startsWith(`${id} > `)) ?? killedBy[0]
    return { status: 'killed', killedBy: killer === undefined ? [] : [killer], failureMessage: failed.message, nrOfTests }
  }

  dispose(): void {
    this.#process?.end()
  }

  async #report(request: TestRequest, timeout: number): Promise<TestReport | string> {
    const used = request.whileLoading === true ? undefined : this.#process
    const first = used === undefined ? undefined : await used.run(request, timeout)
    if (isCertain(first)) return first
    const report = await this.#fresh().run(request, timeout)
    if (request.whileLoading === true || !isCertain(report)) this.#retire()
    return report
  }

  #fresh(): TestProcess {
    this.#retire()
    return (this.#process = new TestProcess())
  }

  #retire(): void {
    this.#process?.end()
    this.#process = undefined
  }
}

/** What Stryker waits for longer than twice the time of the tests: it does not look at how busy the machine is. */
export const spareTime = 120_000
/** What loading the modules may take, and starting. */
const maxOverhead = 3000

/** Killed, by the mutant alone. */
function isCertain(report: TestReport | string | undefined): report is TestReport {
  return typeof report === 'object' && report.passesOtherwise === true
}

export const strykerPlugins = [
  { kind: 'TestRunner', name: 'node-test', injectableClass: NodeTestRunner },
  { kind: 'Ignore', name: 'texts-for-people', value: textsForPeople },
]
