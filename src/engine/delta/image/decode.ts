import { BinderyError } from '../../../base/error.ts'
import { readElf } from '../../../format/elf.ts'
import { findReferences } from './find.ts'
import { imageMemory } from './memory.ts'
import { imageModels } from './models.ts'
import { newScratch } from './scratch.ts'
import { rangeDecoder } from './range-coder.ts'
import { walkImage } from './walk.ts'
import type { PlainLiterals } from './walk.ts'
import type { RangeDecoder } from './range-coder.ts'

/** Decodes one image after the other, as they were coded, batch by batch. */
export type ImageDecoder = {
  /** The streams of the next batch. */
  begin(images: Uint8Array, imageChanges: Uint8Array): void
  /** The next image, made from an old one; it is there until the next one is decoded. `bad-format` where it does not add up, `over-limit` past the granted memory. */
  decode(old: Uint8Array, size: number, plainLiterals: PlainLiterals | undefined): Uint8Array
  /** `bad-format` where streams were not used up. */
  finish(): void
}

/** `memory`: what the delta's header grants for all this. */
export function imageDecoder(memory: number): ImageDecoder {
  const scratch = newScratch()
  let models: ReturnType<typeof imageModels> | undefined
  let coders: { readonly main: RangeDecoder; readonly changes: RangeDecoder } | undefined
  let isUsed = false
  return {
    begin: (images, imageChanges) => {
      coders = images.length + imageChanges.length === 0 ? undefined : { main: rangeDecoder(images), changes: rangeDecoder(imageChanges) }
      isUsed = false
    },
    decode: (old, size, plainLiterals) => {
      if (coders === undefined) throw new BinderyError('bad-format', 'an executable in the delta has no data')
      isUsed = true
      const layout = readElf(old)
      if (layout === undefined) throw new BinderyError('bad-format', 'the delta takes for an executable what is none')
      if (imageMemory(old.length, size, layout.span) > memory) throw tooLarge()
      const image = findReferences(old, scratch)
      if (image === undefined) throw tooLarge()
      // The marks are listed by now, and their memory is free.
      const next = scratch.bytes('marks', size)
      walkImage({ coders, models: (models ??= imageModels()), old: image, next, plan: undefined, plainLiterals })
      return next
    },
    finish: () => {
      if (coders !== undefined && !isUsed) throw new BinderyError('bad-format', 'the delta has data of executables and none')
      coders?.main.finish()
      coders?.changes.finish()
    },
  }
}

function tooLarge(): BinderyError {
  return new BinderyError('over-limit', 'an executable in the delta takes more memory than its header says')
}
