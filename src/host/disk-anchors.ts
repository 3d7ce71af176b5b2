import { closeSync, constants, openSync } from 'node:fs'
import { BinderyError } from '../base/error.ts'
import { baseName, parentPath, rootPath, showPath } from '../base/path.ts'
import { diskError } from './disk-error.ts'
import { hostPath } from './host-path.ts'
import type { RelPath } from '../base/path.ts'
import type { HostPath } from './host-path.ts'

/**
 * Directories below a root, each opened relative to the one above it (Linux: O_PATH, O_NOFOLLOW, by way of /proc/self/fd).
 *
 * One stays open for what else is done in the same turn of the event loop, for a few milliseconds at most: a commit asks
 * for some directories tens of thousands of times, and to open one takes a call for each directory above it. It is the
 * directory itself, wherever it may have been moved meanwhile, so that this time is no more to whoever could move it than
 * the time between opening it and using it.
 */
export type Anchors = {
  /** `use` gets the directory's descriptor, which stays open until it, or its promise, has ended. */
  at<T>(directory: RelPath, use: (fd: number) => T): T
  /** The names of that path and of what is below it are others' from now on. */
  forget(path: RelPath): void
}

type Anchor = { readonly fd: number; users: number; isForgotten: boolean }

const memoryMs = 5
/** Few, beside the thousand descriptors that a process may usually have. */
const maxOpen = 64

/** O_PATH is Linux's own and not among node's constants. */
export const oPath = 0o10000000

export function anchorsBelow(root: string): Anchors {
  const open = new Map<RelPath, Anchor>()
  let oldest = 0
  const forgetAll = (): void => {
    for (const anchor of open.values()) {
      anchor.isForgotten = true
      if (anchor.users === 0) closeSync(anchor.fd)
    }
    open.clear()
  }
  const find = (directory: RelPath): Anchor => {
    const known = open.get(directory)
    if (known !== undefined) return known
    const isRoot = directory === rootPath
    const fd = isRoot ? openDirectory(root, rootPath, 0) : openBelow(find(parentPath(directory)).fd, directory)
    if (open.size === 0) {
      oldest = performance.now()
      setImmediate(forgetAll)
    }
    const anchor = { fd, users: 0, isForgotten: false }
    open.set(directory, anchor)
    return anchor
  }
  return {
    at: (directory, use) => {
      if (open.size > maxOpen || performance.now() - oldest > memoryMs) forgetAll()
      return holding(find(directory), use)
    },
    forget: (path) => {
      if ([...open.keys()].some((known) => known === path || known.startsWith(`${path}/`))) forgetAll()
    },
  }
}

function holding<T>(anchor: Anchor, use: (fd: number) => T): T {
  const release = (): void => {
    anchor.users--
    if (anchor.isForgotten && anchor.users === 0) closeSync(anchor.fd)
  }
  anchor.users++
  let isPending = false
  try {
    const result = use(anchor.fd)
    if (!(result instanceof Promise)) return result
    isPending = true
    return result.finally(release) as T
  } finally {
    if (!isPending) release()
  }
}

export function hostile(path: string): BinderyError {
  return new BinderyError('hostile', 'is on the way and is no directory', { subject: showPath(path) })
}

function openBelow(above: number, directory: RelPath): number {
  return openDirectory(hostPath(`/proc/self/fd/${above}`, baseName(directory) as RelPath), directory, constants.O_NOFOLLOW)
}

function openDirectory(real: HostPath, shown: RelPath, flags: number): number {
  try {
    return openSync(real, oPath | constants.O_DIRECTORY | flags)
  } catch (cause) {
    // ENOTDIR is also what O_DIRECTORY with O_NOFOLLOW answers for a link.
    throw (cause as NodeJS.ErrnoException).code === 'ENOTDIR' && flags !== 0 ? hostile(shown) : diskError(cause, shown)
  }
}
