import { BinderyError } from '../base/error.ts'
import type { Worker } from 'node:worker_threads'
import type { ThreadPool, Threads } from '../port/thread.ts'
import type { Failure, Reply } from './thread-service.ts'

/** Threads of the runtime: each runs `entry`, which calls `serveThread`. */
export function hostThreads(entry: URL): Threads {
  return {
    start: (work, given, count) => {
      // Loaded here, since most runs have no threads.
      const threads = process.getBuiltinModule('node:worker_threads')
      return poolOf(() => new threads.Worker(entry, { workerData: { work, given } }), count)
    },
  }
}

type Task = { readonly task: unknown; readonly resolve: (answer: unknown) => void; readonly reject: (error: unknown) => void }

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

/** What was no BinderyError there is a bug here, too. */
function errorOf({ code, message, subject, hint }: Failure): Error {
  return code === undefined ? new Error(message) : new BinderyError(code, message, { subject, hint })
}
