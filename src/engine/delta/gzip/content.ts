import { inflateRawSync } from 'node:zlib'
import { concatBytes } from '../../../base/bytes.ts'
import { headerSize, mostMembers, readHeader, trailerSize } from '../../../format/gzip.ts'

/**
 * What a gzip file holds, the contents of all its members one after the other (RFC 1952); undefined where that is more than
 * `limit` bytes, there are too many members, or the first one is damaged. Check sums are not looked at: old bytes are known to be right. `expected`: how
 * many it will be, where that is not the limit.
 */
export function gzipContent(bytes: Uint8Array, limit: number, expected: number = limit): Uint8Array | undefined {
  const contents: Uint8Array[] = []
  let size = 0
  for (let at = 0; ;) {
    const header = readHeader(bytes, at)
    if (header === undefined) break
    if (contents.length === mostMembers) return undefined
    const start = at + headerSize(header)
    const inflated = inflate(bytes.subarray(start), limit - size, expected)
    if (inflated === undefined) return undefined
    // A member without its end is no member, as `openGzip` has it.
    if (bytes.length - start - inflated.used < trailerSize) break
    contents.push(inflated.content)
    size += inflated.content.length
    at = start + inflated.used + trailerSize
  }
  return contents.length === 0 ? undefined : concatBytes(contents)
}

/** zlib asks for room until there is some left when it is done. */
function oneBuffer(limit: number, expected: number): { readonly chunkSize: number; readonly maxOutputLength: number } {
  return { chunkSize: Math.max(64, Math.min(limit, expected) + 1), maxOutputLength: Math.max(1, limit) }
}

function inflate(bytes: Uint8Array, limit: number, expected: number): { readonly content: Uint8Array; readonly used: number } | undefined {
  try {
    const { buffer, engine } = inflateRawSync(bytes, { ...oneBuffer(limit, expected), info: true }) as unknown as {
      buffer: Uint8Array
      engine: { bytesWritten: number }
    }
    return buffer.length > limit ? undefined : { content: buffer, used: engine.bytesWritten }
  } catch {
    return undefined
  }
}
