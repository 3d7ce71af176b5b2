import { BinderyError } from '../base/error.ts'

/**
 * Where zstd frames begin and end (RFC 8878, 3.1), without decoding them. The runtimes disagree about what follows a
 * first frame (Node 24 drops it in silence, 22 and 26 decode it), so frames are split here and decoded one by one.
 */
export type ZstdFrame = {
  readonly kind: 'frame'
  readonly headerSize: number
  /** What a decoder has to keep in memory. */
  readonly windowSize: number
  /** Of the decoded content, where the header says it. */
  readonly contentSize: number | undefined
  /** Four bytes behind the last block. */
  readonly hasChecksum: boolean
}

export type SkippableFrame = { readonly kind: 'skippable'; readonly headerSize: number; readonly size: number }

/** `last`: no block follows. `size`: bytes of it in the stream behind its header. */
export type ZstdBlock = { readonly last: boolean; readonly size: number }

/** Enough for the header of any frame; fewer bytes only at the end of the stream. */
export const maxFrameHeader = 18

export const blockHeaderSize = 3
export const checksumSize = 4

/** 128 MiB, what `zstd -d` takes without being told otherwise, and `--long` makes. */
export const maxWindow: number = 1 << 27

const frameMagic = 0xfd2fb528
const skippableMagic = 0x184d2a50
const maxBlock = 128 * 1024

export function isZstd(start: Uint8Array): boolean {
  if (start.length < 4) return false
  const magic = viewOf(start).getUint32(0, true)
  return magic === frameMagic || isSkippable(magic)
}

function isSkippable(magic: number): boolean {
  return (magic & 0xfffffff0) >>> 0 === skippableMagic
}

/** `bad-format` for what is no frame or is cut off, `over-limit` for a window above `maxWindow`. */
export function decodeFrameHeader(start: Uint8Array): ZstdFrame | SkippableFrame {
  if (start.length < 5) throw bad('a frame is cut off')
  const view = viewOf(start)
  const magic = view.getUint32(0, true)
  if (isSkippable(magic)) {
    if (start.length < 8) throw bad('a frame is cut off')
    return { kind: 'skippable', headerSize: 8, size: view.getUint32(4, true) }
  }
  if (magic !== frameMagic) throw bad('something else follows a frame')
  return frameOf(view)
}

function frameOf(view: DataView): ZstdFrame {
  const descriptor = view.getUint8(4)
  const singleSegment = (descriptor & 0x20) !== 0
  if ((descriptor & 0x08) !== 0) throw bad('a frame of an unknown version')
  if ((descriptor & 0x03) !== 0) throw new BinderyError('not-supported', 'zstd: a frame needs a dictionary')
  const sizeAt = singleSegment ? 5 : 6
  const sizeWidth = [singleSegment ? 1 : 0, 2, 4, 8][descriptor >> 6] as number
  const headerSize = sizeAt + sizeWidth
  if (view.byteLength < headerSize) throw bad('a frame is cut off')
  const contentSize = contentSizeOf(view, sizeAt, sizeWidth)
  const windowSize = singleSegment ? (contentSize as number) : windowSizeOf(view.getUint8(5))
  if (windowSize > maxWindow) {
    throw new BinderyError(
      'over-limit',
      `zstd: needs a window of ${Math.ceil(windowSize / 1048576)} MiB, the limit is ${maxWindow / 1048576}`,
      {
        hint: 'decompress it with zstd --long=31 first',
      },
    )
  }
  return { kind: 'frame', headerSize, windowSize, contentSize, hasChecksum: (descriptor & 0x04) !== 0 }
}

/** RFC 8878, 3.1.1.1.4: two bytes count from 256. */
function contentSizeOf(view: DataView, at: number, width: number): number | undefined {
  switch (width) {
    case 0:
      return undefined
    case 1:
      return view.getUint8(at)
    case 2:
      return view.getUint16(at, true) + 256
    case 4:
      return view.getUint32(at, true)
    default:
      return Number(view.getBigUint64(at, true))
  }
}

/** RFC 8878, 3.1.1.1.2. */
function windowSizeOf(descriptor: number): number {
  const base = 2 ** (10 + (descriptor >> 3))
  return base + (base / 8) * (descriptor & 7)
}

/** Three bytes, little endian: one bit "last", two of type, 21 of size. */
export function decodeBlockHeader(bytes: Uint8Array): ZstdBlock {
  const value = (bytes[0] as number) | ((bytes[1] as number) << 8) | ((bytes[2] as number) << 16)
  const size = value >> 3
  const type = (value >> 1) & 3
  if (type === 3) throw bad('a block of an unknown type')
  if (size > maxBlock) throw bad('a block is too large')
  // Type 1 is one byte to be repeated.
  return { last: (value & 1) === 1, size: type === 1 ? 1 : size }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

function bad(message: string): BinderyError {
  return new BinderyError('bad-format', `zstd: ${message}`)
}
