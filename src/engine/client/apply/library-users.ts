import { collectBytes, emptyBytes } from '../../../base/bytes.ts'
import { isBinderyError } from '../../../base/error.ts'
import { inParallel } from '../../../base/parallel.ts'
import { joinPath } from '../../../base/path.ts'
import { readElfLinks } from '../../../format/elf-links.ts'
import type { RelPath } from '../../../base/path.ts'
import type { ElfLinks } from '../../../format/elf-links.ts'
import type { DiskReader, Stat } from '../../../port/disk.ts'

/** Programs and libraries on the machine, for what they need of the run-time linker. */

/** Where systems keep programs; hier(7). A link among them leads to another of them, or is named in bindery.conf. */
const programFolders = pathSet('bin sbin lib lib32 lib64 libx32 libexec usr opt')
/** Large, and without programs that run on this machine. */
const skipped = pathSet(
  'usr/include usr/share usr/src usr/obj usr/ports usr/xenocara usr/xobj usr/pkgsrc lib/modules lib/firmware usr/lib/modules usr/lib/firmware',
)
const statWidth = 32
const mostPaths = 1 << 20

export type UserSearch = {
  readonly disk: DiskReader
  /** Searched as well. */
  readonly folders: readonly RelPath[]
  /** What a release answers for, or is about to go. */
  readonly isOurs: (path: RelPath, stat: Stat) => boolean
  readonly signal?: AbortSignal | undefined
}

export type LibraryUser = { readonly path: RelPath; readonly links: ElfLinks }

function pathSet(paths: string): ReadonlySet<RelPath> {
  return new Set(paths.split(' ') as RelPath[])
}

/** In no particular order; `isComplete` unless there is more than can be looked through. */
export async function findLibraryUsers(
  search: UserSearch,
): Promise<{ readonly users: readonly LibraryUser[]; readonly isComplete: boolean }> {
  const users: LibraryUser[] = []
  const folders = [...programFolders, ...search.folders]
  const visited = new Set<RelPath>()
  let count = 0
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    search.signal?.throwIfAborted()
    if (visited.has(folder) || skipped.has(folder)) continue
    visited.add(folder)
    const paths = await pathsIn(search.disk, folder)
    if ((count += paths.length) > mostPaths) return { users, isComplete: false }
    await inParallel(paths, statWidth, async (path) => {
      const stat = await orNothing(async () => await search.disk.lstat(path))
      if (stat?.kind === 'dir') folders.push(path)
      if (stat?.kind !== 'file' || !mayBeLinked(path, stat) || search.isOurs(path, stat)) return
      const links = await readLinks(search.disk, path)
      if (links !== undefined) users.push({ path, links })
    })
  }
  return { users, isComplete: true }
}

function mayBeLinked(path: RelPath, { mode, size }: Stat): boolean {
  return size > 0 && ((mode & 0o111) !== 0 || /\.so(?:\.[^/]*)?$/.test(path))
}

async function pathsIn(disk: DiskReader, folder: RelPath): Promise<readonly RelPath[]> {
  const names = await orNothing(async () => ((await disk.lstat(folder))?.kind === 'dir' ? await disk.readdir(folder) : []))
  return (names ?? []).map((name) => joinPath(folder, name))
}

/** Undefined for what is no ELF file, or cannot be read. */
export async function readLinks(disk: DiskReader, path: RelPath): Promise<ElfLinks | undefined> {
  return await orNothing(async () => {
    const reading = readElfLinks()
    let bytes: Uint8Array = emptyBytes
    for (;;) {
      const step = reading.next(bytes)
      if (step.done === true) return step.value
      bytes = (await collectBytes(disk.read(path, step.value), step.value.end - step.value.start)) ?? emptyBytes
    }
  })
}

/** What goes away meanwhile, and what a server shows to nobody, needs nothing that can be known here. */
async function orNothing<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work()
  } catch (error) {
    if (isBinderyError(error, 'not-found') || isBinderyError(error, 'permission') || isBinderyError(error, 'hostile')) return undefined
    throw error
  }
}
