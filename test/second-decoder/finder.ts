import { mod, need } from './bytes.ts'
import { scanArm64, sweepX86 } from './code.ts'
import { addressOf, isCode, isWritable, readLayout, readSections, textAt } from './elf.ts'
import { markGo } from './go.ts'
import { targetOf } from './kinds.ts'
import type { ByteView } from './bytes.ts'
import type { Layout, Section, Segment } from './elf.ts'

export type Reference = { readonly place: number; readonly kind: number; readonly target: number }

/** What is known of an old image while its references are marked. */
export class Finder {
  readonly file: ByteView
  readonly layout: Layout
  readonly sections: readonly Section[]
  readonly isFixed: boolean
  /** The kind of reference at each place of the file, or 0. */
  readonly marks: Uint8Array
  readonly bases = new Array<number>(12).fill(0)
  /** Addresses. */
  readonly pointedAt = new Set<number>()
  /** Where the jump table begins of which a place is an entry. */
  readonly tableOf = new Map<number, number>()
  readonly done = new Set<Segment>()
  tables = 0

  constructor(file: ByteView, layout: Layout) {
    this.file = file
    this.layout = layout
    this.sections = readSections(file, layout)
    this.isFixed = file.u16(16) === 2
    this.marks = new Uint8Array(file.bytes.length)
  }

  targetAt(place: number, kind: number): number {
    const table = kind === 10 ? addressOf(this.layout, this.tableOf.get(place) as number) : 0
    const word = { low: this.file.i32(place), high: kind === 7 ? this.file.i32(place + 4) : 0 }
    const here = kind < 7 || (kind > 8 && kind < 20) ? addressOf(this.layout, place) : 0
    return targetOf(kind, word, here, table, { base: this.layout.base, bases: this.bases })
  }

  /** If it is within: its target. */
  mark(place: number, kind: number): number | undefined {
    const target = this.targetAt(place, kind)
    const least = kind === 7 || kind === 8 ? 0x1000 : kind === 12 ? -4096 : 0
    if (target < least || target >= this.layout.span) return undefined
    this.marks[place] = kind
    return target
  }

  markUnless(word: number, place: number, kind: number): boolean {
    return this.file.u32(place) !== word && this.mark(place, kind) !== undefined
  }
}

export function findReferences(file: ByteView): { readonly finder: Finder; readonly references: readonly Reference[] } {
  const layout = readLayout(file, file.bytes.length)
  need(layout !== undefined && file.bytes.length <= 2 ** 27, 'an old image that is none')
  const finder = new Finder(file, layout)
  const sections = finder.sections.filter((one) => one.isLoaded && one.type === 1 && (one.flags & isCode.section) !== 0)
  const scan = file.u16(18) === 62 ? sweepX86 : scanArm64
  for (const { offset, size } of sections.length > 0 ? sections : layout.segments.filter((one) => (one.flags & isCode.segment) !== 0))
    scan(finder, offset, offset + size)
  markElf(finder)
  markGo(finder)
  markData(finder)
  return { finder, references: listed(finder) }
}

function markElf(finder: Finder): void {
  const { file, sections, bases } = finder
  const symbols = sections.find((one) => one.type === 11 && one.isLoaded)
  bases[8] = symbols?.address ?? 0
  bases[9] = sections.find((one) => one.name === '.dynstr' && one.isLoaded)?.address ?? 0
  for (const section of sections) {
    const { name, type, offset, size, isLoaded } = section
    const each = (step: number, mark: (at: number) => void, from = offset, end = offset + size): void => {
      for (let at = from; at + step <= end; at += step) mark(at)
    }
    const symbol = (at: number): boolean => finder.markUnless(0, at, 28)
    if (type === 4) {
      each(24, (at) => {
        finder.mark(at, 7)
        finder.mark(at + 16, 7)
        if (symbols) symbol(at + 12)
      })
    } else if (type === 19) each(8, (at) => file.u8(at) % 2 === 0 && finder.mark(at, 7))
    else if (type === 2 || section === symbols) {
      each(24, (at) => {
        if (type === 11) finder.markUnless(0, at, 29)
        finder.mark(at + 8, 7)
      })
    } else if (name === '.gnu.hash' && size >= 16) {
      const start = offset + 16 + 8 * file.u32(offset + 8)
      each(4, symbol, start, Math.min(offset + size, start + 4 * file.u32(offset)))
    } else if (name === '.hash') each(4, symbol, offset + 8)
    else if (name === '.eh_frame_hdr' && isLoaded) {
      bases[0] = section.address
      if (size >= 8) finder.mark(offset + 4, 6)
      each(4, (at) => finder.mark(at, 20), offset + 12)
    } else if (name === '.eh_frame' && isLoaded) markFrames(finder, offset, offset + size)
    else if (name !== '.gnu.hash') continue
    finder.done.add(section)
  }
}

