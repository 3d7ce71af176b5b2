import { ByteView, mod, need } from './bytes.ts'
import { addressOf, readLayout } from './elf.ts'
import { findReferences } from './finder.ts'
import { fieldOf, targetOf, withField, wordFor } from './kinds.ts'
import { LiteralModels } from './literals.ts'
import { Mixer, newModels, NumberModels } from './models.ts'
import type { Fields } from './bytes.ts'
import type { Layout } from './elf.ts'
import type { Finder, Reference } from './finder.ts'
import type { BitSource } from './models.ts'

/** What all images of a delta share. */
export class ImageModels {
  copyCount = new NumberModels(1)
  copyLiterals = new NumberModels(8)
  which = newModels(8 * 8)
  copyShift = new NumberModels(16)
  copyLength = new NumberModels(16)
  base = new NumberModels(1)
  hit = newModels(32 * 3 * 16)
  hits = new Uint8Array(32)
  outcome = newModels(32 * 3 * 4)
  shift = new NumberModels(32)
  gap = new NumberModels(64)
  gapClasses: readonly [number, number] = [0, 0]
  difference = new Mixer(8 * 256, 65536, 65536, 2 ** 18, 65536, 2 ** 18)
  differences: readonly [number, number] = [0, 0]
  literals = new LiteralModels()
}

type Copy = { readonly to: number; readonly from: number; readonly length: number }
export type ImageSources = { readonly main: BitSource; readonly changes: BitSource; readonly plainLiterals: Fields | undefined }

export function decodeImage(old: Uint8Array, size: number, sources: ImageSources, models: ImageModels): Uint8Array {
  const image = new ImageDecoder(new ByteView(old), size, sources, models)
  image.walk()
  return image.next.bytes
}

class ImageDecoder {
  readonly old: ByteView
  readonly next: ByteView
  readonly sources: ImageSources
  readonly models: ImageModels
  readonly finder: Finder
  readonly references: readonly Reference[]
  #gap: number
  #pages = new Array<number>(32).fill(0)

  constructor(old: ByteView, size: number, sources: ImageSources, models: ImageModels) {
    need(old.bytes.length >= 4096 && size >= 4096 && old.bytes.length <= 16 * size, 'sizes of an image')
    const { finder, references } = findReferences(old)
    this.old = old
    this.next = new ByteView(new Uint8Array(size))
    this.sources = sources
    this.models = models
    this.finder = finder
    this.references = references
    this.#gap = this.#nextGap()
  }

  walk(): void {
    const layout = this.#headers()
    const copies = this.#copies(layout.headersEnd)
    const guesses = new Guesses(this.finder, layout, this.references, copies)
    const bases = this.finder.bases.map((base) => (base === 0 ? 0 : guesses.of(base) + this.models.base.signed(this.sources.main)))
    const literals = this.next.bytes.length - layout.headersEnd - copies.reduce((sum, { length }) => sum + length, 0)
    this.models.literals.begin(this.old.bytes, literals)
    let last = { to: layout.headersEnd, from: layout.headersEnd, length: 0 }
    for (const copy of copies) {
      this.#literals(last, copy.to)
      this.#copyWithReferences(copy, layout, bases, guesses)
      last = copy
    }
    this.#literals(last, this.next.bytes.length)
    need(this.#gap === 0, 'a gap is left')
  }

  #headers(): Layout {
    const { next, old } = this
    this.#copy(0, 0, 64)
    const end = next.i64(32) + 56 * Math.min(16, next.u16(56))
    need(end >= 64 && end <= Math.min(4096, old.bytes.length, next.bytes.length), 'headers of the new image')
    this.#copy(64, 64, end - 64)
    const layout = readLayout(new ByteView(next.bytes.subarray(0, end)), next.bytes.length)
    need(layout !== undefined, 'headers of the new image')
    return layout
  }

