import { sectionTypes } from '../../../format/elf.ts'
import { markBased, markHere, markPointer } from './marking.ts'
import { bases, kinds } from './reference.ts'
import type { ElfSection } from '../../../format/elf.ts'
import type { Marked } from './image.ts'

/**
 * References in the tables of an ELF file: relocations, symbols, hash tables of them (gABI chapter 5; the GNU hash table as
 * its readers document it), and the tables for unwinding (Linux Standard Base 5.0, 10.6; DWARF 4, 6.4).
 */

/** Marks what it finds; answers the sections that need no other look. */
export function findInElfTables(image: Marked): readonly ElfSection[] {
  const { sections } = image.layout
  const symbols = sections.find(({ type, isLoaded }) => type === sectionTypes.dynamicSymbols && isLoaded)
  const strings = sections.find(({ name, isLoaded }) => name === '.dynstr' && isLoaded)
  if (symbols !== undefined) image.bases[bases.symbols] = symbols.address
  if (strings !== undefined) image.bases[bases.strings] = strings.address
  return sections.filter((section) => findIn(image, section, symbols))
}

function findIn(image: Marked, section: ElfSection, symbols: ElfSection | undefined): boolean {
  const view = new DataView(image.bytes.buffer, image.bytes.byteOffset, image.bytes.length)
  if (section.type === sectionTypes.rela) findInRela(image, view, section, symbols)
  else if (section.type === sectionTypes.relr) findInRelr(image, view, section)
  else if (section.type === sectionTypes.symbols || section === symbols) findInSymbols(image, view, section)
  else if (section.name === '.gnu.hash') findInGnuHash(image, view, section)
  else if (section.name === '.hash') findInHash(image, view, section)
  else if (section.name === '.eh_frame_hdr' && section.isLoaded) findInFrameIndex(image, view, section)
  else if (section.name === '.eh_frame' && section.isLoaded) findInFrames(image, view, section)
  else return false
  return true
}

const relaSize = 24

function findInRela(image: Marked, view: DataView, { offset, size }: ElfSection, symbols: ElfSection | undefined): void {
  for (let at = offset; at + relaSize <= offset + size; at += relaSize) {
    markPointer(image, view, at)
    markPointer(image, view, at + 16)
    if (symbols !== undefined && view.getUint32(at + 12, true) !== 0) markBased(image, view, at + 12, bases.symbols)
  }
}

/** Even entries are addresses, odd ones bitmaps. */
function findInRelr(image: Marked, view: DataView, { offset, size }: ElfSection): void {
  for (let at = offset; at + 8 <= offset + size; at += 8) if ((view.getUint8(at) & 1) === 0) markPointer(image, view, at)
}

const symbolSize = 24

function findInSymbols(image: Marked, view: DataView, section: ElfSection): void {
  const { offset, size, type } = section
  for (let at = offset; at + symbolSize <= offset + size; at += symbolSize) {
    if (type === sectionTypes.dynamicSymbols && view.getUint32(at, true) !== 0) markBased(image, view, at, bases.strings)
    markPointer(image, view, at + 8)
  }
}

function findInGnuHash(image: Marked, view: DataView, { offset, size }: ElfSection): void {
  if (size < 16) return
  const start = offset + 16 + view.getUint32(offset + 8, true) * 8
  const end = Math.min(offset + size, start + view.getUint32(offset, true) * 4)
  markSymbols(image, view, start, end)
}

function findInHash(image: Marked, view: DataView, { offset, size }: ElfSection): void {
  markSymbols(image, view, offset + 8, offset + size)
}

function markSymbols(image: Marked, view: DataView, start: number, end: number): void {
  for (let at = start; at + 4 <= end; at += 4) {
    if (view.getUint32(at, true) !== 0) markBased(image, view, at, bases.symbols)
  }
}

/** A table of pairs, first address and entry in .eh_frame, both relative to the section. */
function findInFrameIndex(image: Marked, view: DataView, { offset, size, address }: ElfSection): void {
  image.bases[bases.frameIndex] = address
  if (size >= 8) markHere(image, view, offset + 4, address + 4)
  for (let at = offset + 12; at + 4 <= offset + size; at += 4) {
    const target = address + view.getInt32(at, true)
    if (target >= 0 && target < image.span) image.marks[at] = kinds.based + bases.frameIndex
  }
}

/** Entries for functions (FDE) and what is common to several of them (CIE). */
function findInFrames(image: Marked, view: DataView, { offset, size, address }: ElfSection): void {
  const end = offset + size
  const hasHandlers = handlersReader(view, offset)
  for (let at = offset; at + 24 <= end;) {
    const length = view.getUint32(at, true)
    const next = at + 4 + length
    if (length < 8 || next > end) return
    const back = view.getUint32(at + 4, true)
    const here = address + at - offset
    if (back === 0) findInCommonFrame(image, view, at, next, here)
    else {
      image.marks[at + 4] = kinds.back
      markHere(image, view, at + 8, here + 8)
      if (at + 21 <= next && view.getUint8(at + 16) === 4 && hasHandlers(at + 4 - back)) markHere(image, view, at + 17, here + 17)
    }
    at = next
  }
}

/** Whether the functions of the CIE at a place have tables of handlers (`L`). Most ask for the same one as the one before. */
function handlersReader(view: DataView, start: number): (at: number) => boolean {
  let asked = -1
  let answer = false
  return (at) => {
    if (at < start) return false
    if (at !== asked) answer = view.getUint32(at + 4, true) === 0 && /^z.*L/s.test(augmentationOf(view, at))
    asked = at
    return answer
  }
}

const relativeEncoding = 0x1b

function findInCommonFrame(image: Marked, view: DataView, at: number, end: number, here: number): void {
  const text = augmentationOf(view, at)
  // Behind it: alignment of code and of data, the return address, the size of what follows; each one byte in practice.
  const encoding = at + 9 + text.length + 1 + 4
  if (text.startsWith('zP') && encoding + 5 <= end && (view.getUint8(encoding) & 0x1f) === relativeEncoding)
    markHere(image, view, encoding + 1, here + encoding + 1 - at)
}

const mostAugmentation = 8

/** Letters that say what a CIE and its FDEs hold. */
function augmentationOf(view: DataView, at: number): string {
  let text = ''
  for (let next = at + 9; next < view.byteLength && text.length < mostAugmentation; next++) {
    const byte = view.getUint8(next)
    if (byte === 0) break
    text += String.fromCharCode(byte)
  }
  return text
}
