import { readElf, sectionTypes } from '../../../format/elf.ts'
import { TargetReader } from './addresses.ts'
import { findInArm64 } from './arm64.ts'
import { findInElfTables } from './elf-tables.ts'
import { findInGoTables } from './go-tables.ts'
import { findPointers } from './pointers.ts'
import { mostImageSize, mostReferences, packReference, setBit } from './image.ts'
import { baseCount, widthOf } from './reference.ts'
import { newScratch } from './scratch.ts'
import { Targets } from './targets.ts'
import { findInX86 } from './x86-64.ts'
import type { CodeRange, Found, Image, Marked } from './image.ts'
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
    marks: scratch.bytes('marks', bytes.length).fill(0),
    dataTargets: scratch.words('dataTargets', (span >>> 7) + 1).fill(0),
    targets: scratch.words('targets', (span >>> 5) + 1).fill(0),
    jumpTables: [],
    bases: new Float64Array(baseCount),
    scratch,
  }
  const image = { bytes, layout, ...found }
  const findInCode = layout.machine === 'x86-64' ? findInX86 : findInArm64
  for (const range of codeRanges(layout)) findInCode(bytes, range, found)
  const tables = [...findInElfTables(image), ...findInGoTables(image)]
  findPointers(image, new Set(tables))
  const listed = listReferences(image)
  if (listed === undefined) return undefined
  const { count, packed, targets } = listed
  const numbered = scratch.keep(new Targets(image.targets, scratch))
  // Where a target is asked for later its number is wanted, and now the memory of both is at hand.
  for (let i = 0; i < count; i++) targets[i] = numbered.rankOf(targets[i] as number)
  return { ...image, numbered, references: { count, packed, numbers: targets } }
}

/** References with the addresses that they mean, within the image. */
type Listed = { readonly count: number; readonly packed: Uint32Array; readonly targets: Uint32Array }

/**
 * Lists what is marked, of marks that overlap the first; the addresses of targets, and of the bases, become bits. Undefined
 * where there are more than a reader has room for.
 */
function listReferences(image: Marked): Listed | undefined {
  const { marks, targets, bases, scratch } = image
  const room = mostReferences(marks.length)
  const [packed, listed] = [scratch.words('references', room), scratch.words('referenceTargets', room)]
  const words = new Uint32Array(marks.buffer, marks.byteOffset, marks.length >> 2)
  const behindWords = words.length * 4
  const reader = scratch.keep(new TargetReader(image))
  // Finders note here what they come to; of a mark that does not count nothing stays.
  targets.fill(0)
  let count = 0
  for (let at = 0; at < behindWords;) {
    // The marks of a word at once, but for those that the last reference covers.
    const word = (words[at >>> 2] as number) >>> ((at & 3) << 3)
    if (word === 0) {
      at = (at | 3) + 1
      continue
    }
    at += lowestByte(word)
    const kind = marks[at] as number
    const end = at + widthOf(kind)
    if (end > marks.length) break
    if (count === room) return undefined
    const target = reader.targetAt(at, kind)
    setBit(targets, target)
    packed[count] = packReference(at, kind)
    listed[count++] = target
    at = end
  }
  for (const base of bases) setBit(targets, base)
  return { count, packed, targets: listed }
}

/** Which byte of a word is the first that is not zero. */
function lowestByte(word: number): number {
  return (31 - Math.clz32(word & -word)) >>> 3
}

function codeRanges(layout: ElfLayout): readonly CodeRange[] {
  const sections = layout.sections.filter(({ isCode, type, isLoaded }) => isCode && isLoaded && type === sectionTypes.programBits)
  if (sections.length > 0) return sections.map(({ offset, size, address }) => ({ offset, end: offset + size, address }))
  return layout.segments
    .filter(({ isCode }) => isCode)
    .map(({ offset, fileSize, address }) => ({ offset, end: offset + fileSize, address }))
}
