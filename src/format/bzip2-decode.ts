import { concatBytes } from '../base/bytes.ts'
import { BinderyError } from '../base/error.ts'
import { bitReader, blockMagic, combineCrc, endMagic, firstCrc, groupSize, nextCrc, runB } from './bzip2-bits.ts'
import type { BitReader } from './bzip2-bits.ts'

/** bzip2 as bzip2-1.0.8 writes it; blocks of the "randomised" kind, which no version since 0.9.5 makes, are refused. */

const maxCodeLength = 20
const maxTables = 6
const pieceSize = 256 << 10

/** Everything in `bytes`, any number of streams; `over-limit` where that is more than `limit` bytes. */
export function bunzip2(bytes: Uint8Array, limit: number): Uint8Array {
  const parts: Uint8Array[] = []
  let size = 0
  for (const part of bunzip2Pieces(bytes)) {
    size += part.length
    if (size > limit) throw new BinderyError('over-limit', `the bzip2 data hold more than the ${limit} bytes expected`)
    parts.push(part)
  }
  return concatBytes(parts)
}

/**
 * The same in pieces, as they are asked for; a few megabytes of memory, whatever the input. The check sum of a block is
 * checked behind its last piece.
 */
export function* bunzip2Pieces(bytes: Uint8Array): Generator<Uint8Array> {
  let at = 0
  // One for all: a stream without a block takes fourteen bytes, and would take megabytes of memory.
  let links = new Uint32Array(0)
  const room = (size: number): Uint32Array => {
    if (links.length < size) links = new Uint32Array(size)
    return links.subarray(0, size)
  }
  do {
    const reader = bitReader(bytes.subarray(at))
    yield* decodeStream(reader, room)
    at += reader.align()
  } while (at < bytes.length)
}

function* decodeStream(reader: BitReader, room: (size: number) => Uint32Array): Generator<Uint8Array> {
  const magic = reader.bits(24)
  const level = reader.bits(8) - 0x30
  if (magic !== 0x425a68 || level < 1 || level > 9) throw bad('are no bzip2 data')
  const block = { links: room(level * 100_000), size: 0 }
  let sum = 0
  for (;;) {
    const [high, low] = [reader.bits(24), reader.bits(24)]
    const found = (reader.bits(16) << 16) | reader.bits(16)
    if (high === endMagic[0] && low === endMagic[1]) {
      if (found !== sum) throw bad('do not fit their check sum')
      return
    }
    if (high !== blockMagic[0] || low !== blockMagic[1]) throw bad('have a block without its magic')
    if (reader.bits(1) === 1) throw bad('have a randomised block, which is obsolete')
    yield* decodeBlock(reader, block, found)
    sum = combineCrc(sum, found)
  }
}

/** What the Huffman codes stand for: bytes in the low eight bits, later with links to their successors above them. */
type Block = { readonly links: Uint32Array; size: number }

function* decodeBlock(reader: BitReader, block: Block, crc: number): Generator<Uint8Array> {
  const start = reader.bits(24)
  const alphabet = readAlphabet(reader)
  const { selectors, tables } = readTables(reader, alphabet.length + 2)
  decodeSymbols(reader, block, alphabet, selectors, tables)
  if (start >= block.size) throw bad('have a block that starts nowhere')
  linkSuccessors(block)
  let sum = firstCrc
  for (const piece of expandRuns(block, start)) {
    sum = nextCrc(sum, piece)
    yield piece
  }
  if (~sum !== crc) throw bad('do not fit the check sum of a block')
}

/** The bytes that occur, from two levels of bit maps. */
function readAlphabet(reader: BitReader): Uint8Array {
  const rows = reader.bits(16)
  const alphabet: number[] = []
  for (let row = 0; row < 16; row++) {
    if ((rows & (0x8000 >> row)) === 0) continue
    const columns = reader.bits(16)
    for (let column = 0; column < 16; column++) if ((columns & (0x8000 >> column)) !== 0) alphabet.push(16 * row + column)
  }
  if (alphabet.length === 0) throw bad('have a block without bytes')
  return Uint8Array.from(alphabet)
}

function readTables(reader: BitReader, symbols: number): { readonly selectors: Uint8Array; readonly tables: readonly HuffmanTable[] } {
  const count = reader.bits(3)
  if (count < 2 || count > maxTables) throw bad('have a block with an impossible number of tables')
  const selectors = new Uint8Array(reader.bits(15))
  if (selectors.length === 0) throw bad('have a block without selectors')
  const recent = [0, 1, 2, 3, 4, 5]
  for (let i = 0; i < selectors.length; i++) {
    let rank = 0
    while (reader.bits(1) === 1) if (++rank >= count) throw bad('select a table that is not there')
    const [table] = recent.splice(rank, 1) as [number]
    recent.unshift(table)
    selectors[i] = table
  }
  return { selectors, tables: Array.from({ length: count }, () => huffmanTable(readLengths(reader, symbols))) }
}

