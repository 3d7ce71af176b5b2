import { programHeadersEnd } from '../../../format/elf.ts'
import { findReferences } from './find.ts'
import { mostCopies } from './copies.ts'
import { matchImages, usualImageEffort } from './match-image.ts'
import { modelKeeper } from './keep-models.ts'
import { imageModels } from './models.ts'
import { rangeEncoder } from './range-coder.ts'
import { newScratch } from './scratch.ts'
import { walkImage } from './walk.ts'
import type { Image } from './image.ts'
import type { ModelKeeper } from './keep-models.ts'
import type { Copies } from './copies.ts'
import type { ImageModels } from './models.ts'
import type { ReferenceTally } from './references.ts'
import type { Scratch } from './scratch.ts'
import type { ImagePlan, PlainLiterals } from './walk.ts'

/** An image that can be coded: how it is made from the old one, and at most so many bytes of streams, about. */
export type MatchedImage = {
  readonly old: Image
  readonly next: Uint8Array
  readonly plan: ImagePlan
  /** Bytes of it that no copy gives. */
  readonly literals: number
  readonly most: number
}

/** Bytes that a reference costs that is not guessed, and a copy, about. */
const missCost = 7
const copyCost = 12

/** Two executables that one can be made of. */
export type ImagePair = { readonly old: Image; readonly next: Image }

/** Undefined where the two are no executables that are understood. `scratches`: of each side, see there how long the answer lives. */
export function imagePair(old: Uint8Array, next: Uint8Array, scratches: ImageScratches = newScratches()): ImagePair | undefined {
  const [oldImage, nextImage] = [findReferences(old, scratches.old), findReferences(next, scratches.next)]
  if (oldImage === undefined || nextImage === undefined || programHeadersEnd(next) > old.length) return undefined
  return { old: oldImage, next: nextImage }
}

export type ImageScratches = { readonly old: Scratch; readonly next: Scratch }

export function newScratches(): ImageScratches {
  return { old: newScratch(), next: newScratch() }
}

export function matchImage(old: Uint8Array, next: Uint8Array): MatchedImage | undefined {
  const pair = imagePair(old, next)
  return pair && matchedImage(pair, matchImages(pair.old, pair.next, usualImageEffort))
}

/** Undefined where the two have little in common. */
export function matchedImage({ old, next: nextImage }: ImagePair, copies: Copies): MatchedImage | undefined {
  const next = nextImage.bytes
  let copied = 0
  for (let i = 2; i < copies.length; i += 3) copied += copies[i] as number
  if (copies.length / 3 > mostCopies(next.length) || copied < next.length / 4) return undefined
  const most = Math.ceil(1.25 * (next.length - copied)) + missCost * old.references.count + copyCost * (copies.length / 3) + (copied >> 3)
  const literals = next.length - programHeadersEnd(next) - copied
  return { old, next, plan: { copies, bases: nextImage.bases }, literals, most }
}

/** Codes one image after the other into two streams. */
export type ImageEncoder = {
  readonly size: number
  /** Bytes that are written already. */
  readonly written: Readonly<Record<'images' | 'imageChanges', number>>
  /** How many bytes of both streams the image would take; nothing has happened to them, nor to the models. */
  sizeOf(image: MatchedImage, plainLiterals: PlainLiterals | undefined): number
  /** How well its references were guessed. Undefined, and nothing has happened to streams and models, where the image takes more than `room` bytes of both streams. */
  code(image: MatchedImage, plainLiterals: PlainLiterals | undefined, room: number): ReferenceTally | undefined
  /** What was coded since the last time. */
  take(): { readonly images: Uint8Array; readonly imageChanges: Uint8Array }
}

/** `modelLiterals`: whether literals are modelled in images. */
export function imageEncoder({ modelLiterals }: { readonly modelLiterals: boolean }): ImageEncoder {
  let learned: Learned | undefined
  const coders = { main: rangeEncoder(), changes: rangeEncoder() }
  const size = (): number => coders.main.size + coders.changes.size
  const tryImage = ({ old, next, plan }: MatchedImage, plainLiterals: PlainLiterals | undefined): Tried => {
    const { models, keeper } = (learned ??= newLearned(modelLiterals))
    keeper.keep()
    const marks = [coders.main.mark(), coders.changes.mark()]
    const before = size()
    const tally = walkImage({ coders, models, old, next, plan, plainLiterals })
    const takeBack = (): void => {
      keeper.restore()
      for (const back of marks) back()
    }
    return { size: size() - before, tally, takeBack }
  }
  return {
    get size() {
      return size()
    },
    get written() {
      return { images: coders.main.written, imageChanges: coders.changes.written }
    },
    sizeOf: (image, plainLiterals) => {
      const tried = tryImage(image, plainLiterals)
      tried.takeBack()
      return tried.size
    },
    code: (image, plainLiterals, room) => {
      const tried = tryImage(image, plainLiterals)
      if (tried.size <= room) return tried.tally
      tried.takeBack()
      return undefined
    },
    take: () => ({ images: coders.main.take(), imageChanges: coders.changes.take() }),
  }
}

/** An image that is coded, how many bytes it took, and how it is undone. */
type Tried = { readonly size: number; readonly tally: ReferenceTally; takeBack(): void }

type Learned = { readonly models: ImageModels; readonly keeper: ModelKeeper }

function newLearned(modelLiterals: boolean): Learned {
  const models = imageModels()
  return { models, keeper: modelKeeper(models, modelLiterals) }
}
