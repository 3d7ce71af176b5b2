import { changeModel } from './changes.ts'
import { copyModels } from './copies.ts'
import { literalModel } from './literals.ts'
import { numberModel } from './numbers.ts'
import { referenceModels } from './references.ts'
import type { ChangeModel } from './changes.ts'
import type { CopyModels } from './copies.ts'
import type { LiteralModel } from './literals.ts'
import type { NumberModel } from './numbers.ts'
import type { ReferenceModels } from './references.ts'

/** The models of all images of a delta: what one has taught serves the next. */
export type ImageModels = {
  readonly copies: CopyModels
  readonly bases: NumberModel
  readonly references: ReferenceModels
  readonly changes: ChangeModel
  readonly literals: LiteralModel
}

export function imageModels(): ImageModels {
  let literals: LiteralModel | undefined
  return {
    copies: copyModels(),
    bases: numberModel(1),
    references: referenceModels(),
    changes: changeModel(),
    // Half of all the memory, and as a rule a delta does without.
    get literals() {
      return (literals ??= literalModel())
    },
  }
}

/** Bytes that they take, about. */
export const modelMemory: number = 10 << 20
