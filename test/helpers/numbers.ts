/** Numbers that look random and are the same for the same seed (xorshift32). */
export type Numbers = { below(limit: number): number; of<T>(choice: readonly T[]): T }

export function numbers(seed: number): Numbers {
  let state = (seed * 2_654_435_761 + 1) >>> 0 || 1
  const below = (limit: number): number => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 1) % limit
  }
  return { below, of: (choice) => choice[below(choice.length)] as (typeof choice)[number] }
}
