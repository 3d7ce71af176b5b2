import { need } from './bytes.ts'

/** The range decoder. */
export class BitSource {
  readonly #bytes: Uint8Array
  #at = 0
  #low = 0
  #high = 0xffff_ffff
  #code = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
    for (let i = 0; i < 4; i++) this.#shift()
  }

  get isUsedUp(): boolean {
    return this.#at >= this.#bytes.length
  }

  #shift(): void {
    need(this.#at < this.#bytes.length + 4, 'range-coded bits end early')
    this.#code = ((this.#code << 8) | (this.#bytes[this.#at++] ?? 0)) >>> 0
  }

  /** `chance`: of a 1, of 65536. */
  withChance(chance: number): number {
    const range = this.#high - this.#low
    const middle = this.#low + (range >>> 16) * chance + (((range & 0xffff) * chance) >>> 16)
    const bit = this.#code <= middle ? 1 : 0
    if (bit === 1) this.#high = middle
    else this.#low = middle + 1
    while ((this.#low ^ this.#high) >>> 24 === 0) {
      this.#low = (this.#low << 8) >>> 0
      this.#high = ((this.#high << 8) | 255) >>> 0
      this.#shift()
    }
    return bit
  }

  bit(models: Uint32Array, index: number): number {
    const model = models[index] as number
    const bit = this.withChance(Math.min(65504, Math.max(32, model >>> 16)))
    models[index] = learned(model, bit)
    return bit
  }

  symbol(models: Uint32Array, first: number, bits: number): number {
    let node = 1
    for (let i = 0; i < bits; i++) node = 2 * node + this.bit(models, first + node)
    return node - (1 << bits)
  }
}

function learned(model: number, bit: number): number {
  const count = model & 1023
  const step = Math.imul((bit * 0x3f_ffff - (model >>> 10)) >> 3, Math.floor(16384 / (2 * count + 3))) & ~1023
  return (model + step + (count < 16 ? 1 : 0)) >>> 0
}

export const newModels = (count: number): Uint32Array => new Uint32Array(count).fill(0x8000_0000)

export class NumberModels {
  readonly #lengths: Uint32Array
  readonly #bits: Uint32Array

  constructor(contexts: number) {
    this.#lengths = newModels(contexts * 64)
    this.#bits = newModels(contexts * 33 * 40)
  }

  number(source: BitSource, context = 0): number {
    const length = Math.min(32, source.symbol(this.#lengths, 64 * context, 6))
    if (length < 2) return length
    let value = 1
    for (let i = length - 2; i >= 0; i--) {
      const done = length - 2 - i
      const model = done < 3 ? (value % 2 ** done) + 2 ** done : 8 + i
      value = 2 * value + source.bit(this.#bits, (context * 33 + length) * 40 + model)
    }
    return value
  }

  signed(source: BitSource, context = 0): number {
    const value = this.number(source, context)
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2
  }
}

const curve = [
  1, 2, 3, 6, 10, 16, 27, 45, 73, 120, 194, 310, 488, 747, 1101, 1546, 2047, 2549, 2994, 3348, 3607, 3785, 3901, 3975, 4022, 4050, 4068,
  4079, 4085, 4089, 4092, 4093, 4094,
] as const

function squash(x: number): number {
  const [i, fraction] = [(x + 2048) >> 7, (x + 2048) & 127]
  return ((curve[i] as number) * (128 - fraction) + (curve[i + 1] as number) * fraction + 64) >> 7
}

const stretched = Int32Array.from({ length: 4096 }, (_, chance) => {
  let x = -2047
  while (x < 2047 && squash(x) < chance) x++
  return x
})

export class Mixer {
  readonly #tables: readonly Uint32Array[]
  readonly #weights: Int32Array

  constructor(...sizes: readonly number[]) {
    this.#tables = sizes.map(newModels)
    this.#weights = new Int32Array(64 * sizes.length).fill(Math.floor(117964.8 / sizes.length))
  }

  bit(source: BitSource, slots: readonly number[], set: number): number {
    const weights = this.#weights.subarray(set * slots.length, (set + 1) * slots.length)
    const inputs = slots.map((slot, i) => stretched[((this.#tables[i] as Uint32Array)[slot] as number) >>> 20] as number)
    const sum = inputs.reduce((sum, x, i) => (sum + (Math.imul(x, weights[i] as number) >> 8)) | 0, 0)
    const chance = squash(Math.max(-2047, Math.min(2047, sum >> 8)))
    const bit = source.withChance(16 * chance)
    const error = (4096 * bit - chance) * 14
    for (const [i, slot] of slots.entries()) {
      weights[i] = (weights[i] as number) + (((inputs[i] as number) * error + 32768) >> 16)
      const table = this.#tables[i] as Uint32Array
      table[slot] = learned(table[slot] as number, bit)
    }
    return bit
  }
}
