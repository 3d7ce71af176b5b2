import { closeSync, constants, existsSync, fstatSync, lstatSync, openSync } from 'node:fs'
import { BinderyError } from '../base/error.ts'
import { baseName, parentPath, rootPath, showPath } from '../base/path.ts'
import { anchorsBelow, hostile, oPath } from './disk-anchors.ts'
import { diskError } from './disk-error.ts'
import { hostPath } from './host-path.ts'
import type { BigIntStats } from 'node:fs'
import type { RelPath } from '../base/path.ts'
import type { Anchors } from './disk-anchors.ts'
import type { HostPath } from './host-path.ts'
import type { Inode } from '../port/disk.ts'

/**
 * From safe relative paths to paths of the system, never through a symbolic link below the root.
 *
 * Writing is anchored: on Linux each parent is opened relative to the one above it (disk-anchors.ts), so that nobody who
 * may write to a directory on the way can swap it for a link between our check and our use. Elsewhere node offers no openat(2): the parents are looked at first, and what keeps a hostile user out is that
 * the directories of a system tree belong to root, as does the folder in which new contents are staged.
 *
 * Reading looks at the parents, too, and remembers good ones for a few milliseconds: a walk asks for all names of a
 * directory in a row, and for those of its neighbours. Whoever could swap a directory within that time could also do so
 * after a check.
 */
export type DiskPaths = {
  readonly root: string
  /** Throws `hostile` where a parent is no real directory, `not-found` where there is none. */
  forReading(path: RelPath): HostPath
  forWriting<T>(path: RelPath, use: (real: HostPath) => T): T
  /**
   * For calls that follow links: `use` gets a name of what lies at the path, which is no link, until it, or its promise, has ended. Throws `not-supported` where it is one, and
   * `hostile` where it is not what was `seen`.
   */
  forInode<T>(path: RelPath, use: (real: HostPath) => T, seen?: Inode): T
  /** Behind a rename or a removal of what may be a directory: its names lead elsewhere from now on. */
  moved(path: RelPath): void
  /**
   * For programs: `use` gets a directory for them to run in, and the names that the paths have in it. It is the parent
   * itself where writing is anchored, so that `use` runs once for each; else the root.
   */
  forPrograms(paths: readonly RelPath[], use: UseOfPrograms): Promise<void>
}

export type UseOfPrograms = (folder: string, names: readonly { readonly path: RelPath; readonly name: RelPath }[]) => Promise<void>

const parentMemoryMs = 5
const maxRemembered = 1000

/** `anchored: false` is for testing the portable way on Linux. */
export function diskPaths(root: string, options: { readonly anchored?: boolean } = {}): DiskPaths {
  const anchored = options.anchored ?? (process.platform === 'linux' && existsSync('/proc/self/fd'))
  const at = { anchors: anchorsBelow(root), root }
  const good: ParentMemory = new Map()
  const checked = <T>(path: RelPath, use: (real: HostPath) => T): T => {
    checkParents(root, parentPath(path), new Map())
    return use(hostPath(root, path))
  }
  return {
    root,
    forReading: (path) => {
      checkParents(root, parentPath(path), good)
      return hostPath(root, path)
    },
    forWriting: anchored ? (path, use) => atAnchor(at, path, use) : checked,
    forInode: anchored
      ? (path, use, seen) => atAnchor(at, path, (real) => atInode(real, { path, seen }, use))
      : (path, use, seen) => checked(path, (real) => (mustBe(lstatSync(real, { bigint: true }), { path, seen }), use(real))),
    moved: (path) => at.anchors.forget(path),
    forPrograms: async (paths, use) => await (anchored ? inParents(at, paths, use) : inRoot(root, paths, use)),
  }
}

type Anchored = { readonly anchors: Anchors; readonly root: string }

/** Until when each directory counts as good, by performance.now(). */
type ParentMemory = Map<RelPath, number>

function checkParents(root: string, parent: RelPath, good: ParentMemory): void {
  const now = performance.now()
  const check = (path: RelPath): void => {
    if ((good.get(path) ?? 0) > now) return
    checkDirectory(root, path)
    good.set(path, now + parentMemoryMs)
  }
  if (parent === rootPath || (good.get(parent) ?? 0) > now) return
  if (good.size > maxRemembered) good.clear()
  for (let end = parent.indexOf('/'); end >= 0; end = parent.indexOf('/', end + 1)) check(parent.slice(0, end) as RelPath)
  check(parent)
}

function checkDirectory(root: string, path: RelPath): void {
  try {
    if (!lstatSync(hostPath(root, path)).isDirectory()) throw hostile(path)
  } catch (cause) {
    throw diskError(cause, path)
  }
}

/** `use` gets `/proc/self/fd/N/name`, where N is the parent itself, wherever it may have been moved meanwhile. */
function atAnchor<T>({ anchors, root }: Anchored, path: RelPath, use: (real: HostPath) => T): T {
  if (path === rootPath) return use(`${root}/.`)
  return anchors.at(parentPath(path), (fd) => use(hostPath(`/proc/self/fd/${fd}`, baseName(path) as RelPath)))
}

/** chmod(2) follows a link that is put there after a look at it. What was opened stays what it is, and /proc leads to that. */
function atInode<T>(real: HostPath, wanted: Wanted, use: (real: HostPath) => T): T {
  const fd = openSync(real, oPath | constants.O_NOFOLLOW)
  let isPending = false
  try {
    mustBe(fstatSync(fd, { bigint: true }), wanted)
    const result = use(`/proc/self/fd/${fd}`)
    if (!(result instanceof Promise)) return result
    isPending = true
    return result.finally(() => closeSync(fd)) as T
  } finally {
    if (!isPending) closeSync(fd)
  }
}

type Wanted = { readonly path: RelPath; readonly seen: Inode | undefined }

function mustBe(stat: BigIntStats, { path, seen }: Wanted): void {
  if (seen !== undefined && (stat.ino !== seen.inode || stat.dev !== seen.device))
    throw new BinderyError('hostile', 'is another file than it was a moment ago', { subject: showPath(path) })
  if (stat.isSymbolicLink()) throw new BinderyError('not-supported', 'a symbolic link has no mode', { subject: showPath(path) })
}

async function inRoot(root: string, paths: readonly RelPath[], use: UseOfPrograms): Promise<void> {
  for (const path of paths) checkParents(root, parentPath(path), new Map())
  const names = paths.map((path) => ({ path, name: path }))
  await use(root, names)
}

/** A child is forked with our descriptors, and goes to its directory before it becomes the program. */
async function inParents({ anchors, root }: Anchored, paths: readonly RelPath[], use: UseOfPrograms): Promise<void> {
  const parents = Map.groupBy(paths, (path) => (path === rootPath ? undefined : parentPath(path)))
  for (const [parent, below] of parents) {
    if (parent === undefined) {
      await use(root, [{ path: rootPath, name: rootPath }])
      continue
    }
    const names = below.map((path) => ({ path, name: baseName(path) as RelPath }))
    await anchors.at(parent, async (fd) => await use(`/proc/self/fd/${fd}`, names))
  }
}
