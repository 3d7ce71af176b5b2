import { learn, newModels } from './range-coder.ts'
import type { BinaryCoder, Models } from './range-coder.ts'

/**
 * Mixes what several models say of a bit, by weights that learn which of them to believe (M. Mahoney, "Adaptive Weighing of
 * Context Models for Lossless Data Compression", 2005: logistic mixing). All in whole numbers, so that every machine mixes
 * alike.
 */
export type Mixer = {
  /** `slots[i]` of each of the models speaks; `select` chooses the set of weights. */
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

const rate = Number(process.env.RATE ?? 14)

export function newMixer(models: readonly Models[], sets: number): Mixer {
  const count = models.length
  const weights = new Int32Array(count * sets).fill(Math.floor((65536 * Number(process.env.W0 ?? 1.8)) / count))
  const inputs = new Int32Array(count)
  const mixed = newModels(1)
  return {
    code: (coder, slots, select, bit) => {
      const first = select * count
      let sum = 0
      for (let i = 0; i < count; i++) {
        const input = stretches[((models[i] as Models)[slots[i] as number] as number) >>> 20] as number
        inputs[i] = input
        sum += input * (weights[first + i] as number)
      }
      const x = Math.max(-2047, Math.min(2047, Math.floor(sum / 65536)))
      const chance = squashes[x + 2048] as number
      mixed[0] = (chance << 20) >>> 0
      const coded = coder.bit(mixed, 0, bit)
      const error = ((coded << 12) - chance) * rate
      for (let i = 0; i < count; i++) {
        weights[first + i] = (weights[first + i] as number) + ((Math.imul(inputs[i] as number, error) + 0x8000) >> 16)
        learn(models[i] as Models, slots[i] as number, coded)
      }
      return coded
    },
  }
}
