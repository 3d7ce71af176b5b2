import type { ByteStream } from '../base/bytes.ts'

/** GET over HTTP(S) (and file:, for a repository on a disk). */
export type HttpClient = {
  get(request: HttpRequest): Promise<HttpResponse>
}

export type HttpRequest = {
  readonly url: string
  readonly headers?: Readonly<Record<string, string>>
  /** Limits on silence, not on the whole: to the first byte of the answer, and between two chunks of it. */
  readonly timeouts?: { readonly answerMs: number; readonly idleMs: number }
  /** Ends the exchange, also in the middle of the body, with the signal's reason as the error. */
  readonly signal?: AbortSignal
}

/**
 * The adapter follows at most five redirects, never from https to http, and never decodes a Content-Encoding
 * (it asks for identity). The body must be read to its end or left by `return()`, which closes the connection.
 * Failures to connect, resets, time-outs and bodies that end early are `network` with the URL as subject.
 */
export type HttpResponse = {
  readonly status: number
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: ByteStream
}
