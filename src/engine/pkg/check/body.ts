import { gunzipSync } from 'node:zlib'
import { collectBytes, emptyBytes } from '../../../base/bytes.ts'
import { BinderyError } from '../../../base/error.ts'
import type { ByteStream } from '../../../base/bytes.ts'

/** Bodies of answers, within limits. */

const maxUnpacked = 128 << 20

export async function* limited(body: ByteStream, limit: number): ByteStream {
  let size = 0
  for await (const bytes of body) {
    size += bytes.length
    if (size > limit) throw new BinderyError('over-limit', `is larger than ${limit} bytes`)
    yield bytes
  }
}

export function unpacked(gzip: Uint8Array): Uint8Array {
  try {
    return gunzipSync(gzip, { maxOutputLength: maxUnpacked })
  } catch (cause) {
    if (cause instanceof RangeError) throw new BinderyError('over-limit', `unpacks to more than ${maxUnpacked} bytes`)
    throw new BinderyError('bad-format', 'is no gzip file, or a damaged one', { cause })
  }
}

export async function whole(body: ByteStream, limit: number): Promise<Uint8Array> {
  return (await collectBytes(limited(body, limit), limit)) ?? emptyBytes
}
