import { fork } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { textsForPeople } from './texts-for-people.ts'
import type { RunTest, TestReport, TestRequest } from './protocol.ts'

/**
 * A test runner for StrykerJS: one process for each mutant, with those tests of `node:test` alone that reach the mutant's
 * code. (Stryker's own tap-runner starts a process for each file, with all of its tests.)
 */

type MutantRun = {
  readonly timeout: number
  readonly testFilter?: readonly string[]
  readonly hitLimit?: number
  readonly activeMutant: { readonly id: string }
}

type Answer = { readonly status: string } & Readonly<Record<string, unknown>>

class NodeTestRunner {
  static readonly inject = ['options'] as const
  readonly #tests: Pick<TestRequest, 'files' | 'leaveOut'>
  /** Whatever a killed process leaves behind. */
  readonly #temporary = mkdtempSync(join(tmpdir(), 'bindery-mutation-'))
  #known: readonly RunTest[] = []

  constructor(options: { readonly nodeTests: Pick<TestRequest, 'files' | 'leaveOut'> }) {
    this.#tests = options.nodeTests
  }

  capabilities(): { readonly reloadEnvironment: boolean } {
    return { reloadEnvironment: true }
  }

  async dryRun({ timeout }: { readonly timeout: number }): Promise<Answer> {
    const report = await this.#run(this.#tests, timeout)
    if (typeof report === 'string') return { status: report === 'late' ? 'timeout' : 'error', errorMessage: report }
    if (report.failed !== undefined) return { status: 'error', errorMessage: `${report.failed.id}: ${report.failed.message}` }
    this.#known = outermost(report.tests)
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

  async mutantRun({ timeout, testFilter, hitLimit, activeMutant }: MutantRun): Promise<Answer> {
    const request: TestRequest = {
      ...this.#tests,
      mutant: activeMutant.id,
      ...(testFilter === undefined ? {} : { only: testFilter }),
      ...(hitLimit === undefined ? {} : { hitLimit }),
    }
    // A little before Stryker loses its patience, and starts this runner anew.
    const report = await this.#run(request, timeout - 300)
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
    rmSync(this.#temporary, { recursive: true, force: true })
  }

  /** Answers `late` after `timeout` milliseconds, another text for a process that ended without a report. */
  async #run(request: TestRequest, timeout: number): Promise<TestReport | string> {
    const child = fork(join(import.meta.dirname, 'test-process.ts'), {
      detached: true,
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
      execArgv: ['--max-old-space-size=2048'],
      env: { ...process.env, TMPDIR: this.#temporary, NODE_COMPILE_CACHE: resolve('.cache/compile') },
    })
    const { promise, resolve: answer } = Promise.withResolvers<TestReport | string>()
    child.send(request)
    const timer = setTimeout(() => answer('late'), timeout)
    child.on('message', (message) => answer(message as TestReport))
    child.on('error', (error) => answer(error.message))
    child.on('exit', (status, signal) => answer(`ended with ${signal ?? status}`))
    const report = await promise
    clearTimeout(timer)
    endGroup(child.pid)
    for (const name of readdirSync(this.#temporary)) rmSync(join(this.#temporary, name), { recursive: true, force: true })
    return report
  }
}

/** Subtests are run with their test. */
function outermost(tests: readonly RunTest[]): readonly RunTest[] {
  const ids = new Set(tests.map(({ id }) => id))
  const isPart = (id: string): boolean => {
    for (let end = id.lastIndexOf(' > '); end > 0; end = id.lastIndexOf(' > ', end - 1)) if (ids.has(id.slice(0, end))) return true
    return false
  }
  return tests.filter(({ id }) => !isPart(id))
}

/** With whatever the tests have started. */
function endGroup(pid: number | undefined): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

export const strykerPlugins = [
  { kind: 'TestRunner', name: 'node-test', injectableClass: NodeTestRunner },
  { kind: 'Ignore', name: 'texts-for-people', value: textsForPeople },
]
