import type { Disk } from '../../src/port/disk.ts'

const readers: ReadonlySet<string> = new Set([
  'capabilities',
  'lstat',
  'readdir',
  'readlink',
  'read',
  'digest',
  'xattrsOf',
  'flagsOf',
  'space',
  'refusalsOf',
  'mountPointsAmong',
])

/** Tells of every changing call before it happens. */
export function countingDisk(inner: Disk, tell: (count: number) => void): { readonly disk: Disk; count(): number } {
  let count = 0
  const counted =
    (call: (...args: readonly unknown[]) => unknown) =>
    (...args: readonly unknown[]): unknown => {
      tell(++count)
      return call(...args)
    }
  const calls = Object.entries(inner) as [string, (...args: readonly unknown[]) => unknown][]
  return {
    disk: Object.fromEntries(calls.map(([name, call]) => [name, readers.has(name) ? call : counted(call)])) as Disk,
    count: () => count,
  }
}
