import { lstatSync, readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Stats } from 'node:fs'
import type { TreePair } from './harness.ts'

/** What an update writes, and what it would have to. */

/** From strace's lines: what was written to files below `root`, and not to a pipe or a terminal. */
export function bytesWritten(trace: string, root: string): number {
  let sum = 0
  const begun = new Map<string, string>()
  for (const line of readFileSync(trace, 'latin1').split('\n')) {
    // A call that another process came between is told in two lines.
    const [, process, rest] = /^(\d+) +(.*)$/.exec(line) ?? []
    if (process === undefined || rest === undefined) continue
    const [, path = begun.get(process)] = /^(?:copy_file_range\(\d+<[^>]*>, NULL, |\w+\()\d+<([^>]*)>/.exec(rest) ?? []
    if (rest.endsWith('<unfinished ...>')) begun.set(process, path ?? '')
    const [, count] = /\) += (\d+)$/.exec(rest) ?? []
    if (count !== undefined && path?.startsWith(`${root}/`) === true) sum += Number(count)
  }
  return sum
}

export function changedBytes({ old, new: next }: TreePair): number {
  const seen = new Set<number>()
  let sum = 0
  for (const path of filesBelow(next)) {
    const stat = lstatSync(join(next, path))
    if (seen.has(stat.ino) || isSame(join(old, path), join(next, path), stat)) continue
    seen.add(stat.ino)
    sum += stat.size
  }
  return sum
}

function filesBelow(root: string): readonly string[] {
  return readdirSync(root, { recursive: true, withFileTypes: true }).flatMap((entry) =>
    entry.isFile() ? [join(entry.parentPath, entry.name).slice(root.length + 1)] : [],
  )
}

function isSame(old: string, next: string, { size }: Stats): boolean {
  const stat = lstatSync(old, { throwIfNoEntry: false })
  return stat?.isFile() === true && stat.size === size && readFileSync(old).equals(readFileSync(next))
}
