/**
 * Code lengths of at most `longest` bits for every symbol, those that do not occur too: D. Huffman, 1952. Of equal weights the
 * lower node goes first, as in bzip2, and of those the one that its heap has on top.
 */
export function huffmanLengths(counts: Uint32Array, longest: number): Uint8Array {
  // A symbol without a count needs a code; flattened counts make shorter codes.
  for (
    let weights = Float64Array.from(counts, (count) => Math.max(1, count));
    ;
    weights = weights.map((weight) => Math.floor(weight / 2) + 1)
  ) {
    const lengths = treeDepths(weights)
    if (lengths.every((length) => length <= longest)) return lengths
  }
}

/** Of a node: its weight, and in the lowest bits its height. */
const heights = 256

function treeDepths(counts: Float64Array): Uint8Array {
  const n = counts.length
  const weights = new Float64Array(2 * n)
  for (const [i, count] of counts.entries()) weights[i] = count * heights
  const parents = new Int32Array(2 * n)
  const heap = nodeHeap(weights)
  for (let i = 0; i < n; i++) heap.add(i)
  for (let node = n; node < 2 * n - 1; node++) {
    const [a, b] = [heap.take(), heap.take()]
    const [heightA, heightB] = [(weights[a] as number) % heights, (weights[b] as number) % heights]
    weights[node] = (weights[a] as number) - heightA + (weights[b] as number) - heightB + 1 + Math.max(heightA, heightB)
    parents[a] = node
    parents[b] = node
    heap.add(node)
  }
  const depths = new Uint8Array(2 * n)
  for (let node = 2 * n - 3; node >= 0; node--) depths[node] = (depths[parents[node] as number] as number) + 1
  return depths.subarray(0, n)
}

/** Which of equal ones comes first is part of what bzip2 makes. */
function nodeHeap(weights: Float64Array): { add(node: number): void; take(): number } {
  const nodes = new Int32Array(weights.length + 1)
  let size = 0
  const weightAt = (place: number): number => weights[nodes[place] as number] as number
  return {
    add: (node) => {
      let place = ++size
      for (; place > 1 && (weights[node] as number) < weightAt(place >> 1); place >>= 1) nodes[place] = nodes[place >> 1] as number
      nodes[place] = node
    },
    take: () => {
      const first = nodes[1] as number
      const node = nodes[size--] as number
      let place = 1
      for (let child = 2; child <= size; child = 2 * place) {
        if (child < size && weightAt(child + 1) < weightAt(child)) child++
        if ((weights[node] as number) < weightAt(child)) break
        nodes[place] = nodes[child] as number
        place = child
      }
      nodes[place] = node
      return first
    },
  }
}

/** Canonical: shorter codes first, then by symbol. */
export function huffmanCodes(lengths: Uint8Array): Uint32Array {
  const codes = new Uint32Array(lengths.length)
  let code = 0
  for (let length = 1; length <= Math.max(...lengths); length++) {
    code <<= 1
    for (const [symbol, its] of lengths.entries()) if (its === length) codes[symbol] = code++
  }
  return codes
}
