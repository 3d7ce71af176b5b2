import { crc32 } from 'node:zlib'
import { concatBytes, equalBytes, fromHex, hex, utf8 } from '../base/bytes.ts'
import { BinderyError } from '../base/error.ts'
import { digestCount } from './delta.ts'
import { byteWriter, readByte, readBytes, readVarint } from './varint.ts'
import type { Sha256 } from '../base/digest.ts'
import type { ByteWriter, Cursor } from './varint.ts'
import type { DeltaInfo, DeltaSide } from './delta.ts'

/** The front of a delta between containers, and how both are opened and closed (doc/spec/container-delta.md). */

const magic = utf8('bindcont')
const version = 1
const digestSize = 16
const blockBits = { least: 12, most: 26 }
const mostBlocks = 0x10000
const mostMemory = 2 ** 40
const mostPlan = 1 << 28
const checksumSize = 4

/** Magic, version, length of the header. */
export const containerPrefixSize = 11

export type PlanCodec = 'raw' | 'zstd' | 'brotli'
const codecs: readonly PlanCodec[] = ['raw', 'zstd', 'brotli']

/** What the old file is, for a person. */
const kinds = ['other', 'gzip', 'xz', 'lzma', 'bzip2', 'zstd', 'zip', 'ar', 'tar'] as const
export type ContainerKind = (typeof kinds)[number]

export type ContainerHeader = {
  readonly kind: ContainerKind
  readonly old: DeltaSide
  readonly new: DeltaSide
  /** The new file is verified in blocks of this size. */
  readonly blockSize: number
  /** Bytes of memory that applying takes, all together. */
  readonly memory: number
  readonly plan: { readonly codec: PlanCodec; readonly size: number; readonly codedSize: number }
}

export function isContainerDelta(start: Uint8Array): boolean {
  return equalBytes(start.subarray(0, magic.length), magic)
}

export function containerInfo(header: ContainerHeader): DeltaInfo {
  return {
    format: 'bindery-container',
    version,
    oldName: '',
    newName: '',
    old: header.old,
    new: header.new,
    memory: header.memory,
    container: header.kind,
  }
}

/** `digests`: of the new file's blocks but the last, as a delta has them. */
export function encodeContainerFront(header: ContainerHeader, digests: Uint8Array): Uint8Array {
  const writer = byteWriter()
  writer.varint(0)
  writer.varint(kinds.indexOf(header.kind))
  for (const side of [header.old, header.new]) {
    writer.varint(side.size)
    writer.bytes(fromHex(side.sha256) as Uint8Array)
  }
  writer.byte(Math.log2(header.blockSize))
  writer.varint(header.memory)
  writer.varint(codecs.indexOf(header.plan.codec))
  writer.varint(header.plan.size)
  writer.varint(header.plan.codedSize)
  const body = writer.take()
  const front = concatBytes([magic, Uint8Array.of(version, body.length & 0xff, body.length >> 8), body, digests])
  const sum = new Uint8Array(checksumSize)
  new DataView(sum.buffer).setUint32(0, crc32(front), true)
  return concatBytes([front, sum])
}

/** The length of the header behind the prefix. */
export function decodeContainerPrefix(prefix: Uint8Array): number {
  if (prefix.length < containerPrefixSize || !isContainerDelta(prefix)) throw bad('is no delta between containers')
  if (prefix[magic.length] !== version) throw newer(`version ${prefix[magic.length]} of the format`)
  return (prefix[magic.length + 1] as number) | ((prefix[magic.length + 2] as number) << 8)
}

export function decodeContainerHeader(bytes: Uint8Array): ContainerHeader {
  const cursor: Cursor = { bytes, at: 0 }
  if (readVarint(cursor) !== 0) throw newer('a flag')
  const kind = kinds[readVarint(cursor)] ?? 'other'
  const [old, next] = [readSide(cursor), readSide(cursor)]
  const bits = readByte(cursor)
  if (bits < blockBits.least || bits > blockBits.most || digestCount(next.size, 2 ** bits) >= mostBlocks)
    throw bad('the delta has blocks of an impossible size')
  const memory = limited(readVarint(cursor), mostMemory)
  const codec = codecs[readVarint(cursor)]
  if (codec === undefined) throw newer('a codec')
  const size = limited(readVarint(cursor), mostPlan)
  const codedSize = readVarint(cursor)
  if (codedSize > size || (codec === 'raw' && codedSize !== size)) throw bad('the plan of the delta has an impossible size')
  if (cursor.at < bytes.length) throw bad("the delta's header goes on behind its end")
  return { kind, old, new: next, blockSize: 2 ** bits, memory, plan: { codec, size, codedSize } }
}

