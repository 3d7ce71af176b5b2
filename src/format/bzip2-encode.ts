import { concatBytes } from '../base/bytes.ts'
import { bitWriter, blockMagic, combineCrc, endMagic, firstCrc, groupSize, nextCrc, runA, runB } from './bzip2-bits.ts'
import { huffmanCodes, huffmanLengths } from './bzip2-huffman.ts'
import { suffixArray } from './suffix-array.ts'
import type { BitWriter } from './bzip2-bits.ts'

/**
 * What bzip2-1.0.8 makes, to the byte; but for a block that is one text again and again, where it has a choice of which repetition
 * comes first.
 */

const bestLevel = 9
/** bzip2 keeps 19 bytes of a block free; the last run of a block may need some of them. */
const spare = 19
/** Of a run, as it is packed. */
const longestPacked = 5
const longestCode = 17
const rounds = 4

export function bzip2(bytes: Uint8Array, level: number = bestLevel): Uint8Array {
  const out = bitWriter()
  const blockLimit = level * 100_000 - spare
  writeBytes(out, [0x42, 0x5a, 0x68, 0x30 + level])
  let sum = 0
  for (let at = 0; at < bytes.length;) {
    const { packed, used } = packRuns(bytes.subarray(at), blockLimit)
    const crc = ~nextCrc(firstCrc, bytes.subarray(at, at + used))
    writeBlock(out, packed, crc)
    sum = combineCrc(sum, crc)
    at += used
  }
  writeMagic(out, endMagic, sum)
  return out.finish()
}

/** The first run-length coding, until a block is full: behind four equal bytes, how many more there are. */
function packRuns(bytes: Uint8Array, blockLimit: number): { readonly packed: Uint8Array; readonly used: number } {
  const packed = new Uint8Array(Math.min(blockLimit, bytes.length + (bytes.length >> 2)) + longestPacked)
  let size = 0
  let used = 0
  while (used < bytes.length && size < blockLimit) {
    const byte = bytes[used] as number
    const most = Math.min(bytes.length, used + 255)
    let end = used + 1
    while (end < most && bytes[end] === byte) end++
    const length = end - used
    for (let i = 0; i < Math.min(4, length); i++) packed[size++] = byte
    if (length >= 4) packed[size++] = length - 4
    used = end
  }
  return { packed: packed.subarray(0, size), used }
}

function writeBlock(out: BitWriter, block: Uint8Array, crc: number): void {
  const { last, start } = burrowsWheeler(block)
  const alphabet = alphabetOf(block)
  const symbols = moveToFront(last, alphabet)
  writeMagic(out, blockMagic, crc)
  out.bits(1, 0)
  out.bits(24, start)
  writeAlphabet(out, alphabet)
  writeSymbols(out, symbols, alphabet.length + 2)
}

function writeMagic(out: BitWriter, [high, low]: readonly [number, number], crc: number): void {
  for (const half of [high, low]) out.bits(24, half)
  out.bits(16, crc >>> 16)
  out.bits(16, crc)
}

function writeBytes(out: BitWriter, bytes: readonly number[]): void {
  for (const byte of bytes) out.bits(8, byte)
}

/**
 * The last column of all rotations in their order, and the row of the block itself. Turned so that it begins with its
 * least rotation, a text has its suffixes in the order of its rotations.
 */
function burrowsWheeler(block: Uint8Array): { readonly last: Uint8Array; readonly start: number } {
  const n = block.length
  const turn = leastRotation(block)
  const text = concatBytes([block.subarray(turn), block.subarray(0, turn)])
  const order = suffixArray(text)
  const last = new Uint8Array(n)
  const origin = (n - turn) % n
  let start = 0
  for (let i = 0; i < n; i++) {
    const suffix = order[i] as number
    last[i] = text[suffix === 0 ? n - 1 : suffix - 1] as number
    if (suffix === origin) start = i
  }
  return { last, start }
}

/** Two candidates walk on together; the one that loses skips what it was compared by. */
function leastRotation(text: Uint8Array): number {
  const n = text.length
  let a = 0
  let b = 1
  let same = 0
  while (a < n && b < n && same < n) {
    const difference = (text[(a + same) % n] as number) - (text[(b + same) % n] as number)
    if (difference === 0) {
      same++
      continue
    }
    if (difference > 0) a += same + 1
    else b += same + 1
    if (a === b) b++
    same = 0
  }
  return Math.min(a, b)
}

function alphabetOf(block: Uint8Array): Uint8Array {
  const occurs = new Uint8Array(256)
  for (const byte of block) occurs[byte] = 1
  return Uint8Array.from({ length: 256 }, (_, byte) => byte).filter((byte) => occurs[byte] === 1)
}

