/**
 * What a reader's time allows. Making an executable or a gzip file takes five to twenty times as long as plain matching does:
 * of a program all may be made so, of a system as much as lets a reader make about 100 MB/s.
 */

/** What is larger is a system. */
export const largestProgram: number = 64 << 20

/** How many bytes of a new side of this size may be executables. */
export function roomForImages(newSize: number): number {
  return newSize <= largestProgram ? Infinity : Math.floor(newSize / 5)
}

/** How many bytes of contents of gzip files. */
export function roomForGzip(newSize: number): number {
  return newSize <= largestProgram ? Infinity : Math.floor(newSize / 24)
}
