import { readElf, sectionTypes } from '../../../format/elf.ts'
import { targetReader } from './addresses.ts'
import { findInArm64 } from './arm64.ts'
import { findInElfTables } from './elf-tables.ts'
import { findInGoTables } from './go-tables.ts'
import { findPointers } from './pointers.ts'
import { mostImageSize, mostReferences, packReference, setBit } from './image.ts'
import { baseCount, kinds, widthOf } from './reference.ts'
import { newScratch } from './scratch.ts'
import { findInX86 } from './x86-64.ts'
import type { CodeRange, Found, Image, Marked, ReferenceList } from './image.ts'
import type { Scratch } from './scratch.ts'
import type { ElfLayout } from '../../../format/elf.ts'

/** Undefined for what is no executable that is understood. `scratch`: see there how long the answer lives. */
export function findReferences(bytes: Uint8Array, scratch: Scratch = newScratch()): Image | undefined {
  const layout = readElf(bytes)
  if (layout === undefined || bytes.length > mostImageSize) return undefined
  const { base, span, isFixed } = layout
  const found: Found = {
    base,
    span,
    isFixed,
    marks: scratch.bytes('marks', bytes.length),
    dataTargets: scratch.words('dataTargets', (span >>> 7) + 1),
    targets: scratch.words('targets', (span >>> 5) + 1),
    jumpTables: [],
    bases: new Float64Array(baseCount),
    scratch,
  }
  const image = { bytes, layout, ...found }
  const findInCode = layout.machine === 'x86-64' ? findInX86 : findInArm64
  for (const range of codeRanges(layout)) findInCode(bytes, range, found)
  const tables = [...findInElfTables(image), ...findInGoTables(image)]
  findPointers(image, new Set(tables))
  const references = listReferences(image)
  return references === undefined ? undefined : { ...image, references }
}

/**
 * Lists what is marked, of marks that overlap the first; the addresses of targets, and of the bases, become bits. Undefined
 * where there are more than a reader has room for.
 */
function listReferences(image: Marked): ReferenceList | undefined {
  const { marks, targets, bases, scratch } = image
  const room = mostReferences(marks.length)
  const [packed, listed] = [scratch.words('references', room), scratch.words('referenceTargets', room)]
  const words = new Uint32Array(marks.buffer, marks.byteOffset, marks.length >> 2)
  const targetAt = targetReader(image)
  // Finders note here what they come to; of a mark that does not count nothing stays.
  targets.fill(0)
  let count = 0
  for (let at = 0; at < marks.length; at++) {
    while ((at & 3) === 0 && words[at >> 2] === 0) at += 4
    const kind = marks[at] ?? kinds.none
    if (kind === kinds.none) continue
    const end = at + widthOf(kind)
    if (end > marks.length) break
    if (count === room) return undefined
    const target = targetAt(at, kind)
    setBit(targets, target)
    packed[count] = packReference(at, kind)
    listed[count++] = target
    at = end - 1
  }
  for (const base of bases) setBit(targets, base)
  return { count, packed, targets: listed }
}

function codeRanges(layout: ElfLayout): readonly CodeRange[] {
  const sections = layout.sections.filter(({ isCode, type, isLoaded }) => isCode && isLoaded && type === sectionTypes.programBits)
  if (sections.length > 0) return sections.map(({ offset, size, address }) => ({ offset, end: offset + size, address }))
  return layout.segments
    .filter(({ isCode }) => isCode)
    .map(({ offset, fileSize, address }) => ({ offset, end: offset + fileSize, address }))
}