  #copies(start: number): readonly Copy[] {
    const { models, old, next } = this
    const { main } = this.sources
    const count = models.copyCount.number(main)
    need(count <= 64 + next.bytes.length / 16, 'too many copies')
    let recent = [0, 0, 0, 0]
    let previous = 0
    let end = start
    return Array.from({ length: count }, () => {
      const literals = models.copyLiterals.number(main, previous)
      const which = main.symbol(models.which, 8 * previous, 3)
      need(which <= 4, 'an alignment that is not there')
      const context = 2 * which + (literals === 0 ? 1 : 0)
      const alignment = ((recent[which] ?? recent[0] ?? 0) + models.copyShift.signed(main, context)) | 0
      const to = end + literals
      const copy = { to, from: to + alignment, length: models.copyLength.number(main, context) }
      need(copy.length >= 1 && copy.from >= 0 && copy.from + copy.length <= old.bytes.length, 'a copy outside of old')
      need(to + copy.length <= next.bytes.length, 'a copy outside of new')
      recent = [alignment, ...recent.filter((_, i) => i !== Math.min(which, 3))]
      previous = which
      end = to + copy.length
      return copy
    })
  }

  #nextGap(): number {
    const { models } = this
    const [last, before] = models.gapClasses
    const gap = models.gap.number(this.sources.changes, 8 * last + before)
    models.gapClasses = [[1, 3, 4, 8, 16, 64, 256].filter((least) => gap >= least).length, last]
    return gap
  }

  #copy(from: number, to: number, length: number): void {
    const [old, next] = [this.old.bytes, this.next.bytes]
    for (let at = 0; ; at++) {
      const same = Math.min(this.#gap, length - at)
      next.set(old.subarray(from + at, from + at + same), to + at)
      this.#gap -= same
      at += same
      if (at === length) return
      next[to + at] =
        (old[from + at] as number) + this.#difference(old[from + at] as number, to + at === 0 ? 0 : (next[to + at - 1] as number))
      this.#gap = this.#nextGap()
    }
  }

  #difference(old: number, before: number): number {
    const { models, sources } = this
    const [gapClass] = models.gapClasses
    const [last, second] = models.differences
    const near = Math.imul(old + 256 * before + 1, 0x2c1b_3c6d)
    const far = Math.imul(last + 256 * second + 65536 * gapClass + 1, 0x2c1b_3c6d)
    let node = 1
    const hashed = (value: number): number => Math.imul(value ^ Math.imul(node, 0x9e37_79b1), 0x85eb_ca6b) >>> 14
    for (let i = 7; i >= 0; i--) {
      const slots = [256 * gapClass + node, 256 * last + node, 256 * old + node, hashed(near), 256 * before + node, hashed(far)]
      node = 2 * node + models.difference.bit(sources.changes, slots, 8 * gapClass + i)
    }
    models.differences = [node & 255, last]
    return node & 255
  }

  #literals(last: Copy, end: number): void {
    const { models, sources, next, old } = this
    const start = last.to + last.length
    if (sources.plainLiterals) return next.bytes.set(sources.plainLiterals.take(end - start), start)
    const shift = last.from - last.to
    for (let at = start; at < end; at++) models.literals.decode(sources.main, next.bytes, at, old.bytes[at + shift] ?? 0)
  }

  #copyWithReferences({ to, from, length }: Copy, layout: Layout, bases: readonly number[], guesses: Guesses): void {
    const shift = to - from
    let done = from
    for (let i = firstNotBelow(this.references, from); i < this.references.length; i++) {
      const reference = this.references[i] as Reference
      const { place, kind } = reference
      const width = kind === 7 ? 8 : 4
      if (place + width > from + length) break
      this.#copy(done, done + shift, place - done)
      done = place
      if (this.#reference(reference, place + shift, layout, bases, guesses)) done += width
    }
    this.#copy(done, done + shift, from + length - done)
  }

  /** False for none. */
  #reference({ place, kind, target }: Reference, at: number, layout: Layout, bases: readonly number[], guesses: Guesses): boolean {
    const { models, old, next, finder } = this
    const { main } = this.sources
    const goal = guesses.of(target)
    const source = guesses.sourceOf(target)
    const here = addressOf(layout, at)
    const table = kind === 10 ? here - (addressOf(finder.layout, place) - addressOf(finder.layout, finder.tableOf.get(place) as number)) : 0
    const meaning = { base: layout.base, bases }
    const oldWord = { low: old.i32(place), high: kind === 7 ? old.i32(place + 4) : 0 }
    let word = wordFor(kind, goal, here, table, meaning, oldWord.low)
    const hits = models.hits[kind] as number
    const isHit = main.bit(models.hit, (kind * 3 + source) * 16 + hits)
    models.hits[kind] = ((hits << 1) | isHit) & 15
    if (isHit === 0) {
      const outcome = main.symbol(models.outcome, (kind * 3 + source) * 4, 2)
      if (outcome >= 2) return false
      if (outcome === 0) word = oldWord
      else word = { ...word, low: withField(kind, oldWord.low, fieldOf(kind, word.low) + models.shift.signed(main, kind)) }
    }
    next.setWord(at, word.low)
    if (kind === 7) next.setWord(at + 4, word.high)
    if (isHit === 1 && kind <= 10) guesses.learn(target, goal)
    else {
      const bare = targetOf(kind, word, here, table, meaning)
      const register = kind === 12 ? oldWord.low & 31 : (oldWord.low >>> 5) & 31
      if (kind === 12) this.#pages[register] = bare
      const other = kind === 12 ? mod(goal + layout.base, 4096) : kind >= 13 && kind <= 17 ? (this.#pages[register] as number) : 0
      guesses.learn(target, Math.max(0, Math.min(layout.span, bare + other)))
    }
    return true
  }
}

