import { fork, type ChildProcess } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { cpuTime } from './cpu-time.ts'
import type { TestReport, TestRequest } from './protocol.ts'

/** A process of `test-process.ts`, for one request after the other, as long as it answers. */
export class TestProcess {
  /** Whatever it leaves behind when it is killed. */
  readonly #temporary = mkdtempSync(join(tmpdir(), 'bindery-mutation-'))
  readonly #child: ChildProcess

  constructor() {
    this.#child = fork(join(import.meta.dirname, 'test-process.ts'), {
      detached: true,
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
      execArgv: ['--max-old-space-size=2048'],
      env: { ...process.env, TMPDIR: this.#temporary, NODE_COMPILE_CACHE: resolve('.cache/compile') },
    })
  }

  /**
   * Answers `late` after `limit` milliseconds on a processor, however busy the machine is, or a while of doing nothing; another text
   * for a process that ended without a report.
   */
  async run(request: TestRequest, limit: number): Promise<TestReport | string> {
    const { promise, resolve: answer } = Promise.withResolvers<TestReport | string>()
    const child = this.#child
    const timer = watch(child.pid ?? 0, limit, () => answer('late'))
    child.on('message', (message) => answer(message as TestReport))
    child.on('error', (error) => answer(error.message))
    child.on('exit', (status, signal) => answer(`ended with ${signal ?? status}`))
    if (child.exitCode === null && child.signalCode === null) child.send(request, () => undefined)
    else answer('ended before')
    try {
      return await promise
    } finally {
      clearInterval(timer)
      child.removeAllListeners()
    }
  }

  /** With whatever the tests have started. */
  end(): void {
    const { pid } = this.#child
    try {
      if (pid !== undefined) process.kill(-pid, 'SIGKILL')
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
    }
    rmSync(this.#temporary, { recursive: true, force: true })
  }
}

/** Milliseconds between two looks, and how long a process may do nothing. */
const [pause, maxIdle] = [200, 10_000]

function watch(pid: number, limit: number, end: () => void): NodeJS.Timeout {
  const first = cpuTime(pid)?.used ?? 0
  const started = performance.now()
  let [last, changed] = [first, started]
  return setInterval(() => {
    const now = performance.now()
    // Where the system does not tell, time counts.
    const { used, isIdle } = cpuTime(pid) ?? { used: first + now - started, isIdle: false }
    if (used !== last || !isIdle) [last, changed] = [used, now]
    if (used - first > limit || now - changed > maxIdle) end()
  }, pause)
}
