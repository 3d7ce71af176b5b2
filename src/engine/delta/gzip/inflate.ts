import {
  canonicalCodes,
  distanceBase,
  distanceExtra,
  endOfBlock,
  fixedDistanceLengths,
  fixedLiteralLengths,
  lengthBase,
  lengthExtra,
  lengthOrder,
  literal,
  longestMatch,
} from './symbols.ts'

/** Room behind the content, so that what looks for matches need not look where it ends. */
export const margin = 264

export type Block = {
  readonly kind: 'stored' | 'fixed' | 'dynamic'
  /** Tokens of the stream and bytes of the content up to its end; a stored block has no tokens. */
  readonly tokens: number
  readonly end: number
  /** Where the code lengths of a dynamic block stand, in bits. */
  readonly head: number
  readonly headEnd: number
}

/** A deflate stream (RFC 1951) taken apart. */
export type Inflated = {
  /** The content with `margin` zero bytes behind it. */
  readonly padded: Uint8Array
  readonly size: number
  readonly tokens: Int32Array
  readonly blocks: readonly Block[]
  /** The first byte behind the stream. */
  readonly next: number
}

type State = {
  readonly bytes: Uint8Array
  readonly limit: number
  at: number
  held: number
  count: number
  out: Uint8Array
  size: number
  tokens: Int32Array
  tokenCount: number
}

/**
 * Undefined where the stream is broken, too large, or written in a way that its tokens do not tell. `expected`: how many bytes it
 * will take, for a start.
 */
export function inflateTokens(bytes: Uint8Array, from: number, limit: number, expected: number = bytes.length): Inflated | undefined {
  const room = Math.min(expected, bytes.length - from) + 64
  const guess = Math.min(limit, 4 * room)
  const state: State = {
    bytes,
    limit,
    at: from,
    held: 0,
    count: 0,
    out: new Uint8Array(guess + 4 * margin),
    size: 0,
    tokens: new Int32Array(room),
    tokenCount: 0,
  }
  const blocks: Block[] = []
  for (let last = false; !last;) {
    last = take(state, 1) === 1
    const block = inflateBlock(state)
    if (block === undefined || pastEnd(state)) return undefined
    blocks.push(block)
  }
  // The bits that fill the last byte are zeros, or nobody could make them again.
  if (take(state, state.count & 7) !== 0) return undefined
  const padded = state.out.subarray(0, state.size + margin).fill(0, state.size)
  return { padded, size: state.size, tokens: state.tokens.subarray(0, state.tokenCount), blocks, next: state.at - (state.count >> 3) }
}

function inflateBlock(state: State): Block | undefined {
  const kind = take(state, 2)
  const head = position(state)
  if (kind === 0) return inflateStored(state) ? blockOf(state, 'stored', head) : undefined
  const codes = kind === 1 ? fixedCodes : kind === 2 ? dynamicCodes(state) : undefined
  const headEnd = position(state)
  if (codes === undefined || !inflateCoded(state, codes)) return undefined
  return blockOf(state, kind === 1 ? 'fixed' : 'dynamic', head, headEnd)
}

function blockOf(state: State, kind: Block['kind'], head: number, headEnd = head): Block {
  return { kind, tokens: state.tokenCount, end: state.size, head, headEnd }
}

function position(state: State): number {
  return 8 * state.at - state.count
}

/** Zeros come behind the end; whoever runs into them finds out here. */
function pastEnd(state: State): boolean {
  return position(state) > 8 * state.bytes.length
}

/** The next `count` bits, at most 16. */
function take(state: State, count: number): number {
  while (state.count < count) {
    state.held |= (state.bytes[state.at] ?? 0) << state.count
    state.at++
    state.count += 8
  }
  const value = state.held & ((1 << count) - 1)
  state.held >>>= count
  state.count -= count
  return value
}

function inflateStored(state: State): boolean {
  if (take(state, state.count & 7) !== 0) return false
  const size = take(state, 16)
  if (take(state, 16) !== (size ^ 0xffff)) return false
  state.at -= state.count >> 3
  state.held = 0
  state.count = 0
  if (size > state.bytes.length - state.at || size > state.limit - state.size) return false
  if (state.size + size + margin > state.out.length) growContent(state, size)
  state.out.set(state.bytes.subarray(state.at, state.at + size), state.size)
  state.at += size
  state.size += size
  return true
}

type Codes = { readonly literals: Decoder; readonly distances: Decoder }

/**
 * Ten bits at a time: `quick` has symbol × 16 + length where the code is no longer than that. Longer ones are found by length:
 * `first` code of each and how many there are (`counts`), with their symbols in order.
 */
type Decoder = { readonly quick: Uint16Array; readonly counts: Uint16Array; readonly symbols: Uint16Array }

const quickBits = 10

/** Undefined where there are more codes than fit. Fewer are allowed: zlib itself writes a lone distance code. */
function decoderOf(lengths: Uint8Array): Decoder | undefined {
  const counts = new Uint16Array(16)
  for (const length of lengths) (counts[length] as number)++
  counts[0] = 0
  const starts = new Uint16Array(17)
  let room = 1
  for (let bits = 1; bits <= 15; bits++) {
    room = 2 * room - (counts[bits] as number)
    if (room < 0) return undefined
    starts[bits + 1] = (starts[bits] as number) + (counts[bits] as number)
  }
  const symbols = new Uint16Array(lengths.length)
  const quick = new Uint16Array(1 << quickBits)
  const codes = canonicalCodes(lengths)
  for (let symbol = 0; symbol < lengths.length; symbol++) {
    const length = lengths[symbol] as number
    if (length === 0) continue
    symbols[(starts[length] as number)++] = symbol
    if (length <= quickBits)
      for (let code = codes[symbol] as number; code < quick.length; code += 1 << length) quick[code] = (symbol << 4) | length
  }
  return { quick, counts, symbols }
}

