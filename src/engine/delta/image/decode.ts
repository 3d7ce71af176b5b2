import { BinderyError } from '../../../base/error.ts'
import { readElf } from '../../../format/elf.ts'
import { readBytes } from '../../../format/varint.ts'
import { findReferences } from './find.ts'
import { imageMemory } from './memory.ts'
import { imageModels } from './models.ts'
import { newScratch } from './scratch.ts'
import { rangeDecoder } from './range-coder.ts'
import { walkImage } from './walk.ts'
import type { PlainLiterals } from './walk.ts'
import type { RangeDecoder } from './range-coder.ts'
import type { Scratch } from './scratch.ts'

/** Decodes one image after the other, as they were coded, batch by batch. */
export type ImageDecoder = {
  /** The streams of the next batch. */
  begin(images: Uint8Array, imageChanges: Uint8Array): void
  /**
   * The next image, made from an old one, which may be in pieces; it is there until the next one is decoded. `plainLiterals`
   * where they are not modelled. `bad-format` where it does not add up, `over-limit` past the granted memory.
   */
  decode(old: readonly Uint8Array[], size: number, plainLiterals: Uint8Array | undefined): Uint8Array
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
    decode: (pieces, size, plainLiterals) => {
      if (coders === undefined) throw new BinderyError('bad-format', 'an executable in the delta has no data')
      isUsed = true
      const old = joined(pieces, scratch)
      const layout = readElf(old)
      if (layout === undefined) throw new BinderyError('bad-format', 'the delta takes for an executable what is none')
      if (imageMemory(old.length, size, layout.span) > memory) throw tooLarge()
      const image = findReferences(old, scratch)
      if (image === undefined) throw tooLarge()
      // The marks are listed by now, and their memory is free.
      const next = scratch.bytes('marks', size)
      const literals = plainLiterals === undefined ? undefined : literalReader(plainLiterals)
      walkImage({ coders, models: (models ??= imageModels()), old: image, next, plan: undefined, plainLiterals: literals?.fill })
      literals?.finish()
      return next
    },
    finish: () => {
      if (coders !== undefined && !isUsed) throw new BinderyError('bad-format', 'the delta has data of executables and none')
      coders?.main.finish()
      coders?.changes.finish()
    },
  }
}

function joined(pieces: readonly Uint8Array[], scratch: Scratch): Uint8Array {
  if (pieces.length === 1) return pieces[0] as Uint8Array
  const whole = scratch.bytes(
    'old',
    pieces.reduce((sum, { length }) => sum + length, 0),
  )
  let at = 0
  for (const piece of pieces) {
    whole.set(piece, at)
    at += piece.length
  }
  return whole
}

/** `finish`: `bad-format` where some are left. */
function literalReader(literals: Uint8Array): { readonly fill: PlainLiterals; finish(): void } {
  const cursor = { bytes: literals, at: 0 }
  return {
    fill: (part) => part.set(readBytes(cursor, part.length)),
    finish: () => {
      if (cursor.at < literals.length) throw new BinderyError('bad-format', 'an executable in the delta has literals left over')
    },
  }
}

function tooLarge(): BinderyError {
  return new BinderyError('over-limit', 'an executable in the delta takes more memory than its header says')
}
