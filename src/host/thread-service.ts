import { parentPort, workerData } from 'node:worker_threads'
import { isBinderyError } from '../base/error.ts'
import type { BinderyError, ErrorCode } from '../base/error.ts'
import type { ThreadWork, Works } from '../port/thread.ts'

/** Of an error what survives the way between threads. */
export type Failure = Pick<BinderyError, 'message' | 'subject' | 'hint'> & { readonly code: ErrorCode | undefined }
export type Reply = { readonly answer: unknown } | { readonly failure: Failure }

/** What a thread does: task after task, until the thread is ended from outside. */
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