function writeAlphabet(out: BitWriter, alphabet: Uint8Array): void {
  const rows = new Array<number>(16).fill(0)
  for (const byte of alphabet) rows[byte >> 4] = (rows[byte >> 4] as number) | (0x8000 >> (byte & 15))
  out.bits(
    16,
    rows.reduce((map, row, i) => map | (row === 0 ? 0 : 0x8000 >> i), 0),
  )
  for (const row of rows) if (row !== 0) out.bits(16, row)
}

/** Ranks in a list of recent bytes; runs of rank 0 as numbers in base 2 with the digits 1 and 2; an end mark. */
function moveToFront(last: Uint8Array, alphabet: Uint8Array): Uint16Array {
  const symbols = new Uint16Array(last.length + 1)
  const recent = alphabet.slice()
  let size = 0
  let run = 0
  const flushRun = (): void => {
    for (; run > 0; run = (run - 1) >> 1) symbols[size++] = (run & 1) === 1 ? runA : runB
  }
  for (const byte of last) {
    if (byte === recent[0]) {
      run++
      continue
    }
    flushRun()
    const rank = recent.indexOf(byte)
    recent.copyWithin(1, 0, rank)
    recent[0] = byte
    symbols[size++] = rank + 1
  }
  flushRun()
  symbols[size++] = alphabet.length + 1
  return symbols.subarray(0, size)
}

function writeSymbols(out: BitWriter, symbols: Uint16Array, alphabetSize: number): void {
  const { tables, selectors } = chooseTables(symbols, alphabetSize)
  out.bits(3, tables.length)
  out.bits(15, selectors.length)
  writeSelectors(out, selectors)
  for (const lengths of tables) writeLengths(out, lengths)
  const codes = tables.map(huffmanCodes)
  for (const [i, symbol] of symbols.entries()) {
    const table = selectors[Math.floor(i / groupSize)] as number
    out.bits((tables[table] as Uint8Array)[symbol] as number, (codes[table] as Uint32Array)[symbol] as number)
  }
}

function writeSelectors(out: BitWriter, selectors: Uint8Array): void {
  const recent = [0, 1, 2, 3, 4, 5]
  for (const selector of selectors) {
    const rank = recent.indexOf(selector)
    recent.splice(rank, 1)
    recent.unshift(selector)
    for (let i = 0; i < rank; i++) out.bits(1, 1)
    out.bits(1, 0)
  }
}

function writeLengths(out: BitWriter, lengths: Uint8Array): void {
  let current = lengths[0] as number
  out.bits(5, current)
  for (const length of lengths) {
    for (; current < length; current++) out.bits(2, 2)
    for (; current > length; current--) out.bits(2, 3)
    out.bits(1, 0)
  }
}

type Choice = { readonly tables: readonly Uint8Array[]; readonly selectors: Uint8Array }

/** Starts with tables for parts of the alphabet, and lets groups and tables choose each other for a few rounds. */
function chooseTables(symbols: Uint16Array, alphabetSize: number): Choice {
  let tables = firstTables(symbols, alphabetSize)
  const selectors = new Uint8Array(Math.ceil(symbols.length / groupSize))
  for (let round = 0; round < rounds; round++) {
    const counts = tables.map(() => new Uint32Array(alphabetSize))
    for (let group = 0; group < selectors.length; group++) {
      const part = symbols.subarray(group * groupSize, (group + 1) * groupSize)
      const best = cheapest(tables, part)
      selectors[group] = best
      const its = counts[best] as Uint32Array
      for (const symbol of part) its[symbol] = (its[symbol] as number) + 1
    }
    tables = counts.map((its) => huffmanLengths(its, longestCode))
  }
  return { tables, selectors }
}

/** The last of them is for the first symbols; every other one takes one symbol less than its share. */
function firstTables(symbols: Uint16Array, alphabetSize: number): readonly Uint8Array[] {
  const count = symbols.length < 200 ? 2 : symbols.length < 600 ? 3 : symbols.length < 1200 ? 4 : symbols.length < 2400 ? 5 : 6
  const frequencies = new Uint32Array(alphabetSize)
  for (const symbol of symbols) frequencies[symbol] = (frequencies[symbol] as number) + 1
  const tables: Uint8Array[] = []
  let left = symbols.length
  let from = 0
  for (let parts = count; parts > 0; parts--) {
    const share = Math.floor(left / parts)
    let sum = 0
    let to = from
    while (sum < share && to < alphabetSize) sum += frequencies[to++] as number
    if (to - 1 > from && parts !== count && parts !== 1 && (count - parts) % 2 === 1) sum -= frequencies[--to] as number
    tables.unshift(new Uint8Array(alphabetSize).fill(15).fill(0, from, to))
    left -= sum
    from = to
  }
  return tables
}

function cheapest(tables: readonly Uint8Array[], part: Uint16Array): number {
  let best = 0
  let least = Infinity
  for (const [table, lengths] of tables.entries()) {
    let cost = 0
    for (const symbol of part) cost += lengths[symbol] as number
    if (cost < least) {
      least = cost
      best = table
    }
  }
  return best
}
