import { crc32, inflateRawSync } from 'node:zlib'
import { concatBytes } from '../../../base/bytes.ts'
import { headerSize, readHeader, trailerSize } from '../../../format/gzip.ts'

/** FHCRC and FNAME: a comment or an extra field is somebody's word, and no noise. */
const ignoredFlags = 2 | 8
const mostMembers = 1 << 16

/**
 * What a gzip file holds, of all its members. Time, system, effort and name of the header are dropped with the way it was
 * compressed. Undefined for what is damaged, has more to say, has bytes behind its end, or holds more than `limit`.
 */
export function gzipContent(bytes: Uint8Array, limit: number): Uint8Array | undefined {
  const contents: Uint8Array[] = []
  let left = limit
  for (let at = 0; at < bytes.length;) {
    const member = memberAt(bytes, at, left)
    if (member === undefined || contents.length === mostMembers) return undefined
    contents.push(member.content)
    left -= member.content.length
    at = member.end
  }
  return contents.length === 0 ? undefined : concatBytes(contents)
}

function memberAt(bytes: Uint8Array, at: number, limit: number): { readonly content: Uint8Array; readonly end: number } | undefined {
  const header = readHeader(bytes, at)
  if (header === undefined || (header.flags & ~ignoredFlags) !== 0) return undefined
  const start = at + headerSize(header)
  const inflated = inflate(bytes.subarray(start), limit)
  if (inflated === undefined) return undefined
  const trailer = start + inflated.used
  if (bytes.length - trailer < trailerSize) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset + trailer, trailerSize)
  const isWhole = view.getUint32(0, true) === crc32(inflated.content) && view.getUint32(4, true) === inflated.content.length % 2 ** 32
  return isWhole ? { content: inflated.content, end: trailer + trailerSize } : undefined
}

function inflate(bytes: Uint8Array, limit: number): { readonly content: Uint8Array; readonly used: number } | undefined {
  try {
    const { buffer, engine } = inflateRawSync(bytes, { maxOutputLength: Math.max(1, limit), info: true }) as unknown as {
      buffer: Uint8Array
      engine: { bytesWritten: number }
    }
    return buffer.length > limit ? undefined : { content: buffer, used: engine.bytesWritten }
  } catch {
    return undefined
  }
}
