import { isBinderyError } from '../../base/error.ts'
import { comparePaths, joinPath, rootPath } from '../../base/path.ts'
import { contentOf, gatherSurroundings, metaOf, surroundingsOf } from './describe.ts'
import type { Entry, EntryHeader, EntryMeta, HardlinkEntry, Manifest } from '../../base/entry.ts'
import type { RelPath } from '../../base/path.ts'
import type { Meter } from '../../port/ambient.ts'
import type { DiskReader, Stat } from '../../port/disk.ts'
import type { Content, Surroundings } from './describe.ts'

export type ScanOptions = {
  /** Left out, with everything below. */
  readonly exclude?: (path: RelPath) => boolean
  /** Leaves out what is mounted below the root; the mount points themselves are listed. */
  readonly oneFileSystem?: boolean
  /** Advances by bytes of content. */
  readonly meter?: Meter
  readonly signal?: AbortSignal
}

/** Describes the whole tree, apart from bindery's own state. What vanishes during the scan is left out. */
export async function scanTree(disk: DiskReader, options: ScanOptions = {}): Promise<Manifest> {
  return { entries: await describeTree(disk, options, contentOf) }
}

/** The same for who is about to read the files anyway: no content is read, and the sizes are those of lstat(2). */
export async function walkTree(disk: DiskReader, options: Omit<ScanOptions, 'meter'> = {}): Promise<readonly EntryHeader[]> {
  return await describeTree(disk, options, async (_, path, stat) =>
    stat.kind === 'file' ? { kind: stat.kind, size: stat.size } : await contentOf(disk, path, stat),
  )
}

async function describeTree<C extends AnyContent>(disk: DiskReader, options: ScanOptions, look: Look<C>): Promise<Described<C>[]> {
  const surroundings = gatherSurroundings(disk)
  const stats = await walk(disk, options, surroundings.add)
  return await describeAll(disk, stats, surroundings.all(), options, look)
}

/**
 * Describes those of `paths` that exist, in byte order: hard links among them are found as in `scanTree`. A path that
 * leads through something else than directories does not exist.
 */
export async function describePaths(
  disk: DiskReader,
  paths: readonly RelPath[],
  options: ScanOptions = {},
): Promise<ReadonlyMap<RelPath, Entry>> {
  const found = new Map<RelPath, Stat>()
  for (const path of [...new Set(paths)].sort(comparePaths)) {
    const stat = await lstatOrNothing(disk, path)
    if (stat !== undefined) found.set(path, stat)
  }
  return new Map(
    (await describeAll(disk, found, surroundingsOf(disk, [...found.keys()]), options, contentOf)).map((entry) => [entry.path, entry]),
  )
}

async function lstatOrNothing(disk: DiskReader, path: RelPath): Promise<Stat | undefined> {
  try {
    return await disk.lstat(path)
  } catch (error) {
    if (isBinderyError(error, 'hostile')) return undefined
    throw error
  }
}

const ownState = /^var\/db\/bindery(?:\/|$)|(?:^|\/)\.bindery(?:-[0-9]+-[0-9]+)?(?:\/|$)/

/** bindery's state, its folders on other file systems of the tree, and copies on their way: never scanned, cut or compared. */
export function isOwnState(path: RelPath): boolean {
  return ownState.test(path)
}

/** Every path with its stat, in byte order. */
async function walk(disk: DiskReader, options: ScanOptions, seen: (path: RelPath) => void): Promise<ReadonlyMap<RelPath, Stat>> {
  const found: [RelPath, Stat][] = []
  const root = await disk.lstat(rootPath)
  const open: RelPath[] = []
  const add = (path: RelPath, stat: Stat): void => {
    found.push([path, stat])
    seen(path)
    if (stat.kind === 'dir' && (options.oneFileSystem !== true || stat.device === root?.device)) open.push(path)
  }
  if (root !== undefined) add(rootPath, root)
  for (let dir = open.pop(); dir !== undefined; dir = open.pop()) {
    options.signal?.throwIfAborted()
    for (const name of await namesIn(disk, dir)) {
      const path = joinPath(dir, name)
      if (isOwnState(path) || options.exclude?.(path) === true) continue
      const stat = await disk.lstat(path)
      if (stat !== undefined) add(path, stat)
    }
  }
  return new Map(found.sort(([a], [b]) => comparePaths(a, b)))
}

