import { lengthCodes, literalCodes } from './symbols.ts'

/**
 * Code lengths as zlib and gzip choose them: D. Huffman's algorithm (1952) on a binary heap. Many sets of lengths are equally
 * good; theirs comes from how ties are broken (weight, then depth of the subtree, then the place in the heap) and from how codes
 * that are too long are shortened. doc/spec/gzip-recipe.md has it in words.
 */

const mostNodes = 2 * literalCodes
const heap = new Int32Array(mostNodes + 2)
const weight = new Int32Array(mostNodes)
const depth = new Int32Array(mostNodes)
const parent = new Int32Array(mostNodes)
const nodeLength = new Uint8Array(mostNodes)
/** Nodes in the order in which they left the heap. */
const taken = new Int32Array(mostNodes)
let heapSize = 0

/** Lengths of at most `longest` bits for the symbols with a count, cut off behind the last one that has a code. */
export function codeLengths(counts: Uint32Array, longest: number): Uint8Array {
  heapSize = 0
  let symbols = 0
  for (let symbol = 0; symbol < counts.length; symbol++) {
    weight[symbol] = counts[symbol] as number
    if (weight[symbol] === 0) continue
    putLeaf(symbol)
    symbols = symbol + 1
  }
  // A decoder wants a code of two symbols at least: the lowest ones that are free.
  while (heapSize < 2) {
    const symbol = symbols < 3 ? symbols++ : 0
    weight[symbol] = 1
    putLeaf(symbol)
  }
  const nodes = joinAll(counts.length)
  return lengthsOf(nodes, counts.length, symbols, longest)
}

function putLeaf(symbol: number): void {
  heap[++heapSize] = symbol
  depth[symbol] = 0
}

/** Joins the two lightest nodes until one is left; answers how many nodes there were. */
function joinAll(firstInner: number): number {
  let inner = firstInner
  let count = 0
  for (let place = heapSize >> 1; place >= 1; place--) siftDown(place)
  while (heapSize >= 2) {
    const a = heap[1] as number
    heap[1] = heap[heapSize--] as number
    siftDown(1)
    const b = heap[1]
    taken[count++] = a
    taken[count++] = b
    weight[inner] = (weight[a] as number) + (weight[b] as number)
    depth[inner] = Math.max(depth[a] as number, depth[b] as number) + 1
    parent[a] = inner
    parent[b] = inner
    // The new node takes the place of the second one.
    heap[1] = inner++
    siftDown(1)
  }
  taken[count++] = heap[1] as number
  return count
}

function siftDown(from: number): void {
  const node = heap[from] as number
  let place = from
  for (let child = 2 * place; child <= heapSize; child = 2 * place) {
    if (child < heapSize && goesFirst(heap[child + 1] as number, heap[child] as number)) child++
    if (goesFirst(node, heap[child] as number)) break
    heap[place] = heap[child] as number
    place = child
  }
  heap[place] = node
}

function goesFirst(a: number, b: number): boolean {
  const difference = (weight[a] as number) - (weight[b] as number)
  return difference < 0 || (difference === 0 && (depth[a] as number) <= (depth[b] as number))
}

/** From the root down; what would be longer than `longest` is cut to it, and counted, inner nodes too. */
function lengthsOf(nodes: number, firstInner: number, symbols: number, longest: number): Uint8Array {
  const lengths = new Uint8Array(symbols)
  const perLength = new Int32Array(longest + 1)
  let tooLong = 0
  nodeLength[taken[nodes - 1] as number] = 0
  for (let i = nodes - 2; i >= 0; i--) {
    const node = taken[i] as number
    const wanted = (nodeLength[parent[node] as number] as number) + 1
    if (wanted > longest) tooLong++
    nodeLength[node] = Math.min(wanted, longest)
    if (node >= firstInner) continue
    lengths[node] = nodeLength[node]
    ;(perLength[lengths[node]] as number)++
  }
  if (tooLong > 0) shorten(lengths, perLength, tooLong, firstInner, longest)
  return lengths
}

/** Makes room for what was cut by moving shorter codes down, then deals the lengths out again, the lightest symbols first. */
function shorten(lengths: Uint8Array, perLength: Int32Array, tooLong: number, firstInner: number, longest: number): void {
  for (let rest = tooLong; rest > 0; rest -= 2) {
    let bits = longest - 1
    while (perLength[bits] === 0) bits--
    perLength[bits] = (perLength[bits] as number) - 1
    perLength[bits + 1] = (perLength[bits + 1] as number) + 2
    perLength[longest] = (perLength[longest] as number) - 1
  }
  let next = 0
  for (let bits = longest; bits >= 1; bits--) {
    for (let left = perLength[bits] as number; left > 0; next++) {
      const node = taken[next] as number
      if (node >= firstInner) continue
      lengths[node] = bits
      left--
    }
  }
}

/** Calls `put` for every symbol of the code length alphabet, with the value of its extra bits, that zlib would send for `lengths`. */
export function eachRun(lengths: Uint8Array, put: (symbol: number, extra: number) => void): void {
  let before = -1
  for (let at = 0; at < lengths.length;) {
    const length = lengths[at] as number
    const most = length === 0 ? 138 : length === before ? 6 : 7
    let end = at + 1
    while (end < lengths.length && end - at < most && lengths[end] === length) end++
    putRun(length, end - at, before, put)
    before = length
    at = end
  }
}

function putRun(length: number, count: number, before: number, put: (symbol: number, extra: number) => void): void {
  if (length === 0 && count >= 11) put(18, count - 11)
  else if (length === 0 && count >= 3) put(17, count - 3)
  else if (length === before && count >= 3) put(16, count - 3)
  else if (length > 0 && length !== before && count >= 4) {
    put(length, 0)
    put(16, count - 4)
  } else for (let i = 0; i < count; i++) put(length, 0)
}

/** How many of the nineteen lengths are sent: at least four, none behind the last that is not zero. */
export function sentLengths(lengths: Uint8Array, order: Uint8Array): number {
  let count = lengthCodes
  while (count > 4 && (lengths[order[count - 1] as number] ?? 0) === 0) count--
  return count
}
