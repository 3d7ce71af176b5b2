import { collectBytes, emptyBytes } from '../../../base/bytes.ts'
import { BinderyError } from '../../../base/error.ts'
import type { ByteStream } from '../../../base/bytes.ts'

/** The body of an answer, within a limit. */
export async function* limited(body: ByteStream, limit: number): ByteStream {
  let size = 0
  for await (const bytes of body) {
    size += bytes.length
    if (size > limit) throw new BinderyError('over-limit', `is larger than ${limit} bytes`)
    yield bytes
  }
}

export async function whole(body: ByteStream, limit: number): Promise<Uint8Array> {
  return (await collectBytes(limited(body, limit), limit)) ?? emptyBytes
}
