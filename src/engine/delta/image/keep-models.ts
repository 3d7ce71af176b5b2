import type { ImageModels } from './models.ts'

/** Memory for what models have learned, kept for as long as an image may have to be taken back. */
export type ModelKeeper = {
  keep(): void
  /** Everything is as it was at the last `keep`. */
  restore(): void
}

/** `modelLiterals`: whether those of literals, half of all the memory, are of any use. */
export function modelKeeper(models: ImageModels, modelLiterals: boolean): ModelKeeper {
  const { copies, bases, references, changes } = models
  const learned = [copies, bases, references, changes.learned, ...(modelLiterals ? [models.literals.learned] : [])]
  const parts = arraysIn(learned).map((now) => ({ now, kept: now.slice() }))
  let last = { ...changes.learned.last }
  return {
    keep: () => {
      for (const { now, kept } of parts) kept.set(now)
      last = { ...changes.learned.last }
    },
    restore: () => {
      for (const { now, kept } of parts) now.set(kept)
      Object.assign(changes.learned.last, last)
    },
  }
}

/** All tables of models that are plain data, however deep in it. */
function arraysIn(models: unknown): readonly (Uint32Array | Int32Array | Uint8Array)[] {
  if (models instanceof Uint32Array || models instanceof Int32Array || models instanceof Uint8Array) return [models]
  return models instanceof Object ? Object.values(models).flatMap(arraysIn) : []
}
