import type { HttpClient } from './http.ts'

/**
 * A process that may do nothing on this machine: it alone talks to the network, and it alone reads what nobody has verified yet.
 * Whoever asks it believes it as much as a mirror.
 */
export type Fetcher = {
  readonly http: HttpClient
  readonly look: Look
  /** Begins what takes its time before the first request. */
  start(): void
  /** For one who lives on; it ends with the process anyway. */
  end(): void
}

/**
 * The trust workflow by one who keeps nothing: what it needs of the store and of the source it asks of the caller, who passes the bytes on
 * without reading them. Throws what the workflow throws, and what `answer` throws. What it answers is looked at in the same way.
 */
export type Look = (input: LookInput, answer: (question: LookQuestion) => Promise<LookAnswer>) => Promise<Looked>

/** Milliseconds: the time, and for how long what has expired is taken. */
export type LookInput = { readonly now: number; readonly grace: number }

export type LookQuestion =
  | { readonly kind: 'load'; readonly file: string }
  /** At most `limit` bytes; `ifChangedFrom` is the `etag` of an earlier answer, which may then be `unchanged`. */
  | { readonly kind: 'fetch'; readonly file: string; readonly limit: number; readonly ifChangedFrom?: string }

export type LookAnswer =
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array; readonly etag?: string }
  | { readonly kind: 'absent' }
  | { readonly kind: 'unchanged' }

/** What of the repository can be read later on: delegated roles, by name or by a path of theirs. */
export type Looked = {
  role(name: string): Promise<void>
  target(path: string): Promise<void>
}
