import { BinderyError } from '../../../base/error.ts'
import { codeNumber, codeSigned, codeSymbol, numberModel } from './numbers.ts'
import { newModels } from './range-coder.ts'
import type { NumberModel } from './numbers.ts'
import type { BinaryCoder, Models } from './range-coder.ts'

/** Copies of an image: triples (start in new, start in old, length), ascending and disjoint in new. */
export type Copies = Int32Array

export type CopyModels = {
  readonly count: NumberModel
  readonly literals: NumberModel
  readonly lengths: NumberModel
  readonly alignments: Models
  readonly seeks: NumberModel
}

export function copyModels(): CopyModels {
  return { count: numberModel(1), literals: numberModel(8), lengths: numberModel(16), alignments: newModels(8 * 8), seeks: numberModel(16) }
}

/** So that a list takes no more memory than what it makes. */
export function mostCopies(nextSize: number): number {
  return 64 + (nextSize >> 4)
}

/** A copy is found near one of the last alignments of old and new, or anywhere. */
const remembered = 4
const near = 512

/**
 * How many copies, and for each the literals before it, from which of the last alignments it goes on and how far beside it,
 * and its length. `copies`: as a coder knows them; `bad-format` for what leaves either side.
 */
export function codeCopies(
  coder: BinaryCoder,
  models: CopyModels,
  copies: Copies | undefined,
  sizes: { readonly start: number; readonly old: number; readonly next: number },
): Copies {
  const count = codeNumber(coder, models.count, 0, copies === undefined ? 0 : copies.length / 3)
  if (count > mostCopies(sizes.next)) throw bad()
  const made = copies ?? new Int32Array(count * 3)
  const alignments: number[] = [0, 0, 0, 0]
  let done = sizes.start
  let context = 0
  for (let i = 0; i < made.length; i += 3) {
    const literals = codeNumber(coder, models.literals, context, (made[i] as number) - done)
    const [before, empty] = [context * 2, literals === 0 ? 1 : 0]
    const alignment = (made[i + 1] as number) - (made[i] as number)
    const found = alignments.findIndex((one) => Math.abs(alignment - one) < near)
    const which = codeSymbol(coder, models.alignments, before * 4, 3, found < 0 ? remembered : found)
    if (which > remembered) throw bad()
    const from = alignments[which] ?? alignments[0] ?? 0
    const shift = (from + codeSigned(coder, models.seeks, which * 2 + empty, (alignment - from) | 0)) | 0
    const length = codeNumber(coder, models.lengths, which * 2 + empty, made[i + 2] as number)
    const start = done + literals
    if (length === 0 || start + length > sizes.next || start + shift < 0 || start + shift + length > sizes.old) throw bad()
    made.set([start, start + shift, length], i)
    alignments.splice(Math.min(which, remembered - 1), 1)
    alignments.unshift(shift)
    context = which
    done = start + length
  }
  return made
}

function bad(): BinderyError {
  return new BinderyError('bad-format', 'the copies of an executable in the delta do not add up')
}
