import { baseUnits, kinds } from './reference.ts'

/** What the values of references are relative to, in one image. */
export type Frame = { readonly base: number; readonly bases: Float64Array }

/** Of the kinds relative to the instruction pointer: from the operand's first byte to the end of the instruction. */
export const behindOperand: readonly number[] = [0, 4, 4, 5, 6, 8]

/** Bits of an instruction that are no part of its reference. */
export function fixedBits(kind: number): number {
  switch (kind) {
    case kinds.branch26:
      return 0xfc00_0000 | 0
    case kinds.branch19:
      return 0xff00_001f | 0
    case kinds.branch14:
      return 0xfff8_001f | 0
    case kinds.page:
      return 0x9f00_001f | 0
    case kinds.low:
    case kinds.low1:
    case kinds.low2:
    case kinds.low3:
    case kinds.low4:
      return 0xffc0_03ff | 0
    default:
      return 0
  }
}

/**
 * The target of a reference whose place has the address `here` and holds `word` (of a pointer its low half, with `high`).
 * `table`: the address of the jump table that it is in. A page is an address as well; the low kinds give low bits only.
 */
export function targetOf(kind: number, word: number, high: number, here: number, table: number, frame: Frame): number {
  switch (kind) {
    case kinds.branch:
    case kinds.data:
    case kinds.data1:
    case kinds.data2:
    case kinds.data4:
      return here + (behindOperand[kind] as number) + word
    case kinds.here:
      return here + word
    case kinds.pointer:
      return high * 2 ** 32 + (word >>> 0) - frame.base
    case kinds.absolute:
      return word - frame.base
    case kinds.back:
      return here - word
    case kinds.table:
      return table + word
    case kinds.branch26:
    case kinds.branch19:
    case kinds.branch14:
      return here + 4 * fieldOf(kind, word)
    case kinds.page:
      return here - pageRest(here, frame.base) + 4096 * fieldOf(kind, word)
    case kinds.low:
    case kinds.low1:
    case kinds.low2:
    case kinds.low3:
    case kinds.low4:
      return lowOf(kind, word)
    default: {
      const number = kind - kinds.based
      return (frame.bases[number] as number) + (baseUnits[number] as number) * (kind === kinds.based ? word : word >>> 0)
    }
  }
}

/** The (low) word that means `target`; bits of an instruction that are fixed come from `old`. */
export function wordOf(kind: number, target: number, here: number, table: number, frame: Frame, old: number): number {
  switch (kind) {
    case kinds.branch:
    case kinds.data:
    case kinds.data1:
    case kinds.data2:
    case kinds.data4:
      return (target - here - (behindOperand[kind] as number)) | 0
    case kinds.here:
      return (target - here) | 0
    case kinds.pointer:
    case kinds.absolute:
      return (target + frame.base) | 0
    case kinds.back:
      return (here - target) | 0
    case kinds.table:
      return (target - table) | 0
    case kinds.branch26:
    case kinds.branch19:
    case kinds.branch14:
      return withField(kind, old, (target - here) >> 2)
    case kinds.page:
      return withField(kind, old, Math.floor((target - pageRest(target, frame.base) - here + pageRest(here, frame.base)) / 4096) | 0)
    case kinds.low:
    case kinds.low1:
    case kinds.low2:
    case kinds.low3:
    case kinds.low4:
      return withField(kind, old, pageRest(target, frame.base) >> (kind - kinds.low))
    default: {
      const number = kind - kinds.based
      return Math.floor((target - (frame.bases[number] as number)) / (baseUnits[number] as number)) | 0
    }
  }
}

/** Of the low kinds. */
export function lowOf(kind: number, word: number): number {
  return ((word >>> 10) & 0xfff) << (kind - kinds.low)
}

/** The bits of a word that are its reference, as a number. */
export function fieldOf(kind: number, word: number): number {
  switch (kind) {
    case kinds.branch26:
      return (word << 6) >> 6
    case kinds.branch19:
      return (word << 8) >> 13
    case kinds.branch14:
      return (word << 13) >> 18
    case kinds.page:
      return ((word >>> 29) & 3) | (((word << 8) >> 13) << 2)
    case kinds.low:
    case kinds.low1:
    case kinds.low2:
    case kinds.low3:
    case kinds.low4:
      return (word >>> 10) & 0xfff
    default:
      return word
  }
}

/** `word` with other bits for its reference. */
export function withField(kind: number, word: number, field: number): number {
  const rest = word & fixedBits(kind)
  switch (kind) {
    case kinds.branch26:
      return rest | (field & 0x3ff_ffff)
    case kinds.branch19:
      return rest | ((field & 0x7_ffff) << 5)
    case kinds.branch14:
      return rest | ((field & 0x3fff) << 5)
    case kinds.page:
      return rest | ((field & 3) << 29) | (((field >> 2) & 0x7_ffff) << 5)
    case kinds.low:
    case kinds.low1:
    case kinds.low2:
    case kinds.low3:
    case kinds.low4:
      return rest | ((field & 0xfff) << 10)
    default:
      return field
  }
}

/** What an address, counted from the base, is above its page. */
export function pageRest(address: number, base: number): number {
  return (address + (base & 4095)) & 4095
}
