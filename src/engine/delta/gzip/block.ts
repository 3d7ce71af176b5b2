import { BinderyError } from '../../../base/error.ts'
import { align, putBits, putBytes, reserve } from './bit-writer.ts'
import {
  canonicalCodes,
  distanceBase,
  distanceCode,
  distanceCodes,
  distanceExtra,
  endOfBlock,
  fixedDistanceLengths,
  fixedLiteralLengths,
  lengthBase,
  lengthCode,
  lengthCodes,
  lengthExtra,
  lengthOrder,
  literal,
  literalCodes,
  repeatExtra,
} from './symbols.ts'
import { codeLengths, eachRun, sentLengths } from './tree.ts'
import type { BitWriter } from './bit-writer.ts'
import type { TreeHead } from './inflate.ts'

/** Tokens of one block: `tokens[0]` to `tokens[count - 1]`, for the content from `start` to `end`. */
export type Part = {
  readonly bytes: Uint8Array
  readonly start: number
  readonly end: number
  readonly tokens: Int32Array
  readonly count: number
}

export type Trees = { readonly literalLengths: Uint8Array; readonly distanceLengths: Uint8Array }

export const fixedTrees: Trees = { literalLengths: fixedLiteralLengths, distanceLengths: fixedDistanceLengths }

export type Kind = 'stored' | 'fixed' | 'dynamic'

const kindBits = { stored: 0, fixed: 1, dynamic: 2 } as const

/** How often each code occurs. */
type Counts = { readonly literals: Uint32Array; readonly distances: Uint32Array }

const counts: Counts = { literals: new Uint32Array(literalCodes), distances: new Uint32Array(distanceCodes) }

function countCodes({ bytes, start, tokens, count }: Part): Counts {
  const { literals, distances } = counts
  literals.fill(0)
  distances.fill(0)
  literals[endOfBlock] = 1
  let at = start
  for (let i = 0; i < count; i++) {
    const token = tokens[i] as number
    if (token === literal) {
      ;(literals[bytes[at++] as number] as number)++
      continue
    }
    at += token >>> 16
    ;(literals[257 + (lengthCode[token >>> 16] as number)] as number)++
    ;(distances[distanceCode(token & 0xffff)] as number)++
  }
  return counts
}

/** The trees that gzip and zlib would build for these tokens. */
export type Choice = { readonly kind: Kind; readonly trees: Trees }

/** What gzip and zlib would write; `stillThere` says whether the block's bytes are still in the window, so that they can be stored. */
export function chooseBlock(part: Part, stillThere: boolean): Choice {
  const { literals, distances } = countCodes(part)
  const trees = { literalLengths: codeLengths(literals, 15), distanceLengths: codeLengths(distances, 15) }
  const fixed = wholeBytes(bitsOf(counts, fixedTrees))
  const dynamic = wholeBytes(bitsOf(counts, trees) + headBits(trees))
  const best = Math.min(fixed, dynamic)
  if (part.end - part.start + 4 <= best && stillThere) return { kind: 'stored', trees }
  return { kind: fixed === best ? 'fixed' : 'dynamic', trees }
}

/** With the three bits in front of a block. */
function wholeBytes(bits: number): number {
  return Math.floor((bits + 3 + 7) / 8)
}

function bitsOf({ literals, distances }: Counts, { literalLengths, distanceLengths }: Trees): number {
  let bits = 0
  for (let code = 0; code < literalCodes; code++) {
    const extra = code < 257 ? 0 : (lengthExtra[code - 257] as number)
    bits += (literals[code] as number) * ((literalLengths[code] ?? 0) + extra)
  }
  for (let code = 0; code < distanceCodes; code++) {
    bits += (distances[code] as number) * ((distanceLengths[code] ?? 0) + (distanceExtra[code] as number))
  }
  return bits
}

function headBits(trees: Trees): number {
  const runs = new Uint32Array(lengthCodes)
  const count = (symbol: number): number => (runs[symbol] as number)++
  eachRun(trees.literalLengths, count)
  eachRun(trees.distanceLengths, count)
  const lengths = codeLengths(runs, 7)
  let bits = 5 + 5 + 4 + 3 * sentLengths(lengths, lengthOrder)
  for (let symbol = 0; symbol < lengths.length; symbol++) {
    bits += (runs[symbol] as number) * ((lengths[symbol] as number) + (repeatExtra[symbol] as number))
  }
  return bits
}

