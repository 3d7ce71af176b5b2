import { gunzipSync } from 'node:zlib'
import { BinderyError } from '../../../base/error.ts'

/** Loaded by whoever has something to unpack: node:zlib is slow to load, and an unchanged index is kept without its gzip. */

const maxUnpacked = 128 << 20

export function unpacked(gzip: Uint8Array): Uint8Array {
  try {
    return gunzipSync(gzip, { maxOutputLength: maxUnpacked, chunkSize: roomFor(gzip) })
  } catch (cause) {
    if (cause instanceof RangeError) throw new BinderyError('over-limit', `unpacks to more than ${maxUnpacked} bytes`)
    throw new BinderyError('bad-format', 'is no gzip file, or a damaged one', { cause })
  }
}

const leastRoom = 64 << 10

/** One piece of memory holds it all where the last bytes, which say how long it was (RFC 1952, 2.3.1), are believable. */
function roomFor(gzip: Uint8Array): number {
  const end = gzip.subarray(-4)
  const size = end.length < 4 ? 0 : new DataView(end.buffer, end.byteOffset).getUint32(0, true)
  // A piece that is full would be followed by another one.
  return Math.max(leastRoom, Math.min(size + 1, gzip.length * 16, maxUnpacked))
}
