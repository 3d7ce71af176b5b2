import { newModels } from './range-coder.ts'
import type { BinaryCoder, Models } from './range-coder.ts'

/**
 * Numbers of 32 bits, coded by their length in bits and then their bits from the top, of which the first have models (an
 * adaptive Elias gamma code). A context chooses one of several sets of models.
 */
export type NumberModel = { readonly lengths: Models; readonly bits: Models }

/** How many bits behind the leading one have a model for each value of those before them. */
const shapedBits = 3
const perLength = 1 << shapedBits

export function numberModel(contexts: number): NumberModel {
  return { lengths: newModels(contexts * 64), bits: newModels(contexts * 33 * (perLength + 32)) }
}

/** From 0 to 2^32 - 1. */
export function codeNumber(coder: BinaryCoder, model: NumberModel, context: number, value: number): number {
  const length = codeLength(coder, model, context, 32 - Math.clz32(value))
  if (length < 2) return length
  let made = 1
  const base = (context * 33 + length) * (perLength + 32)
  for (let i = length - 2; i >= 0; i--) {
    const done = length - 2 - i
    const at = base + (done < shapedBits ? (made & ((1 << done) - 1)) | (1 << done) : perLength + i)
    made = made * 2 + coder.bit(model.bits, at, (value >>> i) & 1)
  }
  return made
}

/** A tree of six levels; lengths past 32 cannot be coded, and read as 32. */
function codeLength(coder: BinaryCoder, { lengths }: NumberModel, context: number, length: number): number {
  let node = 1
  for (let i = 5; i >= 0; i--) node = (node << 1) | coder.bit(lengths, context * 64 + node, (length >>> i) & 1)
  return Math.min(32, node & 63)
}

/** From -2^31 to 2^31 - 1. */
export function codeSigned(coder: BinaryCoder, model: NumberModel, context: number, value: number): number {
  const coded = codeNumber(coder, model, context, ((value << 1) ^ (value >> 31)) >>> 0)
  return (coded >>> 1) ^ -(coded & 1)
}

/** One of 2^bits symbols, by a tree of models that begins at `at`. */
export function codeSymbol(coder: BinaryCoder, models: Models, at: number, bits: number, symbol: number): number {
  let node = 1
  for (let i = bits - 1; i >= 0; i--) node = (node << 1) | coder.bit(models, at + node, (symbol >>> i) & 1)
  return node - (1 << bits)
}
