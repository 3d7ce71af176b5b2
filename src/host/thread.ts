import { availableParallelism } from 'node:os'
import { setImmediate } from 'node:timers/promises'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { BinderyError, isBinderyError } from '../base/error.ts'
import type { ErrorCode } from '../base/error.ts'
import type { Thread, Threads, ThreadWork, Works } from '../port/thread.ts'

/** Threads of the runtime: each runs the program's own entry again, which finds out here that it is one. */
export function hostThreads(entry: string): Threads {
  return {
    start: (work, given) =>
      availableParallelism() < 2
        ? undefined
        : threadOf(new Worker(new URL(entry), { workerData: { work, given }, resourceLimits: { maxYoungGenerationSizeMb: 4 } })),
  }
}

/** Whether this is a thread, and whoever started it waits for `serveThread`. */
export const isThread: boolean = !isMainThread

type Task = { readonly resolve: () => void; readonly reject: (error: unknown) => void }

/** Of an error what survives the way between threads. */
type Failure = Pick<BinderyError, 'message' | 'subject' | 'hint'> & { readonly code: ErrorCode | undefined }
type Reply = { readonly failure: Failure | undefined }

function threadOf(worker: Worker): Thread {
  const tasks: Task[] = []
  let ended: Error | undefined
  const failAll = (error: Error): void => {
    ended ??= error
    for (const { reject } of tasks.splice(0)) reject(ended)
  }
  worker.on('message', ({ failure }: Reply) => {
    const task = tasks.shift()
    if (failure === undefined) task?.resolve()
    else task?.reject(errorOf(failure))
  })
  worker.on('error', (cause) => failAll(cause instanceof Error ? cause : new Error(String(cause))))
  worker.on('exit', () => failAll(new BinderyError('io', 'a thread ended too early')))
  return {
    run: async (task, takes = []) => {
      if (ended !== undefined) throw ended
      const done = new Promise<void>((resolve, reject) => tasks.push({ resolve, reject }))
      worker.postMessage(task, takes)
      await done
    },
    breathe: async () => await setImmediate(),
    end: async () => void (await worker.terminate()),
  }
}

/** The other side: does task after task, until the thread is ended from outside. After a failure it does nothing more. */
export async function serveThread(works: Works): Promise<void> {
  const { work, given } = workerData as { readonly work: ThreadWork; readonly given: unknown }
  const does = (await works[work]())(given as never)
  let failure: Failure | undefined
  parentPort?.on('message', (task: unknown) => {
    try {
      if (failure === undefined) does(task as never)
    } catch (error) {
      failure = failureOf(error)
    }
    const reply: Reply = { failure }
    parentPort?.postMessage(reply)
  })
}

function failureOf(error: unknown): Failure {
  if (isBinderyError(error)) return { code: error.code, message: error.message, subject: error.subject, hint: error.hint }
  return {
    code: undefined,
    message: error instanceof Error ? (error.stack ?? error.message) : String(error),
    subject: undefined,
    hint: undefined,
  }
}

/** What was no BinderyError there is a bug here, too. */
function errorOf({ code, message, subject, hint }: Failure): Error {
  return code === undefined ? new Error(message) : new BinderyError(code, message, { subject, hint })
}
