import { need } from './bytes.ts'
import type { Fields } from './bytes.ts'

/** `distance` 0: a literal, of length 1. */
export type Token = { readonly at: number; readonly length: number; readonly distance: number }

/** Bits from the lowest on. */
export class BitWriter {
  readonly #bytes: number[] = []
  #bits = 0
  #count = 0

  write(value: number, count: number): void {
    for (let i = 0; i < count; i++) {
      this.#bits |= ((value >>> i) & 1) << this.#count++
      if (this.#count === 8) this.align()
    }
  }

  align(): void {
    if (this.#count > 0) this.#bytes.push(this.#bits)
    this.#bits = this.#count = 0
  }

  get size(): number {
    return this.#bytes.length
  }

  append(bytes: Uint8Array): void {
    this.align()
    for (const byte of bytes) this.#bytes.push(byte)
  }

  take(): Uint8Array {
    this.align()
    return Uint8Array.from(this.#bytes)
  }
}

type Slot = { readonly code: number; readonly extraBits: number; readonly extra: number }

/** Number of a length or distance among the codes of RFC 1951, 3.2.5, which have `per` bits below the highest one. */
function slotOf(value: number, per: number): Slot {
  const extraBits = Math.max(0, 31 - Math.clz32(value) - per)
  return { code: (extraBits << per) + (value >> extraBits), extraBits, extra: value & ((1 << extraBits) - 1) }
}

export const distanceSlot = (distance: number): Slot => slotOf(distance - 1, 1)
export function lengthSlot(length: number): Slot {
  const slot = slotOf(length - 3, 2)
  return length === 258 ? { code: 285, extraBits: 0, extra: 0 } : { ...slot, code: 257 + slot.code }
}

/** Lengths of the codes of literals and lengths, and of distances; and the bits that tell them. */
export type Trees = {
  readonly literals: readonly number[]
  readonly distances: readonly number[]
  readonly head: readonly (readonly [number, number])[]
}

export const fixedTrees: Trees = {
  literals: Array.from({ length: 288 }, (_, i) => (i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8)),
  distances: new Array<number>(30).fill(5),
  head: [],
}

export function treesFor(tokens: readonly Token[], content: Uint8Array): Trees {
  const weights = { literals: new Array<number>(286).fill(0), distances: new Array<number>(30).fill(0) }
  const count = (list: number[], symbol: number): number => (list[symbol] = (list[symbol] as number) + 1)
  count(weights.literals, 256)
  for (const { at, length, distance } of tokens) {
    count(weights.literals, distance === 0 ? (content[at] as number) : lengthSlot(length).code)
    if (distance > 0) count(weights.distances, distanceSlot(distance).code)
  }
  const literals = codeLengths(weights.literals, 15)
  const distances = codeLengths(weights.distances, 15)
  return { literals, distances, head: headOf(literals, distances) }
}

type Node = { readonly symbol: number; readonly weight: number; readonly depth: number; parent?: Node; length: number }

function codeLengths(weights: readonly number[], limit: number): readonly number[] {
  const lengths = new Array<number>(weights.length).fill(0)
  const leaf = (symbol: number, weight: number): Node => ({ symbol, weight, depth: 0, length: 0 })
  const heap = weights.flatMap((weight, symbol) => (weight > 0 ? [leaf(symbol, weight)] : []))
  for (let highest = heap.at(-1)?.symbol ?? -1; heap.length < 2;) heap.push(leaf(highest < 2 ? ++highest : 0, 1))
  const taken = takeAll(heap)
  const counts = new Array<number>(limit + 1).fill(0)
  let cut = 0
  for (const node of taken.toReversed()) {
    const length = node.parent ? node.parent.length + 1 : 0
    if (length > limit) cut++
    node.length = Math.min(limit, length)
    if (node.symbol >= 0) counts[node.length] = (counts[node.length] as number) + 1
  }
  const leaves = taken.filter(({ symbol }) => symbol >= 0)
  if (cut === 0) for (const { symbol, length } of leaves) lengths[symbol] = length
  else giveOut(lengths, leaves, counts, cut)
  return lengths
}

/** In the order in which they are taken from the heap, the root last. */
function takeAll(heap: Node[]): readonly Node[] {
  const isBefore = (a: Node, b: Node): boolean => a.weight < b.weight || (a.weight === b.weight && a.depth <= b.depth)
  const siftDown = (start: number): void => {
    const node = heap[start] as Node
    let at = start
    for (let child = 2 * at + 1; child < heap.length; child = 2 * at + 1) {
      if (child + 1 < heap.length && isBefore(heap[child + 1] as Node, heap[child] as Node)) child++
      if (isBefore(node, heap[child] as Node)) break
      heap[at] = heap[child] as Node
      at = child
    }
    heap[at] = node
  }
  for (let i = (heap.length >> 1) - 1; i >= 0; i--) siftDown(i)
  const taken: Node[] = []
  while (heap.length > 1) {
    const first = heap[0] as Node
    heap[0] = heap.pop() as Node
    siftDown(0)
    const [second] = heap as [Node]
    taken.push(first, second)
    const parent = { symbol: -1, weight: first.weight + second.weight, depth: Math.max(first.depth, second.depth) + 1, length: 0 }
    first.parent = second.parent = heap[0] = parent
    siftDown(0)
  }
  return [...taken, ...heap]
}

function giveOut(lengths: number[], leaves: readonly Node[], counts: number[], cut: number): void {
  const limit = counts.length - 1
  const add = (length: number, count: number): number => (counts[length] = (counts[length] as number) + count)
  for (let i = 0; i < cut; i += 2) {
    let length = limit - 1
    while (counts[length] === 0) length--
    add(length, -1)
    add(length + 1, 2)
    add(limit, -1)
  }
  let length = limit
  for (const { symbol } of leaves) {
    while (counts[length] === 0) length--
    lengths[symbol] = length
    add(length, -1)
  }
}

const headOrder = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15]
const repeatBits = [2, 3, 7]

/** What stands between BTYPE and the first code: values and their widths. */
function headOf(literals: readonly number[], distances: readonly number[]): Trees['head'] {
  const used = [literals, distances].map((lengths) => lengths.slice(0, lengths.findLastIndex((length) => length > 0) + 1)) as [
    number[],
    number[],
  ]
  const symbols = used.flatMap(runSymbols)
  const weights = new Array<number>(19).fill(0)
  for (const [symbol] of symbols) weights[symbol] = (weights[symbol] as number) + 1
  const lengths = codeLengths(weights, 7)
  const codes = canonicalCodes(lengths)
  const sent = Math.max(4, headOrder.findLastIndex((symbol) => (lengths[symbol] as number) > 0) + 1)
  return [
    [used[0].length - 257, 5],
    [used[1].length - 1, 5],
    [sent - 4, 4],
    ...headOrder.slice(0, sent).map((symbol) => [lengths[symbol] as number, 3] as const),
    ...symbols.flatMap(([symbol, extra]) => [
      [codes[symbol] as number, lengths[symbol] as number] as const,
      [extra, repeatBits[symbol - 16] ?? 0] as const,
    ]),
  ]
}

/** Symbols of the tree of code lengths, and what follows each. */
function runSymbols(lengths: readonly number[]): readonly (readonly [number, number])[] {
  const symbols: (readonly [number, number])[] = []
  for (let at = 0, before = -1; at < lengths.length;) {
    const length = lengths[at] as number
    const most = length === 0 ? 138 : length === before ? 6 : 7
    let count = 1
    while (count < most && lengths[at + count] === length) count++
    at += count
    if (length !== 0 && length !== before && count >= 4) {
      symbols.push([length, 0])
      count--
    } else if (length !== 0 && length !== before && count === 3) {
      symbols.push([length, 0], [length, 0])
      count = 1
    }
    before = length
    if (count < 3) for (; count > 0; count--) symbols.push([length, 0])
    else symbols.push(length !== 0 ? [16, count - 3] : count < 11 ? [17, count - 3] : [18, count - 11])
  }
  return symbols
}

/** RFC 1951, 3.2.2, turned round, since they are written from the highest bit on. */
function canonicalCodes(lengths: readonly number[]): readonly number[] {
  const next = new Array<number>(17).fill(0)
  for (const length of lengths) if (length > 0) next[length + 1] = (next[length + 1] as number) + 1
  for (let length = 2; length < 17; length++) next[length] = 2 * ((next[length] as number) + (next[length - 1] as number))
  return lengths.map((length) => {
    if (length === 0) return 0
    const code = next[length] as number
    next[length] = code + 1
    let turned = 0
    for (let i = 0; i < length; i++) turned |= ((code >> i) & 1) << (length - 1 - i)
    return turned
  })
}

export function sizeInBits(tokens: readonly Token[], content: Uint8Array, { literals, distances, head }: Trees): number {
  let bits = head.reduce((sum, [, width]) => sum + width, literals[256] as number)
  for (const { at, length, distance } of tokens) {
    const slot = distance === 0 ? { code: content[at] as number, extraBits: 0 } : lengthSlot(length)
    bits += (literals[slot.code] as number) + slot.extraBits
    if (distance > 0) bits += (distances[distanceSlot(distance).code] as number) + distanceSlot(distance).extraBits
  }
  return bits
}

export function writeTokens(out: BitWriter, tokens: readonly Token[], content: Uint8Array, { literals, distances, head }: Trees): void {
  for (const [value, width] of head) out.write(value, width)
  const codes = { literals: canonicalCodes(literals), distances: canonicalCodes(distances) }
  const write = (codes: readonly number[], lengths: readonly number[], symbol: number): void => {
    need((lengths[symbol] ?? 0) > 0, 'a code without a length')
    out.write(codes[symbol] as number, lengths[symbol] as number)
  }
  for (const { at, length, distance } of tokens) {
    const slot = distance === 0 ? { code: content[at] as number, extra: 0, extraBits: 0 } : lengthSlot(length)
    write(codes.literals, literals, slot.code)
    out.write(slot.extra, slot.extraBits)
    if (distance === 0) continue
    write(codes.distances, distances, distanceSlot(distance).code)
    out.write(distanceSlot(distance).extra, distanceSlot(distance).extraBits)
  }
  write(codes.literals, literals, 256)
}

/** Of a head that a recipe gives. */
export function readHead(bytes: Uint8Array): Trees {
  let at = 0
  const head: [number, number][] = []
  const bits = (count: number): number => {
    let value = 0
    for (let i = 0; i < count; i++, at++) value |= (((bytes[at >> 3] ?? 0) >> (at & 7)) & 1) << i
    head.push([value, count])
    return value
  }
  const [literalCount, distanceCount, sent] = [bits(5) + 257, bits(5) + 1, bits(4) + 4]
  const ofLengths = new Array<number>(19).fill(0)
  for (const symbol of headOrder.slice(0, sent)) ofLengths[symbol] = bits(3)
  const codes = canonicalCodes(ofLengths)
  const symbol = (): number => {
    let code = 0
    for (let length = 1; length <= 7; length++) {
      code |= bits(1) << (length - 1)
      const found = codes.findIndex((one, i) => ofLengths[i] === length && one === code)
      if (found >= 0) return found
    }
    need(false, 'no code of code lengths')
  }
  const lengths: number[] = []
  while (lengths.length < literalCount + distanceCount) {
    const one = symbol()
    const count = one < 16 ? 1 : bits(repeatBits[one - 16] as number) + (one === 18 ? 11 : 3)
    need(one !== 16 || lengths.length > 0, 'a repetition of nothing')
    for (let i = 0, value = one < 16 ? one : one === 16 ? (lengths.at(-1) as number) : 0; i < count; i++) lengths.push(value)
  }
  const spare = 8 * bytes.length - at
  need(lengths.length === literalCount + distanceCount && spare >= 0 && spare < 8 && bits(spare) === 0, 'a head that does not fit')
  head.pop()
  return { literals: lengths.slice(0, literalCount), distances: lengths.slice(literalCount), head }
}

/** Fields of a gzip member's header that FLG says are there, as they stand. */
export function optionalHeader(flags: number, fields: Fields): Uint8Array {
  const parts: Uint8Array[] = []
  if ((flags & 4) !== 0) {
    const size = fields.take(2)
    parts.push(size, fields.take((size[0] as number) + 256 * (size[1] as number)))
  }
  for (const flag of [8, 16]) {
    if ((flags & flag) === 0) continue
    const text: number[] = []
    do text.push(fields.byte())
    while (text.at(-1) !== 0)
    parts.push(Uint8Array.from(text))
  }
  if ((flags & 2) !== 0) parts.push(fields.take(2))
  return Buffer.concat(parts)
}
