import { BinderyError } from '../../../base/error.ts'
import type { ByteStream } from '../../../base/bytes.ts'
import type { HttpResponse } from '../../../port/http.ts'
import type { Session } from './session.ts'

/** What a request needs of the session. */
export type Requester = Pick<Session, 'http' | 'clock' | 'config' | 'signal' | 'throttle'>

/**
 * One GET within the limits of bindery.conf(5): too long without an answer, too slow over a window, or too long in all
 * is `network`. A stop of the person ends it with the signal's reason.
 */
export async function request(session: Requester, url: string, headers: Readonly<Record<string, string>> = {}): Promise<HttpResponse> {
  const { http, config, signal } = session
  const response = await http.get({ url, headers, timeouts: config.network, signal })
  return { ...response, body: paced(session, response.body, url) }
}

/** Not a generator: leaving it before the first chunk must close the connection, too. */
function paced(session: Requester, body: ByteStream, url: string): ByteStream {
  const pace = paceOf(session)
  return {
    [Symbol.asyncIterator]: () => {
      const chunks = body[Symbol.asyncIterator]()
      const leave = async (): Promise<IteratorResult<Uint8Array>> => {
        await chunks.return?.()
        return { done: true, value: undefined }
      }
      const next = async (): Promise<IteratorResult<Uint8Array>> => {
        const result = await chunks.next()
        if (result.done === true) return result
        const fault = pace(result.value.length)
        if (fault === undefined) {
          await session.throttle(result.value.length)
          return result
        }
        await leave()
        throw new BinderyError('network', fault, { subject: url })
      }
      return { next, return: leave }
    },
  }
}

/** Tells when an answer is too slow over a window, or has taken too long in all. */
function paceOf({ clock, config }: Requester): (bytes: number) => string | undefined {
  const { rateLimit, rateWindowMs, deadlineMs } = config.network
  // Whoever is slowed down by us is not slow.
  const minimumRate = rateLimit === 0 ? config.network.minimumRate : Math.min(config.network.minimumRate, rateLimit / 2)
  const start = clock.now()
  let windowStart = start
  let inWindow = 0
  return (bytes) => {
    const now = clock.now()
    inWindow += bytes
    if (now - start > deadlineMs) return `not done within ${deadlineMs / 1000} s`
    const elapsed = now - windowStart
    if (elapsed < rateWindowMs && elapsed >= 0) return undefined
    const rate = (inWindow * 1000) / elapsed
    windowStart = now
    inWindow = 0
    return elapsed > 0 && rate < minimumRate ? `slower than ${minimumRate} bytes a second` : undefined
  }
}
