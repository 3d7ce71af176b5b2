/**
 * What a reader's time allows. Making an executable or a gzip file takes five to ten times as long as plain matching does: of a program
 * all may be made so, of a system as much as lets a reader make about 100 MB/s.
 */

/** What is larger is a system. */
export const largestProgram: number = 64 << 20

const systemShare = 32

/** How many bytes of executables, and as many of contents of gzip files, may be in a new side of this size. */
export function roomForCostly(newSize: number): number {
  return newSize <= largestProgram ? Infinity : Math.floor(newSize / systemShare)
}
