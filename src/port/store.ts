import type { ByteStream } from '../base/bytes.ts'

/**
 * Where a repository's files live: a local folder, or an S3-compatible bucket. Keys are relative slash paths of
 * printable ASCII. `put` is atomic: a reader sees the old object, the new one, or none, never a part, and the object
 * is durable when `put` returns.
 */
export type Store = {
  get(key: string): Promise<Uint8Array | undefined>
  stream(key: string): ByteStream
  size(key: string): Promise<number | undefined>
  put(key: string, content: ByteStream): Promise<void>
  delete(key: string): Promise<void>
  /** Every key that starts with `prefix`, sorted. */
  list(prefix: string): Promise<readonly string[]>
}
