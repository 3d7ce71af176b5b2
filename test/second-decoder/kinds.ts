import { mod } from './bytes.ts'

/** What words mean: addresses from `base`, or from one of `bases`. */
export type Meaning = { readonly base: number; readonly bases: readonly number[] }
/** `high`: the upper half of a pointer. `table`: the address at which a jump table begins. */
export type Word = { readonly low: number; readonly high: number }

const pc = [0, 4, 4, 5, 6, 8, 0]
const units = [1, 1, 1, 1, 1, 4, 1, 1, 24, 1, 1, 8]
const lowBits = (kind: number): boolean => kind >= 13 && kind <= 17

/** Lowest bit of the field, and how many there are. */
function bitsOf(kind: number): readonly [number, number] {
  if (lowBits(kind)) return [10, 12]
  return ({ 11: [0, 26], 18: [5, 19], 19: [5, 14] } as const)[kind] ?? [0, 32]
}

export function fieldOf(kind: number, word: number): number {
  if (kind === 12) return (((word << 8) >> 13) << 2) | ((word >>> 29) & 3)
  const [low, count] = bitsOf(kind)
  return lowBits(kind) ? (word >>> 10) & 0xfff : (word << (32 - low - count)) >> (32 - count)
}

export function withField(kind: number, word: number, field: number): number {
  const [low, count] = bitsOf(kind)
  const mask = kind === 12 ? 0x60ff_ffe0 : (2 ** count - 1) << low
  const spread = kind === 12 ? ((field & 3) << 29) | (((field >> 2) << 5) & 0xff_ffe0) : field << low
  return (word & ~mask) | (spread & mask)
}

const rest = (address: number, base: number): number => mod(address + base, 4096)

export function targetOf(kind: number, { low, high }: Word, here: number, table: number, { base, bases }: Meaning): number {
  if (kind <= 6) return here + (pc[kind] as number) + low
  if (kind === 7) return high * 2 ** 32 + (low >>> 0) - base
  if (kind === 8) return low - base
  if (kind === 9) return here - low
  if (kind === 10) return table + low
  if (kind === 12) return here - rest(here, base) + 4096 * fieldOf(kind, low)
  if (lowBits(kind)) return fieldOf(kind, low) << (kind - 13)
  if (kind < 20) return here + 4 * fieldOf(kind, low)
  return (bases[kind - 20] as number) + (units[kind - 20] as number) * (kind === 20 ? low : low >>> 0)
}

/** The word that means `goal`, with the fixed bits of `old`. */
export function wordFor(kind: number, goal: number, here: number, table: number, { base, bases }: Meaning, old: number): Word {
  const field = (): number => {
    if (kind <= 6) return goal - here - (pc[kind] as number)
    if (kind <= 8) return goal + base
    if (kind === 9) return here - goal
    if (kind === 10) return goal - table
    if (kind === 12) return (goal - rest(goal, base) - here + rest(here, base)) / 4096
    if (lowBits(kind)) return rest(goal, base) >> (kind - 13)
    if (kind < 20) return (goal - here) >> 2
    return Math.floor((goal - (bases[kind - 20] as number)) / (units[kind - 20] as number))
  }
  return { low: withField(kind, old, field()), high: kind === 7 ? Math.floor((goal + base) / 2 ** 32) : 0 }
}
