/**
 * What can hold an address in an executable. A reference is a place in the file, of four or eight bytes, and its kind; the
 * address that it means is its target. Targets count from the base of the image.
 */

/** By number in the format. `Pc`: relative to the end of the operand, plus that many bytes of the instruction behind it. */
export const kinds = {
  none: 0,
  /** Operand of a call, jump or conditional jump. */
  branch: 1,
  /** Displacement from the instruction pointer; behind it an immediate of 0, 1, 2 or 4 bytes. */
  data: 2,
  data1: 3,
  data2: 4,
  data4: 5,
  /** Relative to the place itself. */
  here: 6,
  /** 64 bits, absolute. */
  pointer: 7,
  /** 32 bits, absolute, in code that is not to be moved. */
  absolute: 8,
  /** In .eh_frame, how far back the common entry is. */
  back: 9,
  /** In a jump table, relative to the table. */
  table: 10,
  /** AArch64: 26 bits of B and BL. */
  branch26: 11,
  /** The 21 bits of ADRP: a page. */
  page: 12,
  /** The low 12 bits of an address in ADD, and in a load or store of 1, 2, 4, 8 or 16 bytes. */
  low: 13,
  low1: 14,
  low2: 15,
  low3: 16,
  low4: 17,
  /** 19 bits of conditional branches and of CBZ and CBNZ; 14 bits of TBZ and TBNZ. */
  branch19: 18,
  branch14: 19,
  /** 32 bits relative to one of the bases of the image, the number of which is added. */
  based: 20,
} as const

export const kindCount = 32

/** Bases of `based` references. */
export const bases = {
  frameIndex: 0,
  goText: 1,
  goFunctions: 2,
  goNames: 3,
  goTables: 4,
  goUnits: 5,
  goTypes: 6,
  goFuncData: 7,
  symbols: 8,
  strings: 9,
  goFiles: 10,
  goIndex: 11,
} as const

export const baseCount = 12

/** In a `based` reference a value counts in units of so many bytes. */
export const baseUnits: readonly number[] = [1, 1, 1, 1, 1, 4, 1, 1, 24, 1, 1, 8]

export function widthOf(kind: number): number {
  return kind === kinds.pointer ? 8 : 4
}
