import { BinderyError } from '../../../base/error.ts'
import type { ByteStream } from '../../../base/bytes.ts'
import type { HttpResponse } from '../../../port/http.ts'
import type { Session } from './session.ts'

/** What a request needs of the session. */
export type Requester = Pick<Session, 'http' | 'clock' | 'config' | 'signal' | 'throttle'>

/**
 * One GET within the limits of bindery.conf(5): too long without an answer is `network`, too slow over a window or too
 * long in all is `too-slow`. A stop of the person ends it with the signal's reason.
 */
export async function request(session: Requester, url: string, options: RequestOptions = {}): Promise<HttpResponse> {
  const { http, config, signal, clock } = session
  const { headers = {}, since = clock.now() } = options
  const response = await http.get({ url, headers, timeouts: config.network, signal })
  return { ...response, body: paced(session, response.body, { url, since }) }
}

export type RequestOptions = {
  readonly headers?: Readonly<Record<string, string>>
  /** When this address was first asked for the file, in the clock's milliseconds: whoever hangs up again and again gets no more time. */
  readonly since?: number
}

/** Object stores answer 403 for what is not there when listing is not allowed. */
export function isAbsent({ status }: HttpResponse): boolean {
  return [403, 404, 410].includes(status)
}

/** For what signed metadata lists: `incomplete` where it is not there, `network` for any other status. */
export function refusedBy(response: HttpResponse, url: string): BinderyError {
  return new BinderyError(isAbsent(response) ? 'incomplete' : 'network', `answered ${response.status}`, { subject: url })
}

/** Not a generator: leaving it before the first chunk must close the connection, too. */
function paced(session: Requester, body: ByteStream, { url, since }: { readonly url: string; readonly since: number }): ByteStream {
  // Whoever is slowed down by us is not slow: the time of our own waiting does not count.
  let waited = 0
  const { clock, throttle } = session
  const pace = paceOf(session, since, () => clock.now() - waited)
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
        try {
          const fault = pace(result.value.length)
          if (fault !== undefined) throw new BinderyError('too-slow', fault, { subject: url })
          const before = clock.now()
          await throttle(result.value.length)
          waited += clock.now() - before
          return result
        } catch (error) {
          await leave()
          throw error
        }
      }
      return { next, return: leave }
    },
  }
}

/** Tells when an answer is too slow over a window, or has taken too long in all. */
function paceOf({ config }: Requester, since: number, time: () => number): (bytes: number) => string | undefined {
  const { minimumRate, rateWindowMs, deadlineMs } = config.network
  let windowStart = time()
  let inWindow = 0
  return (bytes) => {
    const now = time()
    inWindow += bytes
    if (now - since > deadlineMs) return `not done within ${deadlineMs / 1000} s`
    const elapsed = now - windowStart
    if (elapsed < rateWindowMs && elapsed >= 0) return undefined
    const rate = (inWindow * 1000) / elapsed
    windowStart = now
    inWindow = 0
    return elapsed > 0 && rate < minimumRate ? `slower than ${minimumRate} bytes a second` : undefined
  }
}
