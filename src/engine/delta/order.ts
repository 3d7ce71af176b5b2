/**
 * Which items, in their order, have ascending places and together the most weight: the heaviest increasing subsequence,
 * with a Fenwick tree of best sums (P. Fenwick, "A new data structure for cumulative frequency tables", 1994).
 */
export function heaviestAscending(
  items: readonly { readonly place: number; readonly weight: number }[],
  places: number,
): ReadonlySet<number> {
  const bestAt: (number | undefined)[] = []
  const sums: number[] = []
  const before: (number | undefined)[] = []
  const better = (a: number | undefined, b: number | undefined): number | undefined =>
    a === undefined || (b !== undefined && (sums[b] as number) > (sums[a] as number)) ? b : a
  let best: number | undefined
  for (const [i, { place, weight }] of items.entries()) {
    let previous: number | undefined
    for (let at = place; at > 0; at -= at & -at) previous = better(previous, bestAt[at])
    before[i] = previous
    sums[i] = weight + (previous === undefined ? 0 : (sums[previous] as number))
    for (let at = place + 1; at <= places; at += at & -at) bestAt[at] = better(bestAt[at], i)
    best = better(best, i)
  }
  const chosen = new Set<number>()
  for (let i = best; i !== undefined; i = before[i]) chosen.add(i)
  return chosen
}
