import { crc32 } from 'node:zlib'
import { concatBytes, equalBytes, fromHex, fromLatin1, hex, latin1, utf8 } from '../base/bytes.ts'
import { BinderyError } from '../base/error.ts'
import { byteWriter, readByte, readBytes, readVarint } from './varint.ts'
import type { Sha256 } from '../base/digest.ts'
import type { Cursor } from './varint.ts'

/** The front of a delta (doc/spec/delta.md): what it leads from and to, and what applying it takes. */

const magic = utf8('bindelta')
const version = 1

/** Magic, version, and the length of the header that follows. */
export const deltaPrefixSize = 11

/** After the table of digests. */
export const deltaChecksumSize = 4

const maxHeaderSize = 0xffff
const maxNameSize = 255
const blockBits = { least: 12, most: 26 }
const digestSizes = { least: 16, most: 32 }
/** A residual takes four old bytes at once, which may lie in two blocks. */
const windows = { least: 64, most: 2 ** 31 }
const maxBatchLimit = 2 ** 28
const maxCodingMemory = 2 ** 40

/** Blocks per side: with the largest blocks, 4 TiB. */
export const maxBlocks = 0x10000
export const maxRetained = 2048

/** What the decoders of the codecs need at most: brotli's window of 16 MiB, or zstd's, and their tables. */
const codecMemory = 24 << 20

/** The bytes [start, end) of the old side. */
export type Range = { readonly start: number; readonly end: number }

export type DeltaSide = { readonly size: number; readonly sha256: Sha256 }

export type DeltaHeader = {
  /** Names of dists; empty where the sides are just files. */
  readonly oldName: string
  readonly newName: string
  readonly old: DeltaSide
  readonly new: DeltaSide
  /** A power of two: both sides are verified in blocks of this size. */
  readonly blockSize: number
  /** Bytes of each block digest. */
  readonly digestSize: number
  /** How far behind the furthest old byte used so far a copy may start. */
  readonly window: number
  /** Bytes of all streams of a batch together, before compression. */
  readonly batchLimit: number
  /** Old bytes that stay at hand when the window has left them: ascending, without overlap. */
  readonly retained: readonly Range[]
  /** Bytes that the codings of this delta's sections need beyond all else, the largest image and the largest gzip file together; 0 for plain matching. */
  readonly codingMemory: number
}

/**
 * One digest per block but the last, of each side: the first bytes of the sha256 of everything up to the block's end.
 * The last block's is the side's whole digest.
 */
export type BlockDigests = { readonly old: Uint8Array; readonly new: Uint8Array }

/** What a user or a planner wants to know of a delta. */
export type DeltaInfo = {
  /** The second one: between containers, which are opened. */
  readonly format: 'bindery' | 'bindery-container'
  readonly version: number
  readonly oldName: string
  readonly newName: string
  readonly old: DeltaSide
  readonly new: DeltaSide
  /** Bytes of memory that applying takes beyond the program itself. */
  readonly memory: number
  /** What the old side is, where it is opened. */
  readonly container?: string
}

export function deltaInfo(header: DeltaHeader): DeltaInfo {
  const { oldName, newName, old } = header
  return { format: 'bindery', version, oldName, newName, old, new: header.new, memory: memoryNeed(header) }
}

/** The reader's buffers: window and unverified block of old, two blocks of new, what is retained, two batches, codecs. */
export function memoryNeed(header: DeltaHeader): number {
  const retained = header.retained.reduce((sum, { start, end }) => sum + end - start, 0)
  const old = Math.min(header.window + header.blockSize, header.old.size)
  return old + 2 * Math.min(header.blockSize, header.new.size) + retained + 2 * header.batchLimit + codecMemory + header.codingMemory
}

export function isDelta(start: Uint8Array): boolean {
  return equalBytes(start.subarray(0, magic.length), magic)
}

/** How many digests the table holds of a side. */
export function digestCount(size: number, blockSize: number): number {
  return Math.max(0, Math.ceil(size / blockSize) - 1)
}

/** Bytes of the table of both sides. */
export function digestTableSize(header: DeltaHeader): number {
  const blocks = digestCount(header.old.size, header.blockSize) + digestCount(header.new.size, header.blockSize)
  return blocks * header.digestSize
}

/** Everything before the first batch. */
export function encodeDeltaFront(header: DeltaHeader, digests: BlockDigests): Uint8Array {
  const body = encodeHeader(header)
  if (body.length > maxHeaderSize) throw new BinderyError('over-limit', `the delta's header takes ${body.length} bytes`)
  const front = concatBytes([magic, Uint8Array.of(version, body.length & 0xff, body.length >> 8), body, digests.old, digests.new])
  return concatBytes([front, checksum(front)])
}

