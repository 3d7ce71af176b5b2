import { readFileSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { textsForPeople } from './texts-for-people.ts'
import { TestProcess } from './test-process-handle.ts'
import type { TestReport, TestRequest } from './protocol.ts'

/**
 * A test runner for StrykerJS, which runs those tests of `node:test` alone that reach the mutant's code. One process takes mutant
 * after mutant as long as they are killed, which mostly takes a few milliseconds, and what is found does not hang on what an earlier
 * mutant may have left behind in it: a test that fails has to pass without the mutant, and what survives is tried again in a fresh process.
 */

type MutantRun = {
  readonly testFilter?: readonly string[]
  readonly hitLimit?: number
  readonly reloadEnvironment?: boolean
  readonly activeMutant: { readonly id: string }
}

type Answer = { readonly status: string } & Readonly<Record<string, unknown>>

type NodeTests = Pick<TestRequest, 'files' | 'leaveOut'> & {
  /** The file by which the dry run, which has a process of its own, tells the others `Known`. */
  readonly times: string
}

/** In milliseconds on a processor. */
type Known = {
  readonly times: Readonly<Record<string, number>>
  /** What a process uses beside its tests, to start and to load its modules. */
  readonly overhead: number
}

export class NodeTestRunner {
  static readonly inject = ['options'] as const
  readonly #tests: NodeTests
  #process: TestProcess | undefined
  #known: Known | undefined
  /** Tests that have found mutants, the last one first: it mostly finds the next one as well. */
  #killers: readonly string[] = []

  constructor(options: { readonly nodeTests: NodeTests }) {
    this.#tests = options.nodeTests
  }

  capabilities(): { readonly reloadEnvironment: boolean } {
    return { reloadEnvironment: true }
  }

  async dryRun({ timeout }: { readonly timeout: number }): Promise<Answer> {
    const report = await this.#fresh().run(this.#tests, timeout)
    if (typeof report === 'string') return { status: report === 'late' ? 'timeout' : 'error', errorMessage: report }
    if (report.failed !== undefined) return { status: 'error', errorMessage: `${report.failed.id}: ${report.failed.message}` }
    const times = Object.fromEntries(report.tests.map((one) => [one.id, one.milliseconds]))
    const known: Known = { times, overhead: report.milliseconds - sumOf(Object.values(times)) }
    writeFileSync(this.#tests.times, JSON.stringify(known))
    const tests = report.tests.map(({ id, file, milliseconds, line, column }) => ({
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

  async mutantRun({ testFilter, hitLimit, activeMutant, reloadEnvironment = false }: MutantRun): Promise<Answer> {
    const { times, overhead } = (this.#known ??= JSON.parse(readFileSync(this.#tests.times, 'utf8')) as Known)
    const only = this.#inOrder(testFilter ?? Object.keys(times), times)
    const { files, leaveOut } = this.#tests
    const request: TestRequest = {
      files,
      leaveOut,
      mutant: activeMutant.id,
      whileLoading: reloadEnvironment,
      only,
      ...(hitLimit === undefined ? {} : { hitLimit }),
    }
    const report = await this.#report(request, spare + overhead + 3 * sumOf(only.map((id) => times[id] ?? 0)))
    const nrOfTests = only.length
    if (report === 'late' || (typeof report === 'object' && report.endless)) return { status: 'timeout' }
    if (typeof report === 'string') return { status: 'killed', killedBy: only.slice(0, 1), failureMessage: report, nrOfTests }
    if (report.failed === undefined) return { status: 'survived', nrOfTests }
    const { id, message } = report.failed
    this.#killers = [id, ...this.#killers.filter((one) => one !== id)].slice(0, 8)
    return { status: 'killed', killedBy: [id], failureMessage: message, nrOfTests }
  }

  /** What is likely to fail first, then what takes least. */
  #inOrder(ids: readonly string[], times: Known['times']): readonly string[] {
    const rank = (id: string): number => {
      const at = this.#killers.indexOf(id)
      return at < 0 ? this.#killers.length : at
    }
    return ids.toSorted((a, b) => rank(a) - rank(b) || (times[a] ?? 0) - (times[b] ?? 0))
  }

  dispose(): void {
    this.#process?.end()
  }

  async #report(request: TestRequest, limit: number): Promise<TestReport | string> {
    const used = request.whileLoading === true ? undefined : this.#process
    const first = used === undefined ? undefined : await used.run(request, limit)
    if (isCertain(first)) return first
    const report = await this.#fresh().run(request, limit)
    if (request.whileLoading === true || typeof report === 'string' || report.passesOtherwise === false) this.#retire()
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

/** What Stryker waits: long enough for this runner to judge by itself, on a busy machine too. */
export const spareTime = 600_000
/** For what differs from run to run. */
const spare = 3000

function sumOf(all: readonly number[]): number {
  return all.reduce((sum, one) => sum + one, 0)
}

/** Killed, by the mutant alone. */
function isCertain(report: TestReport | string | undefined): report is TestReport {
  return typeof report === 'object' && report.passesOtherwise === true
}

export const strykerPlugins = [
  { kind: 'TestRunner', name: 'node-test', injectableClass: NodeTestRunner },
  { kind: 'Ignore', name: 'texts-for-people', value: textsForPeople },
]