const fixedCodes: Codes | undefined = codesOf(fixedLiteralLengths, fixedDistanceLengths)

function codesOf(literalLengths: Uint8Array, distanceLengths: Uint8Array): Codes | undefined {
  const literals = decoderOf(literalLengths)
  const distances = decoderOf(distanceLengths)
  return literals && distances && { literals, distances }
}

/** -1 where no code fits. */
function decode(state: State, { quick, counts, symbols }: Decoder): number {
  while (state.count < 15) {
    state.held |= (state.bytes[state.at] ?? 0) << state.count
    state.at++
    state.count += 8
  }
  const entry = quick[state.held & ((1 << quickBits) - 1)] as number
  if (entry > 0) {
    state.held >>>= entry & 15
    state.count -= entry & 15
    return entry >> 4
  }
  let code = 0
  let first = 0
  let index = 0
  for (let bits = 1; bits <= 15; bits++) {
    code = (code << 1) | ((state.held >>> (bits - 1)) & 1)
    const count = counts[bits] as number
    if (code - first < count) {
      state.held >>>= bits
      state.count -= bits
      return symbols[index + code - first] as number
    }
    index += count
    first = (first + count) << 1
  }
  return -1
}

/** What the head of a dynamic block says (RFC 1951, 3.2.7). */
type Lengths = { readonly literalLengths: Uint8Array; readonly distanceLengths: Uint8Array }
export type TreeHead = Lengths & { readonly head: Uint8Array; readonly bits: number }

/** A head of its own, as a recipe has it; undefined where it is broken or does not end within its last byte. */
export function readTreeHead(bytes: Uint8Array): TreeHead | undefined {
  const state = { bytes, at: 0, held: 0, count: 0 } as State
  const lengths = headLengths(state)
  const bits = position(state)
  if (lengths === undefined || (bits + 7) >> 3 !== bytes.length || take(state, state.count & 7) !== 0) return undefined
  return { ...lengths, head: bytes, bits }
}

function dynamicCodes(state: State): Codes | undefined {
  const lengths = headLengths(state)
  return lengths && codesOf(lengths.literalLengths, lengths.distanceLengths)
}

function headLengths(state: State): Lengths | undefined {
  const literals = take(state, 5) + 257
  const distances = take(state, 5) + 1
  const sent = take(state, 4) + 4
  if (literals > 286 || distances > 30) return undefined
  const ofLengths = new Uint8Array(lengthOrder.length)
  for (const symbol of lengthOrder.subarray(0, sent)) ofLengths[symbol] = take(state, 3)
  const decoder = decoderOf(ofLengths)
  const lengths = decoder && runLengths(state, decoder, literals + distances)
  if (lengths === undefined || lengths[endOfBlock] === 0) return undefined
  return { literalLengths: lengths.subarray(0, literals), distanceLengths: lengths.subarray(literals) }
}

function runLengths(state: State, decoder: Decoder, total: number): Uint8Array | undefined {
  const lengths = new Uint8Array(total)
  for (let at = 0; at < total;) {
    const symbol = decode(state, decoder)
    if (symbol < 0) return undefined
    if (symbol < 16) {
      lengths[at++] = symbol
      continue
    }
    if (symbol === 16 && at === 0) return undefined
    const value = symbol === 16 ? (lengths[at - 1] as number) : 0
    const count = symbol === 16 ? 3 + take(state, 2) : symbol === 17 ? 3 + take(state, 3) : 11 + take(state, 7)
    if (at + count > total) return undefined
    lengths.fill(value, at, at + count)
    at += count
  }
  return lengths
}

function inflateCoded(state: State, { literals, distances }: Codes): boolean {
  for (;;) {
    const symbol = decode(state, literals)
    if (symbol === endOfBlock) return true
    const token = symbol < endOfBlock ? literal : matchOf(state, symbol - 257, distances)
    // Behind the end come zeros, and those may go on for ever.
    if (symbol < 0 || token === 0 || state.at > state.bytes.length + 4) return false
    if (state.tokenCount === state.tokens.length) growTokens(state)
    state.tokens[state.tokenCount++] = token
    if (state.size + 2 * margin > state.out.length) growContent(state, margin)
    if (token === literal) state.out[state.size++] = symbol
    else copyMatch(state, token >>> 16, token & 0xffff)
    if (state.size > state.limit) return false
  }
}

/** 0 where there is no such match, or where its length is not written in the usual way: 258 as 257 + 1. */
function matchOf(state: State, code: number, distances: Decoder): number {
  const extra = lengthExtra[code]
  if (extra === undefined) return 0
  const length = (lengthBase[code] as number) + take(state, extra)
  if (length === longestMatch && code !== 28) return 0
  const distanceCode = decode(state, distances)
  const distanceBits = distanceExtra[distanceCode]
  if (distanceBits === undefined) return 0
  const distance = (distanceBase[distanceCode] as number) + take(state, distanceBits)
  return distance > state.size ? 0 : (length << 16) | distance
}

function copyMatch(state: State, length: number, distance: number): void {
  const { out, size } = state
  if (distance >= length && length > 32) out.copyWithin(size, size - distance, size - distance + length)
  else for (let at = size; at < size + length; at++) out[at] = out[at - distance] as number
  state.size = size + length
}

function growContent(state: State, by: number): void {
  const larger = new Uint8Array(Math.min(state.limit, 2 * (state.size + by)) + 4 * margin)
  larger.set(state.out.subarray(0, state.size))
  state.out = larger
}

function growTokens(state: State): void {
  const larger = new Int32Array(2 * state.tokens.length)
  larger.set(state.tokens)
  state.tokens = larger
}
