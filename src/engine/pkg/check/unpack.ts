import { gunzipSync } from 'node:zlib'
import { BinderyError } from '../../../base/error.ts'

/** Loaded by whoever has something to unpack: node:zlib is slow to load, and an unchanged index is kept without its gzip. */

const maxUnpacked = 128 << 20

export function unpacked(gzip: Uint8Array): Uint8Array {
  try {
    return gunzipSync(gzip, { maxOutputLength: maxUnpacked })
  } catch (cause) {
    if (cause instanceof RangeError) throw new BinderyError('over-limit', `unpacks to more than ${maxUnpacked} bytes`)
    throw new BinderyError('bad-format', 'is no gzip file, or a damaged one', { cause })
  }
}