function readSide(cursor: Cursor): DeltaSide {
  const size = readVarint(cursor)
  return { size, sha256: hex(readBytes(cursor, 32)) as Sha256 }
}

function limited(value: number, most: number): number {
  if (value > most) throw new BinderyError('over-limit', `a number in the delta's header is over ${most}`)
  return value
}

/** Bytes behind the header: digests of blocks and the check sum. */
export function containerTableSize(header: ContainerHeader): number {
  return digestCount(header.new.size, header.blockSize) * digestSize + checksumSize
}

/** The digests; `bad-format` where the front is damaged. */
export function decodeContainerTable(front: Uint8Array, table: Uint8Array): Uint8Array {
  const digests = table.subarray(0, table.length - checksumSize)
  const sum = new DataView(table.buffer, table.byteOffset + digests.length, checksumSize).getUint32(0, true)
  if (crc32(concatBytes([front, digests])) !== sum) throw bad("the delta's header is damaged")
  return digests
}

export const containerDigestSize: number = digestSize

/** How the bytes of a packed piece were made of its content. */
export type Method = 'gzip' | 'deflate' | 'xz' | 'lzma' | 'bzip2' | 'zstd' | 'signed gzip'
const methods: readonly Method[] = ['gzip', 'deflate', 'xz', 'lzma', 'bzip2', 'zstd', 'signed gzip']

/** A piece of a container that is opened. */
export type Packed = {
  /** Bytes that stay as they are, since the piece before or the beginning of what this lies in. */
  readonly gap: number
  readonly method: Method
  readonly size: number
  readonly contentSize: number
  /** With the content, enough to make the piece again; none on the old side. */
  readonly recipe: Uint8Array
  /** Pieces of its content. */
  readonly inner: readonly Packed[]
}

export type ContainerPlan = { readonly old: readonly Packed[]; readonly new: readonly Packed[] }

/** Containers in containers in containers. */
export const mostDepth = 6
const mostPieces = 1 << 20

export function encodePlan({ old, new: next }: ContainerPlan): Uint8Array {
  const writer = byteWriter()
  writePieces(writer, old, false)
  writePieces(writer, next, true)
  return writer.take()
}

function writePieces(writer: ByteWriter, pieces: readonly Packed[], hasRecipes: boolean): void {
  writer.varint(pieces.length)
  for (const { gap, method, size, contentSize, recipe, inner } of pieces) {
    writer.varint(gap)
    writer.byte(methods.indexOf(method))
    writer.varint(size)
    writer.varint(contentSize)
    if (hasRecipes) {
      writer.varint(recipe.length)
      writer.bytes(recipe)
    }
    writePieces(writer, inner, hasRecipes)
  }
}

/** Sizes are those of the two files. */
export function decodePlan(bytes: Uint8Array, sizes: { readonly old: number; readonly new: number }): ContainerPlan {
  const reading: Reading = { bytes, at: 0, left: mostPieces }
  const plan = { old: readPieces(reading, sizes.old, false, 0), new: readPieces(reading, sizes.new, true, 0) }
  if (reading.at < bytes.length) throw bad('the plan of the delta goes on behind its end')
  return plan
}

type Reading = Cursor & { left: number }

/** `room`: bytes of what the pieces lie in. */
function readPieces(reading: Reading, room: number, hasRecipes: boolean, depth: number): readonly Packed[] {
  const count = readVarint(reading)
  if (count > reading.left || count > reading.bytes.length - reading.at)
    throw bad('the plan of the delta has more pieces than it has room for')
  if (count > 0 && depth >= mostDepth) throw new BinderyError('over-limit', 'the delta opens containers in containers, too deep')
  reading.left -= count
  let left = room
  return Array.from({ length: count }, () => {
    const gap = readVarint(reading)
    const method = methods[readByte(reading)]
    if (method === undefined) throw newer('a method')
    const [size, contentSize] = [readVarint(reading), readVarint(reading)]
    left -= gap + size
    if (left < 0) throw bad('a piece of a container reaches past its end')
    const recipe = hasRecipes ? readBytes(reading, readVarint(reading)) : noRecipe
    return { gap, method, size, contentSize, recipe, inner: readPieces(reading, contentSize, hasRecipes, depth + 1) }
  })
}

const noRecipe = new Uint8Array(0)

function newer(what: string): BinderyError {
  return new BinderyError('bad-format', `the delta has ${what} unknown here`, { hint: 'it may need a newer bindery' })
}

function bad(message: string): BinderyError {
  return new BinderyError('bad-format', message)
}
