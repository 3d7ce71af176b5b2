import { fork, type ChildProcess } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
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

  /** Answers `late` after `timeout` milliseconds, another text for a process that ended without a report. */
  async run(request: TestRequest, timeout: number): Promise<TestReport | string> {
    const { promise, resolve: answer } = Promise.withResolvers<TestReport | string>()
    const timer = setTimeout(() => answer('late'), timeout)
    const child = this.#child
    child.on('message', (message) => answer(message as TestReport))
    child.on('error', (error) => answer(error.message))
    child.on('exit', (status, signal) => answer(`ended with ${signal ?? status}`))
    if (child.exitCode === null && child.signalCode === null) child.send(request, () => undefined)
    else answer('ended before')
    try {
      return await promise
    } finally {
      clearTimeout(timer)
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
