import { BinderyError } from '../../../base/error.ts'
import { elfHeaderSize, elfHeadSize, programHeadersEnd, readSegments } from '../../../format/elf.ts'
import { codeCopies } from './copies.ts'
import { Guesses } from './guesses.ts'
import { codeSigned } from './numbers.ts'
import { kindOf, placeOf } from './image.ts'
import { baseCount, widthOf } from './reference.ts'
import { ReferenceCoder } from './references.ts'
import type { Copies } from './copies.ts'
import type { Image, ImageLayout, ReferenceList } from './image.ts'
import type { ImageModels } from './models.ts'
import type { BinaryCoder } from './range-coder.ts'
import type { ReferenceTally } from './references.ts'

/** Where an image is coded into, or decoded from: changes are told ahead, so they have a stream of their own. */
export type ImageCoders = { readonly main: BinaryCoder; readonly changes: BinaryCoder }

export type ImageWalk = {
  readonly coders: ImageCoders
  readonly models: ImageModels
  readonly old: Image
  /** Of a coder the new image, of a decoder room for it, which is filled. */
  readonly next: Uint8Array
  /** Undefined for a decoder. */
  readonly plan: ImagePlan | undefined
  /** Keeps literals, or fills them in; undefined where they are modelled. */
  readonly plainLiterals: PlainLiterals | undefined
}

/** Of a coder takes the next literals, of a decoder makes them. */
export type PlainLiterals = (part: Uint8Array) => void

/** What a coder knows beforehand. */
export type ImagePlan = { readonly copies: Copies; readonly bases: Float64Array }

/**
 * Goes through the new image once, from its first byte to its last, in the same way whether it is coded or decoded
 * (doc/spec/delta-images.md); answers how well references were guessed. `bad-format` where what was decoded makes no sense.
 */
export function walkImage(walk: ImageWalk): ReferenceTally {
  const { coders, models, old, next, plan } = walk
  const bytes = byteCoder(walk)
  const start = codeHeaders(walk, bytes)
  const segments = readSegments(next.subarray(0, start), next.length)
  if (segments === undefined) throw bad()
  const copies = codeCopies(coders.main, models.copies, plan?.copies, { start, old: old.bytes.length, next: next.length })
  const guesses = new Guesses(old, segments, copies)
  const layout: ImageLayout = { ...segments, layout: segments, bases: codeBases(walk, guesses) }
  if (walk.plainLiterals === undefined) models.literals.begin(old.bytes, literalsOf(copies, start, next.length))
  const tally = codeBody({ walk, bytes, copies, guesses, layout, start })
  bytes.finish()
  return tally
}

/** The header of the new file, which says where its program headers end, and what is up to there. */
function codeHeaders({ old, next }: ImageWalk, bytes: ByteCoder): number {
  const most = Math.min(old.bytes.length, next.length, elfHeadSize)
  if (most < elfHeaderSize) throw bad()
  copyBytes(bytes, 0, elfHeaderSize)
  const end = programHeadersEnd(next)
  if (end > most) throw bad()
  copyBytes(bytes, elfHeaderSize, end)
  return end
}

function copyBytes(bytes: ByteCoder, start: number, end: number): void {
  bytes.begin(start, start, end - start)
  bytes.change(start, start, end - start)
}

type Body = {
  readonly walk: ImageWalk
  readonly bytes: ByteCoder
  readonly copies: Copies
  readonly guesses: Guesses
  readonly layout: ImageLayout
  readonly start: number
}

function codeBody({ walk, bytes, copies, guesses, layout, start }: Body): ReferenceTally {
  const { coders, models, old, next } = walk
  const references = new ReferenceCoder(coders.main, models.references, old, layout, guesses)
  const copy = old.scratch.keep(new CopyCoder(walk, bytes, references))
  let done = start
  let doneOld = start
  const literals = (end: number): void => {
    if (walk.plainLiterals !== undefined) walk.plainLiterals(next.subarray(done, end))
    else for (let at = done; at < end; at++) models.literals.code(coders.main, next, at, old.bytes[doneOld + at - done] ?? 0)
  }
  for (let i = 0; i < copies.length; i += 3) {
    const [to, from, length] = [copies[i] as number, copies[i + 1] as number, copies[i + 2] as number]
    literals(to)
    copy.code(to, from, length)
    done = to + length
    doneOld = from + length
  }
  literals(next.length)
  return references.tally
}

/** Codes one copy after the other: a loop in the loop over all of them would be compiled for a few and thrown away again. */
class CopyCoder {
  readonly #references: ReferenceCoder
  readonly #bytes: ByteCoder
  readonly #old: ReferenceList
  readonly #view: DataView
  /** Of the reference that comes next. */
  #index = 0

  constructor({ old, next }: ImageWalk, bytes: ByteCoder, references: ReferenceCoder) {
    this.#references = references
    this.#bytes = bytes
    this.#old = old.references
    this.#view = new DataView(next.buffer, next.byteOffset, next.length)
  }

