import { sectionTypes } from '../../../format/elf.ts'
import { markPointer } from './marking.ts'
import { kinds } from './reference.ts'
import type { ElfSection } from '../../../format/elf.ts'
import type { Marked } from './image.ts'

/** References in data whose structure nobody tells: pointers where they are aligned, and jump tables where code points. */
export function findPointers(image: Marked, done: ReadonlySet<ElfSection>): void {
  for (const section of dataRanges(image)) {
    if (done.has(section)) continue
    findInData(image, section)
    if (!section.isWritable) findJumpTables(image, section)
  }
}

const dataTypes: ReadonlySet<number> = new Set([
  sectionTypes.programBits,
  sectionTypes.initArray,
  sectionTypes.initArray + 1,
  sectionTypes.preinitArray,
  sectionTypes.dynamic,
])

/** In the order of the file; segments where there are no sections. */
function dataRanges({ layout }: Marked): readonly ElfSection[] {
  if (layout.sections.length > 0) {
    const data = layout.sections.filter(({ type, isLoaded, isCode }) => isLoaded && !isCode && dataTypes.has(type))
    return data.sort((a, b) => a.offset - b.offset)
  }
  const segments = layout.segments.filter(({ isCode, fileSize }) => !isCode && fileSize > 0)
  return segments.map((segment) => ({ ...segment, name: '', type: sectionTypes.programBits, size: segment.fileSize, isLoaded: true }))
}

/** Small numbers in data are seldom addresses. */
const leastAddress = 0x10000

function findInData(image: Marked, { offset, size, address }: ElfSection): void {
  const view = new DataView(image.bytes.buffer, image.bytes.byteOffset, image.bytes.length)
  const first = offset + ((8 - ((address + image.base) & 7)) & 7)
  for (let at = first; at + 8 <= offset + size; at += 8) {
    const high = view.getInt32(at + 4, true)
    if (high === 0 && view.getUint32(at, true) < leastAddress) continue
    markPointer(image, view, at)
  }
}

/** More than programs have; they are listed in memory that nobody counts. */
function mostTables(size: number): number {
  return Math.max(64, size >> 7)
}

/** Entries are addresses of code relative to the table; they end where the next table begins or one makes no sense. */
function findJumpTables(image: Marked, { offset, size, address }: ElfSection): void {
  const { marks, dataTargets, jumpTables, bytes } = image
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const isTarget = (place: number): boolean => ((dataTargets[place >>> 7] as number) & (1 << ((place >>> 2) & 31))) !== 0
  const behindLast = jumpTables.at(-1) ?? 0
  const most = 2 * mostTables(bytes.length)
  for (let start = (address + 3) & ~3; start + 8 <= address + size && jumpTables.length < most; start += 4) {
    // Sections may overlap in a file that lies, tables must not.
    if (!isTarget(start) || start - address + offset < behindLast) continue
    let end = start
    while (
      end + 4 <= address + size &&
      (end === start || !isTarget(end)) &&
      isCodeAt(image, start, view.getInt32(end - address + offset, true))
    )
      end += 4
    if (end - start < 8) continue
    const at = start - address + offset
    jumpTables.push(at, at + end - start)
    for (let entry = at; entry < at + end - start; entry += 4) marks[entry] = kinds.table
    start = end - 4
  }
}

/** Code that a table refers to: not close to the table itself, as small numbers would be. */
function isCodeAt({ layout: { segments } }: Marked, start: number, value: number): boolean {
  if (value > -16 && value < 16) return false
  const target = start + value
  return segments.some(({ isCode, address, fileSize }) => isCode && target >= address && target < address + fileSize)
}
