import { unreachable } from '../../base/error.ts'
import { joinAttributes, readAttributes } from './attributes.ts'
import { readOwners } from './owners.ts'
import type { Entry, EntryMeta, HardlinkEntry } from '../../base/entry.ts'
import type { RelPath } from '../../base/path.ts'
import type { DiskReader, Stat } from '../../port/disk.ts'
import type { Attributes } from './attributes.ts'
import type { Owners } from './owners.ts'

/** What the entries of one tree have in common; made once where many paths are described. */
export type Surroundings = { readonly owners: Owners; readonly attributes: Attributes }

/** What an entry holds, beside its metadata. */
export type Content = DistributiveOmit<Exclude<Entry, HardlinkEntry>, keyof EntryMeta>

type DistributiveOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never

/**
 * One path as an entry, a file with its digest; undefined where there is nothing. A name of a hard-link group comes as
 * what it names, since the group cannot be seen from one path. For many paths take `describePaths` of scan.ts.
 */
export async function describe(disk: DiskReader, path: RelPath, surroundings?: Surroundings): Promise<Entry | undefined> {
  const stat = await disk.lstat(path)
  if (stat === undefined) return undefined
  return { ...metaOf(path, stat, surroundings ?? (await surroundingsOf(disk, [path]))), ...(await contentOf(disk, path, stat)) }
}

export async function surroundingsOf(disk: DiskReader, paths: readonly RelPath[]): Promise<Surroundings> {
  const [owners, attributes] = await Promise.all([readOwners(disk), readAttributes(disk, paths)])
  return { owners, attributes }
}

/** So many paths are worth starting the programs that tell attributes. */
const pathsAtOnce = 4096

export type GatheredSurroundings = { add(path: RelPath): void; all(): Promise<Surroundings> }

/** The same while paths are still being found: the programs that tell attributes work on another core meanwhile. */
export function gatherSurroundings(disk: DiskReader): GatheredSurroundings {
  const parts: Promise<Surroundings>[] = []
  let paths: RelPath[] = []
  const ask = (): void => {
    const part = surroundingsOf(disk, paths)
    // A failure is met at the end, or never if the walk fails before.
    part.catch(() => {})
    parts.push(part)
    paths = []
  }
  return {
    add: (path) => {
      paths.push(path)
      if (paths.length === pathsAtOnce) ask()
    },
    all: async () => {
      ask()
      const [first, ...others] = (await Promise.all(parts)) as [Surroundings, ...Surroundings[]]
      return { owners: first.owners, attributes: joinAttributes([first, ...others].map(({ attributes }) => attributes)) }
    },
  }
}

export async function contentOf(disk: DiskReader, path: RelPath, stat: Stat): Promise<Content> {
  switch (stat.kind) {
    case 'file':
      return { kind: stat.kind, ...(await disk.digest(path)) }
    case 'symlink':
      return { kind: stat.kind, target: await disk.readlink(path) }
    case 'char':
    case 'block':
      return { kind: stat.kind, major: stat.major ?? 0, minor: stat.minor ?? 0 }
    case 'dir':
    case 'fifo':
    case 'socket':
      return { kind: stat.kind }
    default:
      return unreachable(stat.kind)
  }
}

export function metaOf(path: RelPath, stat: Stat, { owners, attributes }: Surroundings): EntryMeta {
  const uname = owners.user(stat.uid)
  const gname = owners.group(stat.gid)
  const flags = attributes.flags.get(path)
  const xattrs = attributes.xattrs.get(path)
  return {
    path,
    mode: stat.kind === 'symlink' ? 0o777 : stat.mode,
    uid: stat.uid,
    gid: stat.gid,
    ...(uname === undefined ? {} : { uname }),
    ...(gname === undefined ? {} : { gname }),
    mtime: stat.mtime,
    ...(flags === undefined ? {} : { flags }),
    ...(xattrs === undefined ? {} : { xattrs }),
  }
}