/** The first reference at or behind a place. */
function firstNotBelow(references: readonly Reference[], place: number): number {
  return lowerBound(references.length, (i) => (references[i] as Reference).place < place)
}

function lowerBound(count: number, isBelow: (i: number) => boolean): number {
  let [low, high] = [0, count]
  while (low < high) {
    const middle = (low + high) >> 1
    if (isBelow(middle)) low = middle + 1
    else high = middle
  }
  return low
}

/** Where what is at an old address is in the new image. */
class Guesses {
  readonly #addresses: Float64Array
  readonly #places: Float64Array
  readonly #sources: Uint8Array

  constructor(finder: Finder, layout: Layout, references: readonly Reference[], copies: readonly Copy[]) {
    const unique = new Set(finder.bases)
    for (const { target } of references) unique.add(target)
    this.#addresses = Float64Array.from(unique).sort()
    this.#places = this.#addresses.slice()
    this.#sources = new Uint8Array(unique.size)
    for (const copy of copies.toSorted((a, b) => a.length - b.length))
      for (const old of finder.layout.segments) for (const next of layout.segments) this.#learnCopy(copy, old, next)
  }

  #learnCopy({ to, from, length }: Copy, old: Layout['segments'][number], next: Layout['segments'][number]): void {
    const start = Math.max(from, old.offset, next.offset + from - to)
    const end = Math.min(from + length, old.offset + old.size, next.offset + next.size + from - to)
    if (start >= end) return
    const shift = old.address - old.offset
    const moved = to - from + next.address - next.offset - shift
    for (let i = this.#index(start + shift); (this.#addresses[i] as number) < end + shift; i++)
      this.#set(i, (this.#addresses[i] as number) + moved, 1)
  }

  #index(address: number): number {
    return lowerBound(this.#addresses.length, (i) => (this.#addresses[i] as number) < address)
  }

  #set(index: number, place: number, source: number): void {
    this.#places[index] = place
    this.#sources[index] = source
  }

  sourceOf(address: number): number {
    return this.#sources[this.#index(address)] as number
  }

  of(address: number): number {
    let i = this.#index(address)
    while (i >= 0 && this.#sources[i] === 0) i--
    return i < 0 ? address : address + (this.#places[i] as number) - (this.#addresses[i] as number)
  }

  learn(address: number, place: number): void {
    this.#set(this.#index(address), place, 2)
  }
}
