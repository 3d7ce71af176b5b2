import { learn, newModels } from './range-coder.ts'
import type { BinaryCoder, Models } from './range-coder.ts'

/**
 * Mixes what several models say of a bit, by weights that learn which of them to believe (M. Mahoney, "Adaptive Weighing of
 * Context Models for Lossless Data Compression", 2005: logistic mixing). All in whole numbers, so that every machine mixes
 * alike.
 */
export type Mixer = {
  /** Of each of the inputs where its models begin in the table: what a slot is counted from. */
  readonly starts: readonly number[]
  /** All that changes as it codes. */
  readonly learned: readonly [table: Models, weights: Int32Array]
  /** `slots[i]`: the model that speaks for input i. `select` chooses the set of weights. */
  code(coder: BinaryCoder, slots: Int32Array, select: number, bit: number): number
}

/** 4096 / (1 + e^(-x/256)) for x from -2048 to 2048 in steps of 128. */
const squashSteps = [
  1, 2, 3, 6, 10, 16, 27, 45, 73, 120, 194, 310, 488, 747, 1101, 1546, 2047, 2549, 2994, 3348, 3607, 3785, 3901, 3975, 4022, 4050, 4068,
  4079, 4085, 4089, 4092, 4093, 4094,
]
const squashes = Int16Array.from({ length: 4096 }, (_, i) => squash(i - 2048))
const stretches = stretchTable()

function squash(x: number): number {
  const low = (x + 2048) >> 7
  const part = (x + 2048) & 127
  return ((squashSteps[low] as number) * (128 - part) + (squashSteps[low + 1] as number) * part + 64) >> 7
}

/** The inverse: for a chance of twelve bits the lowest x that is squashed to it or more. */
function stretchTable(): Int16Array {
  const table = new Int16Array(4096)
  let x = -2047
  for (let chance = 0; chance < 4096; chance++) {
    while (x < 2047 && squash(x) < chance) x++
    table[chance] = x
  }
  return table
}

/** How fast weights learn, and how much all inputs together are believed at first. */
const rate = 14
const firstTrust = 1.8

/** `sizes`: how many models each input has; they lie in one table, which is what makes looking at them fast. */
export function newMixer(sizes: readonly number[], sets: number): Mixer {
  const count = sizes.length
  const starts = sizes.map((_, i) => sizes.slice(0, i).reduce((sum, size) => sum + size, 0))
  const table = newModels(sizes.reduce((sum, size) => sum + size, 0))
  const weights = new Int32Array(count * sets).fill(Math.floor((65536 * firstTrust) / count))
  const inputs = new Int32Array(count)
  return {
    starts,
    learned: [table, weights],
    code: (coder, slots, select, bit) => {
      const first = select * count
      let sum = 0
      for (let i = 0; i < count; i++) {
        const input = stretches[(table[slots[i] as number] as number) >>> 20] as number
        inputs[i] = input
        sum += Math.imul(input, weights[first + i] as number) >> 8
      }
      const mixed = sum >> 8
      const chance = squashes[(mixed > 2047 ? 2047 : mixed < -2047 ? -2047 : mixed) + 2048] as number
      const coded = coder.bitOf(chance << 4, bit)
      const error = ((coded << 12) - chance) * rate
      for (let i = 0; i < count; i++) {
        weights[first + i] = (weights[first + i] as number) + ((Math.imul(inputs[i] as number, error) + 0x8000) >> 16)
        learn(table, slots[i] as number, coded)
      }
      return coded
    },
  }
}