function markFrames(finder: Finder, start: number, end: number): void {
  const { file } = finder
  for (let at = start, next; end - at >= 24; at = next) {
    next = at + 4 + file.u32(at)
    if (file.u32(at) < 8 || next > end) return
    const letters = textAt(file, at + 9, 8)
    const encoding = at + 9 + letters.length + 5
    if (file.u32(at + 4) === 0) {
      if (letters.startsWith('zP') && encoding + 5 <= next && (file.u8(encoding) & 31) === 0x1b) finder.mark(encoding + 1, 6)
      continue
    }
    finder.marks[at + 4] = 9
    finder.mark(at + 8, 6)
    const common = at + 4 - file.u32(at + 4)
    if (next - at < 21 || file.u8(at + 16) !== 4 || common < start || file.u32(common + 4) !== 0) continue
    const commonLetters = textAt(file, common + 9, 8)
    if (commonLetters.startsWith('z') && commonLetters.includes('L')) finder.mark(at + 17, 6)
  }
}

function markData(finder: Finder): void {
  const { file, layout, sections, done } = finder
  const isData = (one: Section): boolean =>
    one.isLoaded && (one.flags & isCode.section) === 0 && [1, 6, 14, 15, 16].includes(one.type) && !done.has(one)
  const isWritableBit = sections.length > 0 ? isWritable.section : isWritable.segment
  const ranges = sections.length > 0 ? sections.filter(isData) : layout.segments.filter((one) => (one.flags & isCode.segment) === 0)
  let tablesEnd = 0
  for (const range of ranges.toSorted((a, b) => a.offset - b.offset)) {
    const { offset, size, address } = range
    for (let at = offset + mod(-(address + layout.base), 8); at + 8 <= offset + size; at += 8)
      if (file.i32(at + 4) !== 0 || file.u32(at) >= 0x1_0000) finder.mark(at, 7)
    if ((range.flags & isWritableBit) === 0) tablesEnd = markJumpTables(finder, range, tablesEnd)
  }
}

/** Where the last table ends. */
function markJumpTables(finder: Finder, { offset, size, address }: Segment, tablesEnd: number): number {
  const { file, layout, pointedAt, marks, tableOf } = finder
  const shift = address - offset
  const isEntry = (at: number, start: number): boolean => {
    const word = file.i32(at)
    const to = start + shift + word
    const isInCode = layout.segments.some((one) => (one.flags & isCode.segment) !== 0 && to >= one.address && to < one.address + one.size)
    return (at === start || !pointedAt.has(at + shift)) && Math.abs(word) > 15 && isInCode
  }
  for (let start = Math.ceil(address / 4) * 4 - shift; start + 8 <= offset + size; start += 4) {
    if (start < tablesEnd || !pointedAt.has(start + shift)) continue
    if (finder.tables >= Math.max(64, file.bytes.length / 128)) break
    let end = start
    while (end + 4 <= offset + size && isEntry(end, start)) end += 4
    if (end - start < 8) continue
    finder.tables++
    for (let at = start; at < end; at += 4) {
      marks[at] = 10
      tableOf.set(at, start)
    }
    tablesEnd = end
    start = end - 4
  }
  return tablesEnd
}

function listed(finder: Finder): readonly Reference[] {
  const { file, marks, layout } = finder
  const references: Reference[] = []
  for (let place = 0; place < marks.length; place++) {
    const kind = marks[place] as number
    if (kind === 0) continue
    const width = kind === 7 ? 8 : 4
    if (place + width > marks.length) break
    const target = finder.targetAt(place, kind) + partner(finder, place, kind)
    references.push({ place, kind, target: Math.max(0, Math.min(layout.span, target)) })
    place += width - 1
  }
  need(references.length <= Math.max(512, file.bytes.length / 8), 'too many references')
  return references
}

/** What the other half of a page and its low bits adds to the target. */
function partner(finder: Finder, place: number, kind: number): number {
  const { file, marks } = finder
  const isLow = kind >= 13 && kind <= 17
  if (kind !== 12 && !isLow) return 0
  for (let i = 1; i <= 6; i++) {
    const other = isLow ? place - 4 * i : place + 4 * i
    const otherKind = marks[other] ?? 0
    if (!(isLow ? otherKind === 12 : otherKind >= 13 && otherKind <= 17) || other + 4 > marks.length) continue
    const [page, low] = isLow ? [other, place] : [place, other]
    if ((file.u32(page) & 31) === ((file.u32(low) >>> 5) & 31)) return finder.targetAt(other, otherKind)
  }
  return 0
}
