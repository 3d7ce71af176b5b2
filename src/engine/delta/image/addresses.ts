import { kinds } from './reference.ts'
import { pairedWithin } from './arm64.ts'
import { behindOperand, lowOf, targetOf } from './value.ts'
import type { ElfSegment } from '../../../format/elf.ts'
import type { ImageLayout, Marked } from './image.ts'

/** From places in the file of an image to addresses and the targets of its references. */

/*
 * Classes, here and wherever every image has its own and asks it millions of times: the methods of objects that are made for
 * each are compiled for the first image, and again for the second.
 */

/** Targets of references, best asked in the order of the file. Of a page and of low bits it is the whole address. */
export class TargetReader {
  readonly #image: Marked
  readonly #view: DataView
  readonly #place: AddressReader
  readonly #table: JumpTableReader

  constructor(image: Marked) {
    this.#image = image
    this.#view = new DataView(image.bytes.buffer, image.bytes.byteOffset, image.bytes.length)
    this.#place = new AddressReader(image)
    this.#table = new JumpTableReader(image)
  }

  targetAt(at: number, kind: number): number {
    // Nearly all of them: relative to what is behind the operand.
    if (kind > kinds.data4) return this.#otherAt(at, kind)
    return within(this.#place.of(at) + (behindOperand[kind] as number) + this.#view.getInt32(at, true), this.#image.span)
  }

  #otherAt(at: number, kind: number): number {
    const [image, view] = [this.#image, this.#view]
    const word = view.getInt32(at, true)
    if (kind === kinds.page) return within(this.#pageAt(at) + lowBehind(image, view, at, word & 31), image.span)
    if (kind >= kinds.low && kind <= kinds.low4) {
      const page = pageBefore(image, view, at, (word >>> 5) & 31)
      return within((page < 0 ? 0 : this.#pageAt(page)) + lowOf(kind, word), image.span)
    }
    const table = kind === kinds.table ? this.#place.of(this.#table.of(at)) : 0
    const high = kind === kinds.pointer ? view.getInt32(at + 4, true) : 0
    return within(targetOf(kind, word, high, this.#place.of(at), table, image), image.span)
  }

  #pageAt(at: number): number {
    return targetOf(kinds.page, this.#view.getInt32(at, true), 0, this.#place.of(at), 0, this.#image)
  }
}

/** The first low bits that belong to the page of an ADRP at `at`, or 0. */
function lowBehind({ marks }: Marked, view: DataView, at: number, register: number): number {
  for (let next = at + 4; next <= at + pairedWithin && next + 4 <= view.byteLength; next += 4) {
    const kind = marks[next] as number
    if (kind < kinds.low || kind > kinds.low4) continue
    const word = view.getInt32(next, true)
    if (((word >>> 5) & 31) === register) return lowOf(kind, word)
  }
  return 0
}

/** Where the ADRP is that low bits at `at` belong to, or -1. */
function pageBefore({ marks }: Marked, view: DataView, at: number, register: number): number {
  for (let before = at - 4; before >= Math.max(0, at - pairedWithin); before -= 4) {
    if (marks[before] === kinds.page && (view.getInt32(before, true) & 31) === register) return before
  }
  return -1
}

function within(target: number, span: number): number {
  return target < 0 ? 0 : target > span ? span : target
}

/** The address of a place in the file; what is not loaded lies behind the image. Best asked in order. */
export class AddressReader {
  readonly #segments: readonly ElfSegment[]
  readonly #span: number
  /** What the last place that was asked for is in. */
  #start = 0
  #end = 0
  #shift = 0

  constructor({ layout: { segments }, span }: ImageLayout) {
    this.#segments = segments
    this.#span = span
  }

  of(at: number): number {
    if (at < this.#start || at >= this.#end) this.#find(at)
    return at + this.#shift
  }

  #find(at: number): void {
    const segment = this.#segments.find(({ offset, fileSize }) => at >= offset && at < offset + fileSize)
    this.#start = segment === undefined ? at : segment.offset
    this.#end = segment === undefined ? at + 1 : segment.offset + segment.fileSize
    this.#shift = segment === undefined ? this.#span : segment.address - segment.offset
  }
}

/** Where the jump table begins that a place is in. */
export class JumpTableReader {
  readonly #tables: readonly number[]
  #found = 0

  constructor({ jumpTables }: Marked) {
    this.#tables = jumpTables
  }

  of(at: number): number {
    const tables = this.#tables
    if (at < (tables[this.#found] ?? 0) || at >= (tables[this.#found + 1] ?? 0)) this.#found = lastAtMost(tables, at)
    return tables[this.#found] ?? at
  }
}

/** In pairs of beginning and end, the last that begins at or before `at`. */
function lastAtMost(tables: readonly number[], at: number): number {
  let [low, high] = [0, tables.length >> 1]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((tables[2 * middle] as number) <= at) low = middle + 1
    else high = middle
  }
  return Math.max(0, 2 * (low - 1))
}
