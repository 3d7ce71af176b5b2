/** Code lengths of at most `longest` bits for every symbol, those that do not occur too: D. Huffman, 1952. */
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

/** Two queues: leaves by weight, and the nodes made of them, which come in the order of their weights by themselves. */
function treeDepths(weights: Float64Array): Uint8Array {
  const n = weights.length
  const leaves = Array.from({ length: n }, (_, i) => i).sort((a, b) => (weights[a] as number) - (weights[b] as number) || a - b)
  const sums = new Float64Array(n)
  const parents = new Int32Array(2 * n)
  let leaf = 0
  let node = 0
  let made = 0
  const takeSmallest = (): { readonly id: number; readonly weight: number } => {
    const weight = leaf < n ? (weights[leaves[leaf] as number] as number) : Infinity
    if (node < made && (sums[node] as number) < weight) return { id: n + node, weight: sums[node++] as number }
    return { id: leaves[leaf++] as number, weight }
  }
  for (; made < n - 1; made++) {
    const [a, b] = [takeSmallest(), takeSmallest()]
    sums[made] = a.weight + b.weight
    parents[a.id] = n + made
    parents[b.id] = n + made
  }
  const depths = new Uint8Array(2 * n)
  for (let id = 2 * n - 3; id >= n; id--) depths[id] = (depths[parents[id] as number] as number) + 1
  return depths.subarray(0, n).map((_, id) => (depths[parents[id] as number] as number) + 1)
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