  code(to: number, from: number, length: number): void {
    const { count, packed } = this.#old
    const [references, bytes, view] = [this.#references, this.#bytes, this.#view]
    const shift = to - from
    const end = from + length
    bytes.begin(from, to, length)
    let oldAt = from
    let index = firstFrom(packed, count, from, this.#index)
    for (; index < count; index++) {
      const place = placeOf(packed[index] as number)
      const width = widthOf(kindOf(packed[index] as number))
      if (place + width > end) break
      const at = place + shift
      bytes.change(oldAt, oldAt + shift, place - oldAt)
      oldAt = place
      if (!references.code(index, at, view.getInt32(at, true), width === 8 ? view.getInt32(at + 4, true) : 0)) continue
      view.setInt32(at, references.value.word, true)
      if (width === 8) view.setInt32(at + 4, references.value.high, true)
      oldAt += width
    }
    this.#index = index
    bytes.change(oldAt, oldAt + shift, end - oldAt)
  }
}

/** The first reference at or behind `from`, as a rule the one at `hint`. */
function firstFrom(packed: Uint32Array, count: number, from: number, hint: number): number {
  const isFirst = (hint === count || placeOf(packed[hint] as number) >= from) && (hint === 0 || placeOf(packed[hint - 1] as number) < from)
  if (isFirst) return hint
  let [low, high] = [0, count]
  while (low < high) {
    const middle = (low + high) >> 1
    if (placeOf(packed[middle] as number) < from) low = middle + 1
    else high = middle
  }
  return low
}

type ByteCoder = {
  /** Before all calls of `change` for parts of a copy. */
  begin(oldAt: number, at: number, size: number): void
  /** Of a part that is no reference, and behind all that was coded before. */
  change(oldAt: number, at: number, size: number): void
  finish(): void
}

/** Bytes that are no references, most of which are copied as they are. */
function byteCoder(walk: ImageWalk): ByteCoder {
  return walk.coders.changes.isDecoder ? new ByteDecoder(walk) : new ByteEncoder(walk)
}

class ByteEncoder implements ByteCoder {
  readonly #walk: ImageWalk
  #gap = 0

  constructor(walk: ImageWalk) {
    this.#walk = walk
  }

  begin(): void {}

  change(oldAt: number, at: number, size: number): void {
    const { coders, models, old, next } = this.#walk
    for (let i = 0; i < size; i++) {
      const [from, to] = [old.bytes[oldAt + i] as number, next[at + i] as number]
      if (from === to) {
        this.#gap++
        continue
      }
      models.changes.gap(coders.changes, this.#gap)
      this.#gap = 0
      models.changes.difference(coders.changes, from, at + i > 0 ? (next[at + i - 1] as number) : 0, (to - from) & 255)
    }
  }

  finish(): void {
    this.#walk.models.changes.gap(this.#walk.coders.changes, this.#gap)
  }
}

class ByteDecoder implements ByteCoder {
  readonly #walk: ImageWalk
  /** Bytes that are as they were before the next that is not. */
  #gap: number

  constructor(walk: ImageWalk) {
    this.#walk = walk
    this.#gap = walk.models.changes.gap(walk.coders.changes, 0)
  }

  /** At once, references as well: of a few bytes each it would take much longer. */
  begin(oldAt: number, at: number, size: number): void {
    this.#walk.next.set(this.#walk.old.bytes.subarray(oldAt, oldAt + size), at)
  }

  change(oldAt: number, at: number, size: number): void {
    if (this.#gap < size) this.#changeIn(oldAt, at, size)
    else this.#gap -= size
  }

  #changeIn(oldAt: number, at: number, size: number): void {
    const { coders, models, old, next } = this.#walk
    let i = 0
    let gap = this.#gap
    for (; i + gap < size; i++) {
      i += gap
      const from = old.bytes[oldAt + i] as number
      next[at + i] = from + models.changes.difference(coders.changes, from, at + i > 0 ? (next[at + i - 1] as number) : 0, 0)
      gap = models.changes.gap(coders.changes, 0)
    }
    this.#gap = gap - (size - i)
  }

  finish(): void {
    if (this.#gap !== 0) throw bad()
  }
}

/** The bases of the new image: as a rule where those of the old are thought to be. */
function codeBases({ coders, models, old, plan }: ImageWalk, guesses: Guesses): Float64Array {
  const made = new Float64Array(baseCount)
  for (let i = 0; i < baseCount; i++) {
    const base = old.bases[i] as number
    if (base === 0) continue
    const guess = guesses.guess(old.numbered.rankOf(base))
    made[i] = guess + codeSigned(coders.main, models.bases, 0, plan === undefined ? 0 : ((plan.bases[i] as number) - guess) | 0)
  }
  return made
}

function literalsOf(copies: Copies, start: number, size: number): number {
  let copied = 0
  for (let i = 2; i < copies.length; i += 3) copied += copies[i] as number
  return size - start - copied
}

function bad(): BinderyError {
  return new BinderyError('bad-format', 'an executable in the delta does not add up')
}
