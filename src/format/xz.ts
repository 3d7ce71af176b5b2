import { crc32 } from 'node:zlib'
import { equalBytes } from '../base/bytes.ts'
import { byteWriter, readByte, readVarint } from './varint.ts'
import type { Cursor } from './varint.ts'

/** The frame of one xz stream (The .xz File Format, 1.2): what stands around the blocks. */
export type XzStream = {
  /** The number of the check behind each block. */
  readonly check: number
  /** Size of the dictionary: what is left of the preset. */
  readonly dictionary: number
  /** Whether the heads of blocks tell sizes, as those of an encoder with threads do. */
  readonly sized: boolean
  readonly blocks: readonly XzBlock[]
}

/** `unpadded`: of its head, its data and its check. */
export type XzBlock = { readonly unpadded: number; readonly contentSize: number }

const magic = Uint8Array.of(0xfd, 0x37, 0x7a, 0x58, 0x5a, 0)
const endMagic = Uint8Array.of(0x59, 0x5a)
const frameSize = 12
export const xzHeaderSize: number = frameSize
const checkSizes = [0, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64] as const
const lzma2 = 0x21
const mostBlocks = 1 << 16

export function isXz(start: Uint8Array): boolean {
  return equalBytes(start.subarray(0, magic.length), magic)
}

export function checkSizeOf(check: number): number {
  return checkSizes[check] as number
}

/** Undefined for anything but one whole stream whose blocks have LZMA2 alone and heads of the usual size, all alike. */
export function readXz(bytes: Uint8Array): XzStream | undefined {
  const check = bytes[7]
  if (bytes.length < 2 * frameSize + 8 || !isXz(bytes) || check === undefined || check > 15) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const footer = bytes.length - frameSize
  const indexStart = footer - 4 * (view.getUint32(footer + 4, true) + 1)
  if (indexStart < frameSize || !equalBytes(bytes.subarray(footer + 10), endMagic)) return undefined
  const blocks = readIndex(bytes.subarray(indexStart, footer))
  const head = blocks && readHead(bytes.subarray(frameSize, indexStart))
  if (blocks === undefined || head === undefined) return undefined
  const stream = { check, ...head, blocks }
  // What a writer of ours would put around the same blocks is all that is known of them.
  return equalBytes(xzHeader(check), bytes.subarray(0, frameSize)) && equalBytes(xzEnd(stream), bytes.subarray(indexStart))
    ? stream
    : undefined
}

function readIndex(bytes: Uint8Array): readonly XzBlock[] | undefined {
  try {
    const cursor: Cursor = { bytes, at: 0 }
    if (readByte(cursor) !== 0) return undefined
    const count = readVarint(cursor)
    if (count === 0 || count > mostBlocks || count > bytes.length) return undefined
    return Array.from({ length: count }, () => ({ unpadded: readVarint(cursor), contentSize: readVarint(cursor) }))
  } catch {
    return undefined
  }
}

function readHead(bytes: Uint8Array): Pick<XzStream, 'dictionary' | 'sized'> | undefined {
  const size = 4 * ((bytes[0] ?? 0) + 1)
  if (bytes[0] === 0 || size > bytes.length) return undefined
  try {
    const cursor: Cursor = { bytes: bytes.subarray(0, size), at: 1 }
    const flags = readByte(cursor)
    if (flags !== 0 && flags !== 0xc0) return undefined
    // Sizes, as the index has them too.
    if (flags !== 0) for (let i = 0; i < 2; i++) readVarint(cursor)
    if (readByte(cursor) !== lzma2 || readByte(cursor) !== 1) return undefined
    const dictionary = dictionaryOf(readByte(cursor))
    return dictionary === undefined ? undefined : { dictionary, sized: flags !== 0 }
  } catch {
    return undefined
  }
}

function dictionaryOf(bits: number): number | undefined {
  return bits > 40 ? undefined : bits === 40 ? 2 ** 32 - 1 : (2 | (bits & 1)) * 2 ** ((bits >> 1) + 11)
}

export function xzHeader(check: number): Uint8Array {
  const bytes = new Uint8Array(frameSize)
  bytes.set(magic)
  bytes[7] = check
  new DataView(bytes.buffer).setUint32(8, crc32(bytes.subarray(6, 8)), true)
  return bytes
}

/**
 * A block's head with its sizes, as liblzma's encoder with threads writes it: as long as its largest sizes would need. `head`: of the
 * same block without them. Undefined where they do not fit.
 */
export function sizedBlockHead(head: Uint8Array, size: number, compressed: number, contentSize: number): Uint8Array | undefined {
  const bytes = new Uint8Array(size)
  const writer = byteWriter()
  writer.byte(size / 4 - 1)
  writer.byte(0xc0)
  writer.varint(compressed)
  writer.varint(contentSize)
  // Filter, size of its properties, its properties.
  writer.bytes(head.subarray(2, 5))
  if (writer.size > size - 4) return undefined
  bytes.set(writer.take())
  new DataView(bytes.buffer).setUint32(size - 4, crc32(bytes.subarray(0, size - 4)), true)
  return bytes
}

/** Index and footer. */
export function xzEnd({ check, blocks }: Pick<XzStream, 'check' | 'blocks'>): Uint8Array {
  const writer = byteWriter()
  writer.byte(0)
  writer.varint(blocks.length)
  for (const { unpadded, contentSize } of blocks) {
    writer.varint(unpadded)
    writer.varint(contentSize)
  }
  while (writer.size % 4 !== 0) writer.byte(0)
  const index = writer.take()
  const bytes = new Uint8Array(index.length + 4 + frameSize)
  const view = new DataView(bytes.buffer)
  bytes.set(index)
  view.setUint32(index.length, crc32(index), true)
  const footer = index.length + 4
  view.setUint32(footer + 4, footer / 4 - 1, true)
  bytes[footer + 9] = check
  view.setUint32(footer, crc32(bytes.subarray(footer + 4, footer + 10)), true)
  bytes.set(endMagic, footer + 10)
  return bytes
}
