/** A compressor and its setting: what it takes to choose the tokens and the blocks that it would choose. */
export type Rules = {
  readonly number: number
  /** GNU gzip looks behind the end of its input, closes blocks early and keeps tables of another size. */
  readonly gnu: boolean
  /** Levels 1 to 3: takes each match as it comes. */
  readonly fast: boolean
  /** From this length of the match before on, chains are searched to a quarter only. */
  readonly good: number
  /** A match of this length is not improved on; in fast ones, a longer match is not put into the chains. */
  readonly lazy: number
  /** A match of this length ends the search. */
  readonly nice: number
  /** How many candidates are looked at. */
  readonly chain: number
  readonly hashBits: number
  /** Tokens of the largest block. */
  readonly blockTokens: number
  /** Closes a block early where it compresses well. */
  readonly earlyBlocks: boolean
}

/** The table is the same in gzip (deflate.c, 1993) and zlib. */
const levels = [
  { good: 4, lazy: 4, nice: 8, chain: 4 },
  { good: 4, lazy: 5, nice: 16, chain: 8 },
  { good: 4, lazy: 6, nice: 32, chain: 32 },
  { good: 4, lazy: 4, nice: 16, chain: 16 },
  { good: 8, lazy: 16, nice: 32, chain: 32 },
  { good: 8, lazy: 16, nice: 128, chain: 128 },
  { good: 8, lazy: 32, nice: 128, chain: 256 },
  { good: 32, lazy: 128, nice: 258, chain: 1024 },
  { good: 32, lazy: 258, nice: 258, chain: 4096 },
] as const

const families = [
  { gnu: true, hashBits: 15, blockTokens: 32767 },
  { gnu: false, hashBits: 15, blockTokens: 16383 },
  { gnu: false, hashBits: 16, blockTokens: 32767 },
] as const

export const familyCount = families.length

/** Of a block that ends by the rules. */
export const mostTokens: number = Math.max(...families.map(({ blockTokens }) => blockTokens))

/** Number: 16 × family + level. Families are GNU gzip, zlib with memLevel 8, zlib with memLevel 9; levels 1 to 9. */
export function rulesOf(number: number): Rules | undefined {
  const family = families[number >> 4]
  const level = levels[(number & 15) - 1]
  if (family === undefined || level === undefined) return undefined
  const fast = (number & 15) <= 3
  return { number, ...family, ...level, fast, earlyBlocks: family.gnu && (number & 15) > 2 }
}
