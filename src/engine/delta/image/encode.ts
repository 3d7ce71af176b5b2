import { programHeadersEnd } from '../../../format/elf.ts'
import { findReferences } from './find.ts'
import { mostCopies } from './copies.ts'
import { matchImages } from './match-image.ts'
import { imageModels } from './models.ts'
import { rangeEncoder } from './range-coder.ts'
import { walkImage } from './walk.ts'
import type { Image } from './image.ts'
import type { ImageModels } from './models.ts'
import type { ImagePlan, PlainLiterals } from './walk.ts'

/** An image that can be coded: how it is made from the old one, and at most so many bytes of streams, about. */
export type MatchedImage = { readonly old: Image; readonly next: Uint8Array; readonly plan: ImagePlan; readonly most: number }

/** Bytes that a reference costs that is not guessed, and a copy, about. */
const missCost = 7
const copyCost = 12

/** Undefined where the two are no executables that are understood, or have little in common. */
export function matchImage(old: Uint8Array, next: Uint8Array): MatchedImage | undefined {
  const [oldImage, nextImage] = [findReferences(old), findReferences(next)]
  if (oldImage === undefined || nextImage === undefined) return undefined
  if (programHeadersEnd(next) > old.length) return undefined
  const copies = matchImages(oldImage, nextImage, { passes: 2 })
  let copied = 0
  for (let i = 2; i < copies.length; i += 3) copied += copies[i] as number
  if (copies.length / 3 > mostCopies(next.length) || copied < next.length / 4) return undefined
  const most =
    Math.ceil(1.25 * (next.length - copied)) + missCost * oldImage.references.count + copyCost * (copies.length / 3) + (copied >> 3)
  return { old: oldImage, next, plan: { copies, bases: nextImage.bases }, most }
}

/** Codes one image after the other into two streams. */
export type ImageEncoder = {
  readonly size: number
  code(image: MatchedImage, plainLiterals: PlainLiterals | undefined): void
  /** What was coded since the last time. */
  take(): { readonly images: Uint8Array; readonly imageChanges: Uint8Array }
}

export function imageEncoder(): ImageEncoder {
  let models: ImageModels | undefined
  const coders = { main: rangeEncoder(), changes: rangeEncoder() }
  return {
    get size() {
      return coders.main.size + coders.changes.size
    },
    code: ({ old, next, plan }, plainLiterals) => walkImage({ coders, models: (models ??= imageModels()), old, next, plan, plainLiterals }),
    take: () => ({ images: coders.main.take(), imageChanges: coders.changes.take() }),
  }
}