/** The code lengths, as gzip and zlib write them (RFC 1951, 3.2.7). */
export function putHead(writer: BitWriter, { literalLengths, distanceLengths }: Trees): void {
  const runs = new Uint32Array(lengthCodes)
  const count = (symbol: number): number => (runs[symbol] as number)++
  eachRun(literalLengths, count)
  eachRun(distanceLengths, count)
  const lengths = codeLengths(runs, 7)
  const codes = canonicalCodes(lengths)
  const sent = sentLengths(lengths, lengthOrder)
  putBits(writer, literalLengths.length - 257, 5)
  putBits(writer, distanceLengths.length - 1, 5)
  putBits(writer, sent - 4, 4)
  for (const symbol of lengthOrder.subarray(0, sent)) putBits(writer, lengths[symbol] ?? 0, 3)
  const put = (symbol: number, extra: number): void => {
    putBits(writer, codes[symbol] as number, lengths[symbol] as number)
    putBits(writer, extra, repeatExtra[symbol] as number)
  }
  eachRun(literalLengths, put)
  eachRun(distanceLengths, put)
}

/** A whole block. `head`: the code lengths as they are to be written, where they are not written as gzip and zlib would. */
export function putBlock(writer: BitWriter, part: Part, kind: Kind, last: boolean, trees: Trees | TreeHead): void {
  putBits(writer, (last ? 1 : 0) | (kindBits[kind] << 1), 3)
  switch (kind) {
    case 'stored':
      putStored(writer, part)
      break
    case 'fixed':
      putTokens(writer, part, fixedTrees)
      break
    case 'dynamic':
      if ('head' in trees) putGivenHead(writer, part, trees)
      else putHead(writer, trees)
      putTokens(writer, part, trees)
  }
}

function putStored(writer: BitWriter, { bytes, start, end }: Part): void {
  const size = end - start
  if (size > 0xffff) throw new BinderyError('bad-format', 'a stored block is too large')
  align(writer)
  putBytes(writer, Uint8Array.of(size, size >> 8, ~size, ~size >> 8))
  putBytes(writer, bytes.subarray(start, end))
}

/** Bit for bit; every code that is used must have a length there. */
function putGivenHead(writer: BitWriter, part: Part, { head, bits, literalLengths, distanceLengths }: TreeHead): void {
  const { literals, distances } = countCodes(part)
  if (!coversAll(literals, literalLengths) || !coversAll(distances, distanceLengths))
    throw new BinderyError('bad-format', 'a code has no length')
  for (let at = 0; at < bits; at += 8) putBits(writer, head[at >> 3] as number, Math.min(8, bits - at))
}

function coversAll(used: Uint32Array, lengths: Uint8Array): boolean {
  return used.every((count, code) => count === 0 || (lengths[code] ?? 0) > 0)
}

/** The tokens and the end of the block. */
export function putTokens(writer: BitWriter, { bytes, start, tokens, count: tokenCount }: Part, trees: Trees): void {
  const { literalLengths, distanceLengths } = trees
  const literalCodesOf = canonicalCodes(literalLengths)
  const distanceCodesOf = canonicalCodes(distanceLengths)
  // 15 + 5 bits for a length and 15 + 13 for a distance at most.
  reserve(writer, Math.min(6 * tokenCount, writer.limit - writer.size))
  let { out, size, held, count } = writer
  let at = start
  for (let i = 0; i < tokenCount; i++) {
    if (size + 8 > out.length) {
      writer.size = size
      reserve(writer, 8)
      out = writer.out
    }
    const token = tokens[i] as number
    if (token === literal) {
      const byte = bytes[at++] as number
      held |= (literalCodesOf[byte] as number) << count
      count += literalLengths[byte] as number
    } else {
      const length = token >>> 16
      const code = lengthCode[length] as number
      at += length
      held |= (literalCodesOf[257 + code] as number) << count
      count += literalLengths[257 + code] as number
      if (count >= 16) {
        out[size++] = held
        out[size++] = held >>> 8
        held >>>= 16
        count -= 16
      }
      held |= (length - (lengthBase[code] as number)) << count
      count += lengthExtra[code] as number
      if (count >= 16) {
        out[size++] = held
        out[size++] = held >>> 8
        held >>>= 16
        count -= 16
      }
      const distance = token & 0xffff
      const far = distanceCode(distance)
      held |= (distanceCodesOf[far] as number) << count
      count += distanceLengths[far] as number
      if (count >= 16) {
        out[size++] = held
        out[size++] = held >>> 8
        held >>>= 16
        count -= 16
      }
      held |= (distance - (distanceBase[far] as number)) << count
      count += distanceExtra[far] as number
    }
    if (count >= 16) {
      out[size++] = held
      out[size++] = held >>> 8
      held >>>= 16
      count -= 16
    }
  }
  writer.size = size
  writer.held = held
  writer.count = count
  putBits(writer, literalCodesOf[endOfBlock] as number, literalLengths[endOfBlock] as number)
}
