import { equalBytes, latin1 } from '../../../base/bytes.ts'
import { BinderyError } from '../../../base/error.ts'
import { digestsOfBlocks, usualBlockSize } from '../../../format/openbsd/signed-gzip.ts'
import { closeGzipFile, openGzipFile } from './deflate.ts'
import type { Opened } from './methods.ts'

/**
 * gzip files that signify has signed: a comment in the header ends with a digest of each 64 KiB behind the header. They follow from what
 * the rest of the recipe makes; in it zeros stand in their places.
 */

const lineSize = 65
const onlyComment = 16
const lastOfMessage = /\nalgorithm=SHA512\/256\nblocksize=65536\n\n$/

/** Where the digests stand; undefined for what is no such file. */
function digestsIn(bytes: Uint8Array): { readonly start: number; readonly end: number } | undefined {
  if (bytes[3] !== onlyComment) return undefined
  const end = bytes.indexOf(0, 10)
  const start = end - lineSize * Math.ceil((bytes.length - end - 1) / usualBlockSize)
  if (end < 0 || start < 10) return undefined
  return lastOfMessage.test(latin1(bytes.subarray(Math.max(10, start - 64), start))) ? { start, end } : undefined
}

export function isSignedGzip(bytes: Uint8Array): boolean {
  const place = digestsIn(bytes)
  return place !== undefined && equalBytes(digestsOfBlocks(bytes.subarray(place.end + 1)), bytes.subarray(place.start, place.end))
}

export function openSignedGzip(bytes: Uint8Array, limit: number): Opened | undefined {
  const place = digestsIn(bytes)
  if (place === undefined) return undefined
  const opened = openGzipFile(bytes.slice().fill(zero, place.start, place.end), limit)
  return opened && { ...opened, by: `${opened.by}, signed` }
}

const zero = 0x30

export function closeSignedGzip(content: Uint8Array, recipe: Uint8Array, size: number): Uint8Array {
  const made = closeGzipFile(content, recipe, size)
  const place = digestsIn(made)
  if (place === undefined) throw new BinderyError('bad-format', 'the delta takes for a signed gzip file what is none')
  made.set(digestsOfBlocks(made.subarray(place.end + 1)), place.start)
  return made
}
