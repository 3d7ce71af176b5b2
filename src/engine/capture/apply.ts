import { BinderyError } from '../../base/error.ts'
import { comparePaths, showPath } from '../../base/path.ts'
import { sameFlags, sameXattrs } from '../../format/manifest-check.ts'
import { sameContent } from '../tree/diff.ts'
import { linkTo } from '../tree/scan.ts'
import { changesOf } from './changes.ts'
import type { Entry, EntryMeta, Manifest } from '../../base/entry.ts'
import type { RelPath } from '../../base/path.ts'
import type { Sides } from './changes.ts'

/**
 * The manifest of a tree with the changes of a capture made in it. `wrong-base` where the tree is not, in what the
 * capture is about, what it was made over; times do not matter for that.
 */
export function applyChanges(base: Manifest, sides: Sides): Manifest {
  const entries = new Map(byPath(base))
  const old = byPath(sides.old)
  for (const path of old.keys()) checkSame(path, old, entries)
  for (const { path, kind, new: next } of changesOf(sides)) {
    if (kind === 'added' && entries.has(path)) throw wrongBase(path, 'is in the base, and is new in the capture')
    if (next === undefined) entries.delete(path)
    else entries.set(path, next)
  }
  checkParents(entries, base)
  return { entries: [...entries.values()].map((entry) => sharing(entry, entries)).sort((a, b) => comparePaths(a.path, b.path)) }
}

function wrongBase(path: RelPath, message: string): BinderyError {
  return new BinderyError('wrong-base', message, {
    subject: showPath(path),
    hint: 'a capture goes with the tree that it was made over, or a dist of it',
  })
}

type Entries = ReadonlyMap<RelPath, Entry>

function byPath({ entries }: Manifest): Entries {
  return new Map(entries.map((entry) => [entry.path, entry]))
}

function checkSame(path: RelPath, old: Entries, base: Entries): void {
  const [a, b] = [inodeAt(path, old), inodeAt(path, base)]
  if (b === undefined) throw wrongBase(path, 'is not in the base')
  if (a === undefined || !sameContent(a, b) || !sameAttributes(a, b)) throw wrongBase(path, 'is another in the base than in the capture')
}

/** A hard link has the content of its leader. */
function inodeAt(path: RelPath, entries: Entries): Entry | undefined {
  const entry = entries.get(path)
  return entry?.kind === 'hardlink' ? entries.get(entry.leader) : entry
}

function sameAttributes(a: EntryMeta, b: EntryMeta): boolean {
  return a.mode === b.mode && a.uid === b.uid && a.gid === b.gid && sameFlags(a.flags, b.flags) && sameXattrs(a.xattrs, b.xattrs)
}

/** What the capture does not know of may lie below something that it removes. */
function checkParents(entries: Entries, base: Manifest): void {
  for (const { path } of base.entries) {
    const slash = path.lastIndexOf('/')
    if (slash < 0 || !entries.has(path)) continue
    if (entries.get(path.slice(0, slash) as RelPath)?.kind !== 'dir')
      throw wrongBase(path, 'is in the base, below what the capture removes')
  }
}

/** Names of one file have one time: that of the base, where the file itself did not change. */
function sharing(entry: Entry, entries: Entries): Entry {
  const leader = entry.kind === 'hardlink' ? entries.get(entry.leader) : undefined
  return leader === undefined ? entry : linkTo(leader, entry.path)
}
