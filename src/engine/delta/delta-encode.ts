import { mostPerNewByte } from '../../format/delta-batch.ts'
import { byteWriter } from '../../format/varint.ts'
import { writeDifferences } from './differences.ts'
import { imageEncoder } from './image/encode.ts'
import { runWriter } from './run-writer.ts'
import { encodeSections } from './sections.ts'
import { compressedSize } from './write-batch.ts'
import type { StreamName } from '../../format/delta-batch.ts'
import type { ByteWriter } from '../../format/varint.ts'
import type { OpenedPair } from './gzip/plan.ts'
import type { ImageEncoder, MatchedImage } from './image/encode.ts'
import type { ReferenceTally } from './image/references.ts'
import type { Section } from './sections.ts'
import type { StreamSizes } from './watch.ts'

/** A batch before compression. */
export type RawBatch = { readonly newSize: number; readonly streams: Readonly<Partial<Record<StreamName, Uint8Array>>> }

/** Writes the new side from its first byte to its last: by plain matching (doc/spec/delta.md, coding 0) and by images. */
export type DeltaEncoder = {
  /** The end of the furthest old byte used: what the window is behind of. */
  readonly furthest: number
  /** Where the last copy ended. */
  readonly position: number
  /** The next bytes are those of old from `start` on, but for differences; both of the same size. */
  copy(start: number, old: Uint8Array, next: Uint8Array): void
  /** The next `length` bytes are those of old from `start` on. */
  same(start: number, length: number): void
  literal(next: Uint8Array): void
  /** How many bytes of the delta the image would take, about. */
  imageSize(image: MatchedImage): number
  /** The next bytes are an executable, made from the one at `start`. Undefined where its streams might not fit into a batch. */
  image(start: number, image: MatchedImage): ReferenceTally | undefined
  /** The next bytes are a gzip file, made from the one of `oldSize` bytes at `start`; `code` writes its content. False where it might not fit. */
  gzip(start: number, oldSize: number, size: number, pair: OpenedPair, code: () => void): boolean
  /** Bytes of each stream so far, about; but for that of sections, which is made with its batch. */
  readonly written: StreamSizes
  /** Batches completed since the last call; with `last`, everything there is. */
  take(last: boolean): readonly RawBatch[]
}

/** A piece of a copy adds at most one and a half times its size to the streams, and its last few bytes a little. */
const largestPiece = 256 << 10

/** Seven varints, of which none is that large. */
const largestSection = 48

/** `modelLiterals`: those of images, which makes them small and costs a reader time. */
export type EncoderLimits = { readonly window: number; readonly batchLimit: number; readonly modelLiterals: boolean }

