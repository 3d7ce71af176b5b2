import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { BinderyError, isBinderyError } from '../base/error.ts'
import type { ErrorCode } from '../base/error.ts'
import type { ThreadPool, Threads, ThreadWork, Works } from '../port/thread.ts'

/** Threads of the runtime: each runs the program's own entry again, which finds out here that it is one. */
export function hostThreads(entry: string): Threads {
  return { start: (work, given, count) => poolOf(() => new Worker(new URL(entry), { workerData: { work, given } }), count) }
}

/** Whether this is a thread, and whoever started it waits for `serveThread`. */
export const isThread: boolean = !isMainThread

type Task = { readonly task: unknown; readonly resolve: (answer: unknown) => void; readonly reject: (error: unknown) => void }

/** Of an error what survives the way between threads. */
type Failure = Pick<BinderyError, 'message' | 'subject' | 'hint'> & { readonly code: ErrorCode | undefined }
type Reply = { readonly answer: unknown } | { readonly failure: Failure }

/** Threads are started as they are needed, and stay. Once one has died nothing more is done. */
function poolOf(start: () => Worker, count: number): ThreadPool {
  const waiting: Task[] = []
  const idle: Worker[] = []
  const busy = new Map<Worker, Task>()
  const workers = new Set<Worker>()
  let ended: Error | undefined
  const failAll = (error: Error): void => {
    ended ??= error
    for (const { reject } of [...waiting.splice(0), ...busy.values()]) reject(ended)
    busy.clear()
  }
  const startOne = (): Worker => {
    const worker = start()
    workers.add(worker)
    worker.on('message', (reply: Reply) => answered(worker, reply))
    worker.on('error', (cause) => failAll(cause instanceof Error ? cause : new Error(String(cause))))
    worker.on('exit', () => failAll(new BinderyError('io', 'a thread ended too early')))
    return worker
  }
  const next = (): void => {
    const task = waiting[0]
    const worker = task && (idle.pop() ?? (workers.size < count ? startOne() : undefined))
    if (task === undefined || worker === undefined) return
    waiting.shift()
    busy.set(worker, task)
    worker.postMessage(task.task)
  }
  const answered = (worker: Worker, reply: Reply): void => {
    const task = busy.get(worker)
    busy.delete(worker)
    idle.push(worker)
    if ('failure' in reply) task?.reject(errorOf(reply.failure))
    else task?.resolve(reply.answer)
    next()
  }
  return {
    run: async (task) => {
      if (ended !== undefined) throw ended
      return await new Promise((resolve, reject) => {
        waiting.push({ task, resolve, reject })
        next()
      })
    },
    end: async () => {
      failAll(new BinderyError('stopped', 'the threads were ended'))
      await Promise.all([...workers].map(async (worker) => await worker.terminate()))
    },
  }
}

/** The other side: does task after task, until the thread is ended from outside. */
export async function serveThread(works: Works): Promise<void> {
  const { work, given } = workerData as { readonly work: ThreadWork; readonly given: unknown }
  const does = (await works[work]())(given as never)
  parentPort?.on('message', (task: unknown) => {
    try {
      const answer = does(task as never)
      parentPort?.postMessage({ answer } satisfies Reply, memoryOf(answer))
    } catch (error) {
      parentPort?.postMessage({ failure: failureOf(error) } satisfies Reply)
    }
  })
}

function memoryOf(answer: unknown): readonly ArrayBuffer[] {
  return ArrayBuffer.isView(answer) && answer.buffer instanceof ArrayBuffer && answer.byteLength === answer.buffer.byteLength
    ? [answer.buffer]
    : []
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