function encodeHeader(header: DeltaHeader): Uint8Array {
  const out = byteWriter()
  out.varint(0)
  for (const name of [header.oldName, header.newName]) {
    checkName(name)
    out.byte(name.length)
    out.bytes(fromLatin1(name))
  }
  for (const side of [header.old, header.new]) {
    out.varint(side.size)
    out.bytes(fromHex(side.sha256) as Uint8Array)
  }
  out.byte(Math.log2(header.blockSize))
  out.byte(header.digestSize)
  for (const number of [header.window, header.batchLimit, header.codingMemory, header.retained.length]) out.varint(number)
  let end = 0
  for (const range of header.retained) {
    out.varint(range.start - end)
    out.varint(range.end - range.start)
    end = range.end
  }
  return out.take()
}

/** The length of the header behind the prefix. `bad-format` for anything but a delta of this version. */
export function decodeDeltaPrefix(prefix: Uint8Array): number {
  if (prefix.length < deltaPrefixSize || !isDelta(prefix)) throw new BinderyError('bad-format', 'is no delta')
  const found = prefix[magic.length] as number
  if (found !== version) throw newer(`version ${found} of the format`)
  return (prefix[9] as number) | ((prefix[10] as number) << 8)
}

export function decodeDeltaHeader(bytes: Uint8Array): DeltaHeader {
  const cursor: Cursor = { bytes, at: 0 }
  if (readVarint(cursor) !== 0) throw newer('flags')
  const oldName = readName(cursor)
  const newName = readName(cursor)
  const old = readSide(cursor)
  const next = readSide(cursor)
  const blockSize = 2 ** between(readByte(cursor), blockBits, 'the block size')
  const digestSize = between(readByte(cursor), digestSizes, 'the size of the block digests')
  const window = between(readVarint(cursor), windows, 'the window')
  const batchLimit = atMost(readVarint(cursor), maxBatchLimit, 'the size of a batch')
  const codingMemory = atMost(readVarint(cursor), maxCodingMemory, 'the memory of the codings')
  const retained = readRetained(cursor, old.size)
  if (cursor.at !== bytes.length) throw bad('the header is longer than its fields')
  for (const { size } of [old, next]) atMost(Math.ceil(size / blockSize), maxBlocks, 'the number of blocks')
  return { oldName, newName, old, new: next, blockSize, digestSize, window, batchLimit, retained, codingMemory }
}

/** `table` is what `digestTableSize` says; `front` is prefix, header and table together. */
export function decodeDigestTable(header: DeltaHeader, front: Uint8Array, found: Uint8Array): BlockDigests {
  if (!equalBytes(checksum(front), found)) throw bad('the header is damaged')
  const table = front.subarray(front.length - digestTableSize(header))
  const split = digestCount(header.old.size, header.blockSize) * header.digestSize
  return { old: table.subarray(0, split), new: table.subarray(split) }
}

/** CRC-32 as in gzip, little-endian: against accidents, so that names and limits can be believed. */
function checksum(front: Uint8Array): Uint8Array {
  const sum = crc32(front)
  return Uint8Array.of(sum, sum >>> 8, sum >>> 16, sum >>> 24)
}

function readName(cursor: Cursor): string {
  const name = latin1(readBytes(cursor, readByte(cursor)))
  checkName(name)
  return name
}

/** Names become names of files (`OLD_to_NEW.delta`): nothing in them may mean a folder or an option. */
function checkName(name: string): void {
  if (name.length > maxNameSize || !/^(?:[A-Za-z0-9][A-Za-z0-9._+-]*)?$/.test(name)) throw bad('a name in the header is no name of a dist')
}

function readSide(cursor: Cursor): DeltaSide {
  const size = readVarint(cursor)
  return { size, sha256: hex(readBytes(cursor, 32)) as Sha256 }
}

function readRetained(cursor: Cursor, oldSize: number): readonly Range[] {
  const count = atMost(readVarint(cursor), maxRetained, 'the number of retained ranges')
  const ranges: Range[] = []
  let end = 0
  for (let i = 0; i < count; i++) {
    const start = end + readVarint(cursor)
    end = start + readVarint(cursor)
    if (end === start || end > oldSize) throw bad('a retained range is empty or leaves the old side')
    ranges.push({ start, end })
  }
  return ranges
}

function between(value: number, { least, most }: { readonly least: number; readonly most: number }, what: string): number {
  if (value < least || value > most) throw bad(`${what} is not from ${least} to ${most}`)
  return value
}

function atMost(value: number, most: number, what: string): number {
  if (value > most) throw new BinderyError('over-limit', `${what} in the delta's header is over ${most}`)
  return value
}

function newer(what: string): BinderyError {
  return new BinderyError('bad-format', `the delta has ${what} unknown here`, { hint: 'it may need a newer bindery' })
}

function bad(message: string): BinderyError {
  return new BinderyError('bad-format', message)
}
