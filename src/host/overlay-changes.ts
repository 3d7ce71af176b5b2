import { lstatSync, readdirSync } from 'node:fs'
import { latin1 } from '../base/bytes.ts'
import { joinPath, rootPath } from '../base/path.ts'
import { hostPath } from './host-path.ts'
import { toolError } from './disk-tools.ts'
import { parseDump } from './disk-xattrs.ts'
import { hostExec } from './exec.ts'
import type { BigIntStats } from 'node:fs'
import type { Xattrs } from '../base/entry.ts'
import type { RelPath } from '../base/path.ts'

/** One overlay: folders of the system that show what is below it, its upper directory, and both together. */
export type OverlayFolders = { readonly lower: string; readonly upper: string; readonly merged: string }

/**
 * Paths at which `merged` may differ from `lower`, as the upper directory tells
 * (https://docs.kernel.org/filesystems/overlayfs.html). Its cost is that of what was changed; but the names of an inode are
 * found by looking at all of `lower`, where one of several was changed.
 */
export async function changesOf(folders: OverlayFolders): Promise<ReadonlySet<RelPath>> {
  const changes: Changes = { ...folders, marks: await marksIn(folders.upper), touched: new Set(), inodes: new Map() }
  visit(changes, rootPath)
  for (const path of otherNames(changes)) changes.touched.add(path)
  return changes.touched
}

type Changes = OverlayFolders & {
  readonly marks: ReadonlyMap<RelPath, Xattrs>
  readonly touched: Set<RelPath>
  /** Of `lower`, with several names: how many of them are not yet known to be touched. */
  readonly inodes: Map<bigint, number>
}

const prefix = 'trusted.overlay.'

async function marksIn(upper: string): Promise<ReadonlyMap<RelPath, Xattrs>> {
  const names = `^trusted\\.overlay\\.(opaque|redirect)$`
  const result = await hostExec.run('getfattr', ['-R', '-P', '-h', '-d', '-e', 'hex', '-m', names, '.'], { apart: true, cwd: upper })
  if (result.status !== 0) throw toolError('getfattr', result, upper)
  return parseDump(latin1(result.stdout))
}

function visit(changes: Changes, path: RelPath): void {
  const { upper, lower, merged, marks } = changes
  const marked = (name: string): string | undefined => marks.get(path)?.get(`${prefix}${name}`)
  const stat = statAt(upper, path)
  if (stat === undefined) return
  touch(changes, path)
  // A whiteout, or what stands where a directory may have been.
  if (!stat.isDirectory()) return below(lower, path, (gone) => touch(changes, gone))
  const moved = marked('redirect') !== undefined
  // What the lower directory of this name holds is hidden behind one that came here, or was made anew.
  if (moved || marked('opaque') === 'y') below(lower, path, (hidden) => touch(changes, hidden))
  // All of it is at a new place, though little of it is in the upper directory.
  if (moved) below(merged, path, (come) => touch(changes, come))
  else for (const name of namesAt(upper, path)) visit(changes, joinPath(path, name))
}

/** Whichever name of a file goes, comes or is written through: its other names are the same file, or have one name less. */
function touch(changes: Changes, path: RelPath): void {
  if (changes.touched.has(path)) return
  changes.touched.add(path)
  const stat = statAt(changes.lower, path)
  if (stat === undefined || stat.isDirectory() || stat.nlink < 2n) return
  changes.inodes.set(stat.ino, (changes.inodes.get(stat.ino) ?? Number(stat.nlink)) - 1)
}

function otherNames({ lower, inodes, touched }: Changes): readonly RelPath[] {
  let missing = 0
  for (const names of inodes.values()) missing += names
  const found: RelPath[] = []
  const look = (path: RelPath, stat: BigIntStats): boolean => {
    if (stat.nlink > 1n && !stat.isDirectory() && inodes.has(stat.ino) && !touched.has(path)) {
      found.push(path)
      missing--
    }
    return missing > 0
  }
  if (missing > 0) below(lower, rootPath, look)
  return found
}

/** Everything below a directory of one file system, until `see` answers false. Nothing below what is none. */
function below(root: string, top: RelPath, see: (path: RelPath, stat: BigIntStats) => boolean | void): void {
  const start = statAt(root, top)
  const open = start?.isDirectory() === true ? [top] : []
  for (let folder = open.pop(); folder !== undefined; folder = open.pop()) {
    for (const name of namesAt(root, folder)) {
      const path = joinPath(folder, name)
      const stat = statAt(root, path)
      if (stat === undefined) continue
      if (see(path, stat) === false) return
      if (stat.isDirectory() && stat.dev === start?.dev) open.push(path)
    }
  }
}

/** Undefined also where a parent is no directory: the other side of a change may have another kind there. */
function statAt(root: string, path: RelPath): BigIntStats | undefined {
  try {
    return lstatSync(hostPath(root, path), { bigint: true, throwIfNoEntry: false })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOTDIR') return undefined
    throw error
  }
}

function namesAt(root: string, path: RelPath): readonly string[] {
  return readdirSync(hostPath(root, path), { encoding: 'latin1' })
}
