import { BinderyError } from './error.ts'
import type { ByteStream } from './bytes.ts'

/** Errors of a decoder know what is wrong, but not in which file: whoever opened it adds the name, once. */

/** Adds the subject to errors of `work` that have none. */
export async function about<T>(subject: string | undefined, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw withSubject(error, subject)
  }
}

/** The same for what goes wrong while a stream flows. */
export async function* aboutStream(subject: string, stream: ByteStream): ByteStream {
  try {
    yield* stream
  } catch (error) {
    throw withSubject(error, subject)
  }
}

/** A stop is about no file. */
export function withSubject(error: unknown, subject: string | undefined): unknown {
  if (!(error instanceof BinderyError) || error.subject !== undefined || subject === undefined || error.code === 'stopped') return error
  return new BinderyError(error.code, error.message, { subject, hint: error.hint, cause: error })
}
