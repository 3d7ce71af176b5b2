import { BinderyError } from '../base/error.ts'
import type { SandboxJob, SandboxResult } from '../port/sandbox.ts'

/** A command that runs, with everything that it started. */
export type Running = {
  /** Its status, when nothing of it runs any more. */
  readonly ended: Promise<number>
  /** Ends all of it, soon. */
  stop(): void
}

export type JobRunner = {
  run(job: SandboxJob): Promise<SandboxResult>
  /** Ends what runs; nothing can be started any more. */
  close(): Promise<void>
}

export function jobRunner(start: (job: SandboxJob) => Running): JobRunner {
  const all = new Set<Running>()
  let closed = false
  return {
    run: async (job) => {
      job.signal.throwIfAborted()
      if (closed) throw new BinderyError('stopped', 'the sandbox is closed', { subject: job.command[0] })
      const running = start(job)
      all.add(running)
      try {
        return await attend(running, job)
      } finally {
        all.delete(running)
      }
    },
    close: async () => {
      closed = true
      for (const running of all) running.stop()
      await Promise.allSettled([...all].map(async ({ ended }) => await ended))
    },
  }
}

async function attend(running: Running, { signal, timeLimitMs }: SandboxJob): Promise<SandboxResult> {
  let outOfTime = false
  const stop = (): void => running.stop()
  const limit = (): void => {
    outOfTime = true
    running.stop()
  }
  const timer = timeLimitMs === undefined ? undefined : setTimeout(limit, timeLimitMs)
  signal.addEventListener('abort', stop, { once: true })
  try {
    const status = await running.ended
    signal.throwIfAborted()
    return outOfTime ? { kind: 'out of time' } : { kind: 'ended', status }
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', stop)
  }
}