export function deltaEncoder({ window, batchLimit, modelLiterals }: EncoderLimits): DeltaEncoder {
  const out = newStreams()
  const images = imageEncoder({ modelLiterals })
  const outer = runWriter(window, out)
  /** Those of a content while one is written: it is copied from another one, not from the old side. */
  let runs = outer
  const pieceSize = Math.min(largestPiece, batchLimit >> 2)
  const softLimit = batchLimit - 2 * pieceSize
  const mostSections = Math.max(1, Math.floor(pieceSize / largestSection))
  const done: RawBatch[] = []
  /** What streams had in all batches that are done. */
  const before: Partial<Record<StreamName, number>> = {}
  let newSize = 0
  let gap = 0
  /** Complete ones; what is plain behind them is not one yet. */
  let sections: Section[] = []
  let plainSize = 0

  const size = (): number => Object.values(out).reduce((sum, writer) => sum + writer.size, images.size)
  const endPlain = (): void => {
    runs.close()
    if (plainSize > 0) sections.push({ kind: 'plain', size: plainSize })
    plainSize = 0
  }
  const cutBatch = (): void => {
    endPlain()
    if (newSize > 0) {
      const streams = taken(out, sections, images)
      for (const [name, { length }] of Object.entries(streams)) before[name as StreamName] = (before[name as StreamName] ?? 0) + length
      done.push({ newSize, streams })
    }
    newSize = 0
    gap = 0
    sections = []
  }
  /** Adds `length` new bytes, whose streams are written. */
  const advance = (length: number): void => {
    newSize += length
    plainSize += length
    if (runs === outer && size() >= softLimit) cutBatch()
  }
  const isFull = (): boolean => size() >= softLimit || sections.length >= mostSections
  /** Bytes made to defeat every model take more than was thought, and have to be made in another way. */
  const codeImage = (image: MatchedImage): ReferenceTally | undefined => {
    const literals = out.literals.size
    const room = Math.min(softLimit + pieceSize - size() - (modelLiterals ? 0 : image.literals), mostPerNewByte.images * image.next.length)
    const tally = images.code(image, modelLiterals ? undefined : (part) => out.literals.bytes(part), room)
    if (tally === undefined) out.literals.cutTo(literals)
    return tally
  }
  const copyPiece = (start: number, old: Uint8Array, next: Uint8Array): void => {
    runs.copy(start, next.length)
    const differences = writeDifferences(old, next, gap, out.gaps, out.residuals)
    gap = differences.gap
    if (differences.ended) runs.endCopy()
    advance(next.length)
  }
  return {
    get furthest() {
      return outer.furthest
    },
    get position() {
      return outer.position
    },
    copy: (start, old, next) => {
      for (let at = 0; at < next.length; at += pieceSize) {
        copyPiece(start + at, old.subarray(at, at + pieceSize), next.subarray(at, at + pieceSize))
      }
    },
    same: (start, length) => {
      if (length === 0) return
      runs.copy(start, length)
      gap += length
      newSize += length
      plainSize += length
    },
    literal: (next) => {
      for (let at = 0; at < next.length;) {
        const part = next.subarray(at, at + Math.max(1, softLimit - size()))
        runs.literal(part.length)
        out.literals.bytes(part)
        advance(part.length)
        at += part.length
      }
    },
    imageSize: (image) => {
      if (modelLiterals) return images.sizeOf(image, undefined)
      const literals = byteWriter()
      return images.sizeOf(image, (part) => literals.bytes(part)) + compressedSize(literals.take())
    },
    image: (start, image) => {
      if (image.most > softLimit) return undefined
      if (size() + image.most > softLimit) cutBatch()
      const literalsBefore = out.literals.size
      const tally = codeImage(image)
      if (tally === undefined) return undefined
      const plainLiterals = modelLiterals ? undefined : out.literals.size - literalsBefore
      endPlain()
      const oldSize = image.old.bytes.length
      sections.push({ kind: 'image', size: image.next.length, seek: start - outer.position, oldSize, plainLiterals })
      outer.jump(start + oldSize)
      newSize += image.next.length
      if (isFull()) cutBatch()
      return tally
    },
    gzip: (start, oldSize, fileSize, { oldContent, content, recipe }, code) => {
      const most = 2 * content.length + recipe.length
      if (most > softLimit) return false
      if (size() + most > softLimit) cutBatch()
      endPlain()
      const sizeBefore = newSize
      const seek = start - outer.position
      runs = runWriter(Infinity, out)
      code()
      runs.close()
      runs = outer
      outer.jump(start + oldSize)
      out.recipes.bytes(recipe)
      const sizes = { oldContentSize: oldContent.length, contentSize: content.length, recipeSize: recipe.length }
      sections.push({ kind: 'gzip', size: fileSize, seek, oldSize, ...sizes })
      newSize = sizeBefore + fileSize
      plainSize = 0
      if (isFull()) cutBatch()
      return true
    },
    get written() {
      const now = { ...Object.fromEntries(Object.entries(out).map(([name, writer]) => [name, writer.size])), ...images.written }
      return Object.fromEntries(Object.entries(now).map(([name, size]) => [name, size + (before[name as StreamName] ?? 0)]))
    },
    take: (last) => {
      if (last) cutBatch()
      return done.splice(0)
    },
  }
}

type Streams = Readonly<Record<Exclude<StreamName, 'sections' | 'images' | 'imageChanges'>, ByteWriter>>

function newStreams(): Streams {
  return {
    copies: byteWriter(),
    literalRuns: byteWriter(),
    seeks: byteWriter(),
    gaps: byteWriter(),
    residuals: byteWriter(),
    literals: byteWriter(),
    recipes: byteWriter(),
  }
}

function taken(out: Streams, sections: readonly Section[], images: ImageEncoder): RawBatch['streams'] {
  const streams: Partial<Record<StreamName, Uint8Array>> = {}
  for (const [name, writer] of Object.entries(out)) if (writer.size > 0) streams[name as StreamName] = writer.take()
  if (sections.every(({ kind }) => kind === 'plain')) return streams
  streams.sections = encodeSections(sections)
  for (const [name, bytes] of Object.entries(images.take())) if (bytes.length > 0) streams[name as StreamName] = bytes
  return streams
}
