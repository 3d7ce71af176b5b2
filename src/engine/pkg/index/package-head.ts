import { constants, gunzipSync } from 'node:zlib'
import { latin1 } from '../../../base/bytes.ts'
import { BinderyError } from '../../../base/error.ts'
import { headerSize, readHeader } from '../../../format/gzip.ts'
import { readUpdateInfo, readUpdateInfoSoFar } from '../../../format/openbsd/update-info.ts'
import { blockSize, fields, nameWidth, paddingOf } from '../../../format/tar.ts'
import { decodeNumber, hasGoodChecksum } from '../../../format/tar-numbers.ts'
import type { UpdateInfo } from '../../../format/openbsd/update-info.ts'

/** What the first kilobytes of a package say. */
export type PackageHead = {
  readonly info: UpdateInfo
  /** `date=` of signify's comment. */
  readonly signedOn: string | undefined
}

/** Deflated; most heads of packing lists end within it. */
const firstPiece = 1536
/** What decompressing may come to, so that no bomb goes off. */
const maxInflated = 32 << 20

/**
 * `bytes` is the beginning of a package, or all of it. `more` where the head of its packing list has no end yet. Throws `bad-format` and
 * `over-limit`.
 */
export function readPackageHead(bytes: Uint8Array, isWhole: boolean): PackageHead | 'more' {
  if (bytes.length >= 3 && (bytes[0] !== 0x1f || bytes[1] !== 0x8b || bytes[2] !== 8))
    throw new BinderyError('bad-format', 'is no gzip file')
  const header = readHeader(bytes, 0)
  if (header === undefined) {
    if (isWhole) throw new BinderyError('bad-format', 'ends within its gzip header')
    return 'more'
  }
  const enough = headerSize(header) + firstPiece
  const info = (bytes.length > enough ? infoOf(bytes.subarray(0, enough), false) : undefined) ?? infoOf(bytes, isWhole)
  if (info === undefined) return 'more'
  return { info, signedOn: /^date=(.*)$/m.exec(latin1(header.optional.subarray(0, maxFactBytes)))?.[1] }
}

const maxFactBytes = 4096
const digestLine = 65

/** How long the whole file is, as far as signify's comment tells, which names each block; undefined for a file without one. */
export function signedLength(bytes: Uint8Array): { readonly moreThan: number; readonly atMost: number } | undefined {
  const header = readHeader(bytes, 0)
  const match = header && /\nblocksize=([1-9][0-9]{0,8})\n\n/.exec(latin1(header.optional.subarray(0, maxFactBytes)))
  if (header === undefined || match === null || match === undefined) return undefined
  const blocks = Math.floor((header.optional.length - match.index - match[0].length) / digestLine)
  const [start, blockSize] = [headerSize(header), Number(match[1])]
  return { moreThan: start + (blocks - 1) * blockSize, atMost: start + blocks * blockSize }
}

function infoOf(bytes: Uint8Array, isWhole: boolean): UpdateInfo | undefined {
  const list = listOf(inflated(bytes))
  if (list === undefined) {
    if (isWhole) throw new BinderyError('bad-format', 'ends before its packing list does')
    return undefined
  }
  const soFar = readUpdateInfoSoFar(list.bytes)
  if (soFar.kind === 'whole') return soFar.info
  if (list.isWhole) return readUpdateInfo(list.bytes)
  if (isWhole) throw new BinderyError('bad-format', 'ends before its packing list does')
  return undefined
}

/** As far as it goes: the file goes on behind `bytes`. */
function inflated(bytes: Uint8Array): Uint8Array {
  try {
    return gunzipSync(bytes, { finishFlush: constants.Z_SYNC_FLUSH, maxOutputLength: maxInflated })
  } catch (cause) {
    if (cause instanceof RangeError)
      throw new BinderyError('over-limit', `has no packing list in its first ${maxInflated} bytes`, { cause })
    throw new BinderyError('bad-format', `is damaged: ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
  }
}

/** The content of `+CONTENTS`, as far as it is there; undefined where the tar ends before it. */
function listOf(tar: Uint8Array): { readonly bytes: Uint8Array; readonly isWhole: boolean } | undefined {
  for (let at = 0; at + blockSize <= tar.length;) {
    const block = tar.subarray(at, at + blockSize)
    if (block.every((byte) => byte === 0)) throw new BinderyError('bad-format', 'has no packing list')
    if (!hasGoodChecksum(block)) throw new BinderyError('bad-format', 'holds no tar')
    const size = decodeNumber(block, fields.size.at, fields.size.width)
    if (size === undefined) throw new BinderyError('bad-format', 'holds a tar with a strange size')
    const start = at + blockSize
    if (nameOf(block) === '+CONTENTS') return { bytes: tar.subarray(start, start + size), isWhole: start + size <= tar.length }
    at = start + size + paddingOf(size)
  }
  return undefined
}

function nameOf(block: Uint8Array): string {
  const text = latin1(block.subarray(0, nameWidth))
  const end = text.indexOf('\0')
  return end < 0 ? text : text.slice(0, end)
}