/** The root must be there; any other directory may vanish. */
async function namesIn(disk: DiskReader, dir: RelPath): Promise<readonly string[]> {
  const names = dir === rootPath ? await disk.readdir(dir) : await unlessGone(async () => await disk.readdir(dir))
  return names ?? []
}

async function unlessGone<T>(look: () => Promise<T>): Promise<T | undefined> {
  try {
    return await look()
  } catch (error) {
    if (isBinderyError(error, 'not-found')) return undefined
    throw error
  }
}

/** What to find out about a path, beside its metadata. */
type Look<C> = (disk: DiskReader, path: RelPath, stat: Stat) => Promise<C>

type AnyContent = Content | { readonly kind: 'file'; readonly size: number }

type Found<C> = {
  readonly path: RelPath
  readonly stat: Stat
  readonly content: C | { readonly kind: 'hardlink'; readonly leader: RelPath }
}

/** Owners and attributes are read (by other programs) while the contents are digested. */
async function describeAll<C extends AnyContent>(
  disk: DiskReader,
  stats: ReadonlyMap<RelPath, Stat>,
  asked: Promise<Surroundings>,
  options: ScanOptions,
  look: Look<C>,
): Promise<Described<C>[]> {
  const [surroundings, found] = await Promise.all([asked, readContents(disk, stats, options, look)])
  const byPath = new Map<RelPath, Described<C>>()
  for (const { path, stat, content } of found) {
    // The names of a group were looked at one after the other: what they share is taken from the first look.
    if (content.kind === 'hardlink') byPath.set(path, linkTo(byPath.get(content.leader) as EntryMeta, path))
    else byPath.set(path, { ...metaOf(path, stat, surroundings), ...content } as Described<C>)
  }
  return [...byPath.values()]
}

/** With digests where the contents have them. */
type Described<C> = HardlinkEntry | (C extends Content ? Entry : EntryHeader)

async function readContents<C extends AnyContent>(
  disk: DiskReader,
  stats: ReadonlyMap<RelPath, Stat>,
  options: ScanOptions,
  look: Look<C>,
): Promise<Found<C>[]> {
  const leaders = new Map<string, RelPath>()
  const found: Found<C>[] = []
  for (const [path, stat] of stats) {
    options.signal?.throwIfAborted()
    const inode = stat.kind !== 'dir' && stat.nlink > 1 ? `${stat.device}:${stat.inode}` : undefined
    const leader = inode === undefined ? undefined : leaders.get(inode)
    const content =
      leader === undefined ? await unlessGone(async () => await look(disk, path, stat)) : ({ kind: 'hardlink', leader } as const)
    if (content === undefined) continue
    if (inode !== undefined && leader === undefined) leaders.set(inode, path)
    found.push({ path, stat, content })
    if (content.kind === 'file') options.meter?.advance(content.size)
  }
  return found
}

/** Another name of a file, which shares all that belongs to the file. */
export function linkTo(leader: EntryMeta, path: RelPath): HardlinkEntry {
  const { mode, uid, gid, uname, gname, mtime, flags, xattrs } = leader
  const optional = {
    ...(uname === undefined ? {} : { uname }),
    ...(gname === undefined ? {} : { gname }),
    ...(flags === undefined ? {} : { flags }),
    ...(xattrs === undefined ? {} : { xattrs }),
  }
  return { path, mode, uid, gid, mtime, ...optional, kind: 'hardlink', leader: leader.path }
}