function readLengths(reader: BitReader, symbols: number): Uint8Array {
  const lengths = new Uint8Array(symbols)
  let length = reader.bits(5)
  for (let i = 0; i < symbols; i++) {
    for (;;) {
      if (length < 1 || length > maxCodeLength) throw bad('have a code of an impossible length')
      if (reader.bits(1) === 0) break
      length += reader.bits(1) === 0 ? 1 : -1
    }
    lengths[i] = length
  }
  return lengths
}

/** Canonical codes: per length the code that is one too large, left-aligned to 20 bits, and where its symbols are. */
type HuffmanTable = { readonly limits: Int32Array; readonly offsets: Int32Array; readonly symbols: Uint16Array; readonly least: number }

function huffmanTable(lengths: Uint8Array): HuffmanTable {
  const limits = new Int32Array(maxCodeLength + 2).fill(1 << maxCodeLength)
  const offsets = new Int32Array(maxCodeLength + 1)
  const symbols: number[] = []
  let code = 0
  for (let length = 1; length <= maxCodeLength; length++) {
    code <<= 1
    offsets[length] = symbols.length - code
    for (const [symbol, its] of lengths.entries()) {
      if (its !== length) continue
      symbols.push(symbol)
      code++
    }
    // Codes that are longer than the space of their length are nobody's: symbolOf refuses them.
    limits[length] = Math.min(code * 2 ** (maxCodeLength - length), 1 << maxCodeLength)
  }
  return { limits, offsets, symbols: Uint16Array.from(symbols), least: Math.min(...lengths) }
}

function symbolOf(reader: BitReader, { limits, offsets, symbols, least }: HuffmanTable): number {
  const ahead = reader.peek(maxCodeLength)
  let length = least
  while (length <= maxCodeLength && ahead >= (limits[length] as number)) length++
  if (length > maxCodeLength) throw bad('have a code that stands for nothing')
  const symbol = symbols[(ahead >>> (maxCodeLength - length)) + (offsets[length] as number)]
  if (symbol === undefined) throw bad('have a code that stands for nothing')
  reader.skip(length)
  return symbol
}

/** Huffman codes to move-to-front ranks and runs of the front byte, and those to bytes. */
function decodeSymbols(
  reader: BitReader,
  block: Block,
  alphabet: Uint8Array,
  selectors: Uint8Array,
  tables: readonly HuffmanTable[],
): void {
  const { links } = block
  const recent = alphabet.slice()
  const end = alphabet.length + 1
  let size = 0
  let run = 0
  let unit = 1
  const flushRun = (): void => {
    if (run > links.length - size) throw bad('have a block that is too long')
    links.fill(recent[0] as number, size, size + run)
    size += run
    run = 0
    unit = 1
  }
  for (const selector of selectors) {
    const table = tables[selector] as HuffmanTable
    for (let i = 0; i < groupSize; i++) {
      const symbol = symbolOf(reader, table)
      if (symbol <= runB) {
        // A number in base 2 with the digits 1 and 2; longer ones than any block stop here.
        run += (symbol + 1) * unit
        unit *= 2
        if (run > links.length) throw bad('have a block that is too long')
        continue
      }
      flushRun()
      if (symbol === end) {
        block.size = size
        return
      }
      if (size === links.length) throw bad('have a block that is too long')
      const byte = recent[symbol - 1] as number
      recent.copyWithin(1, 0, symbol - 1)
      recent[0] = byte
      links[size++] = byte
    }
  }
  throw bad('have a block that does not end')
}

/** Inverse of the Burrows-Wheeler transform: above each byte, the place of the one that follows the byte it sorts to. */
function linkSuccessors({ links, size }: Block): void {
  const places = new Uint32Array(257)
  for (let i = 0; i < size; i++) {
    const next = ((links[i] as number) & 0xff) + 1
    places[next] = (places[next] as number) + 1
  }
  for (let byte = 1; byte < 256; byte++) places[byte] = (places[byte] as number) + (places[byte - 1] as number)
  for (let i = 0; i < size; i++) {
    const byte = (links[i] as number) & 0xff
    const place = places[byte] as number
    places[byte] = place + 1
    links[place] = (links[place] as number) | (i << 8)
  }
}

/** The first run-length coding: four equal bytes are followed by how many more there are. */
function* expandRuns({ links, size }: Block, start: number): Generator<Uint8Array> {
  let piece = new Uint8Array(pieceSize)
  let filled = 0
  let place = (links[start] as number) >>> 8
  let previous = -1
  let equal = 0
  for (let i = 0; i < size; i++) {
    const link = links[place] as number
    place = link >>> 8
    const byte = link & 0xff
    if (filled + 255 > pieceSize) {
      yield piece.subarray(0, filled)
      piece = new Uint8Array(pieceSize)
      filled = 0
    }
    if (equal === 4) {
      piece.fill(previous, filled, filled + byte)
      filled += byte
      equal = 0
      previous = -1
      continue
    }
    equal = byte === previous ? equal + 1 : 1
    previous = byte
    piece[filled++] = byte
  }
  if (filled > 0) yield piece.subarray(0, filled)
}

function bad(what: string): BinderyError {
  return new BinderyError('bad-format', `the bzip2 data ${what}`)
}
