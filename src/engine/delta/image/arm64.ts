import { kinds } from './reference.ts'
import { fieldOf, pageRest } from './value.ts'
import type { CodeRange, Found } from './image.ts'

/**
 * References in AArch64 code (Arm Architecture Reference Manual for A-profile, C4.1): branches of 26 bits, and pages (ADRP)
 * with the low bits of the address in one of the next instructions.
 */

/** How far behind an ADRP its low bits are looked for. */
export const pairedWithin = 24

export function findInArm64(bytes: Uint8Array, { offset, end, address }: CodeRange, found: Found): void {
  const { marks, span } = found
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  for (let at = offset; at + 4 <= end; at += 4) {
    const word = view.getInt32(at, true)
    const here = address + at - offset
    if ((word & 0x7c00_0000) === 0x1400_0000) {
      const target = here + 4 * fieldOf(kinds.branch26, word)
      if (target >= 0 && target < span) marks[at] = kinds.branch26
    } else if ((word & 0xff00_0010) === 0x5400_0000 || (word & 0x7e00_0000) === 0x3400_0000) {
      const target = here + 4 * fieldOf(kinds.branch19, word)
      if (target >= 0 && target < span) marks[at] = kinds.branch19
    } else if ((word & 0x7e00_0000) === 0x3600_0000) {
      const target = here + 4 * fieldOf(kinds.branch14, word)
      if (target >= 0 && target < span) marks[at] = kinds.branch14
    } else if ((word & 0x9f00_0000) === (0x9000_0000 | 0)) {
      const page = here - pageRest(here, found.base) + 4096 * fieldOf(kinds.page, word)
      if (page < -4096 || page >= span) continue
      marks[at] = kinds.page
      markLowBits(view, at, end, word & 31, marks)
    }
  }
}

/** The instructions that take the page's register as their base, up to one that overwrites it. */
function markLowBits(view: DataView, at: number, end: number, register: number, marks: Uint8Array): void {
  for (let next = at + 4; next <= at + pairedWithin && next + 4 <= end; next += 4) {
    const word = view.getInt32(next, true)
    if ((word & 0x9f00_001f) === (0x9000_0000 | register | 0)) return
    if (((word >> 5) & 31) !== register) continue
    const kind = lowKindOf(word)
    if (kind === kinds.none) continue
    marks[next] = kind
    if ((word & 31) === register && (kind === kinds.low || (word & 0x0040_0000) !== 0)) return
  }
}

/** Of ADD (immediate, 64 bits, not shifted) and loads and stores with an unsigned offset. */
export function lowKindOf(word: number): number {
  if ((word & 0xffc0_0000) === (0x9100_0000 | 0)) return kinds.low
  if ((word & 0x3b00_0000) !== 0x3900_0000) return kinds.none
  const isQuad = (word & 0x0480_0000) === 0x0480_0000
  return kinds.low + (isQuad ? 4 : word >>> 30)
}
