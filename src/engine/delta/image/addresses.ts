import { kinds } from './reference.ts'
import { pairedWithin } from './arm64.ts'
import { behindOperand, lowOf, targetOf } from './value.ts'
import type { ImageLayout, Marked } from './image.ts'

/** From places in the file of an image to addresses and the targets of its references. */

/** Targets of references, best asked in the order of the file. Of a page and of low bits it is the whole address. */
export function targetReader(image: Marked): (at: number, kind: number) => number {
  const { bytes, span } = image
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const place = addressReader(image)
  const tableOf = jumpTableReader(image)
  const pageAt = (at: number): number => targetOf(kinds.page, view.getInt32(at, true), 0, place(at), 0, image)
  return (at, kind) => {
    const word = view.getInt32(at, true)
    // Nearly all of them: relative to what is behind the operand.
    if (kind <= kinds.data4) return within(place(at) + (behindOperand[kind] as number) + word, span)
    if (kind === kinds.page) return within(pageAt(at) + lowBehind(image, view, at, word & 31), span)
    if (kind >= kinds.low && kind <= kinds.low4) {
      const page = pageBefore(image, view, at, (word >>> 5) & 31)
      return within((page < 0 ? 0 : pageAt(page)) + lowOf(kind, word), span)
    }
    const table = kind === kinds.table ? place(tableOf(at)) : 0
    return within(targetOf(kind, word, kind === kinds.pointer ? view.getInt32(at + 4, true) : 0, place(at), table, image), span)
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
export function addressReader({ layout: { segments }, span }: ImageLayout): (at: number) => number {
  let start = 0
  let end = 0
  let shift = 0
  return (at) => {
    if (at < start || at >= end) {
      const segment = segments.find(({ offset, fileSize }) => at >= offset && at < offset + fileSize)
      start = segment === undefined ? at : segment.offset
      end = segment === undefined ? at + 1 : segment.offset + segment.fileSize
      shift = segment === undefined ? span : segment.address - segment.offset
    }
    return at + shift
  }
}

/** Where the jump table begins that a place is in. */
export function jumpTableReader({ jumpTables }: Marked): (at: number) => number {
  let found = 0
  return (at) => {
    if (at < (jumpTables[found] ?? 0) || at >= (jumpTables[found + 1] ?? 0)) found = lastAtMost(jumpTables, at)
    return jumpTables[found] ?? at
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
