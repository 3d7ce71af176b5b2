import { readElf, sectionTypes } from '../../../format/elf.ts'
import { targetReader } from './addresses.ts'
import { findInArm64 } from './arm64.ts'
import { findInElfTables } from './elf-tables.ts'
import { findInGoTables } from './go-tables.ts'
import { findPointers } from './pointers.ts'
import { setBit } from './image.ts'
import { baseCount, kinds, widthOf } from './reference.ts'
import { newScratch } from './scratch.ts'
import { findInX86 } from './x86-64.ts'
import type { CodeRange, Found, Image } from './image.ts'
import type { Scratch } from './scratch.ts'
import type { ElfLayout } from '../../../format/elf.ts'

/** Undefined for what is no executable that is understood. `scratch`: see there how long the answer lives. */
export function findReferences(bytes: Uint8Array, scratch: Scratch = newScratch()): Image | undefined {
  const layout = readElf(bytes)
  if (layout === undefined) return undefined
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
  settle(image)
  collectTargets(image)
  return image
}

/** Of references that overlap the first counts: whoever comes to a mark, from wherever, may take it for one. */
function settle({ marks }: Image): void {
  for (let at = 0; at < marks.length; at++) {
    const kind = marks[at] as number
    if (kind === kinds.none) continue
    const end = at + widthOf(kind)
    if (end > marks.length) return void marks.fill(0, at)
    while (++at < end) marks[at] = 0
    at--
  }
}

/** Bits for the addresses that references mean, and for the bases. Only of marks that stay: a page asks those behind it. */
function collectTargets(image: Image): void {
  const { marks, targets, bases } = image
  const targetAt = targetReader(image)
  for (let at = 0; at < marks.length; at++) if (marks[at] !== kinds.none) setBit(targets, targetAt(at, marks[at] as number))
  for (const base of bases) setBit(targets, base)
}

function codeRanges(layout: ElfLayout): readonly CodeRange[] {
  const sections = layout.sections.filter(({ isCode, type, isLoaded }) => isCode && isLoaded && type === sectionTypes.programBits)
  if (sections.length > 0) return sections.map(({ offset, size, address }) => ({ offset, end: offset + size, address }))
  return layout.segments
    .filter(({ isCode }) => isCode)
    .map(({ offset, fileSize, address }) => ({ offset, end: offset + fileSize, address }))
}
