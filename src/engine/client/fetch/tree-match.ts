import { inParallel } from '../../../base/parallel.ts'
import { parentPath, rootPath } from '../../../base/path.ts'
import type { Sha256 } from '../../../base/digest.ts'
import type { Entry, FileEntry, Manifest } from '../../../base/entry.ts'
import type { RelPath } from '../../../base/path.ts'
import type { DiskReader, Stat } from '../../../port/disk.ts'
import type { Session } from './session.ts'

/** How the live tree compares with a manifest: what `enroll` identifies a release by, and `--basis installed` rebuilds from. */
export type TreeMatch = {
  /** Missing, of another kind, or with other contents; in byte order. */
  readonly differing: readonly RelPath[]
  /** Paths of the same kind and contents whose mode, owner or time differs. */
  readonly otherMeta: number
  /** Files and links of the manifest, and how many of them are there with the same contents. */
  readonly files: number
  readonly sameFiles: number
}

/** Remembers what it has seen, so that several manifests cost one reading of the tree. */
export type TreeEye = {
  stat(path: RelPath): Promise<Stat | undefined>
  digest(path: RelPath): Promise<Sha256>
  target(path: RelPath): Promise<string>
}

const width = 8

export function openEye(disk: DiskReader): TreeEye {
  const stats = new Map<RelPath, Promise<Stat | undefined>>()
  const digests = new Map<RelPath, Promise<Sha256>>()
  const targets = new Map<RelPath, Promise<string>>()
  const stat = (path: RelPath): Promise<Stat | undefined> => remember(stats, path, async () => await look(path))
  // Below what is no directory there is nothing: a link in the way is never followed.
  const look = async (path: RelPath): Promise<Stat | undefined> =>
    path === rootPath || (await stat(parentPath(path)))?.kind === 'dir' ? await disk.lstat(path) : undefined
  return {
    stat,
    digest: (path) => remember(digests, path, async () => (await disk.digest(path)).sha256),
    target: (path) => remember(targets, path, async () => await disk.readlink(path)),
  }
}

function remember<T>(known: Map<RelPath, Promise<T>>, path: RelPath, look: () => Promise<T>): Promise<T> {
  const before = known.get(path)
  if (before !== undefined) return before
  const now = look()
  known.set(path, now)
  return now
}

export async function matchTree(
  { signal }: Pick<Session, 'signal'>,
  eye: TreeEye,
  manifest: Manifest,
  onBytes: (bytes: number) => void = () => {},
): Promise<TreeMatch> {
  const differing: RelPath[] = []
  let otherMeta = 0
  const leaders = leadersOf(manifest)
  await inParallel(manifest.entries, width, async (entry) => {
    signal.throwIfAborted()
    const stat = await eye.stat(entry.path)
    if (!(await hasContent(eye, entry, stat, leaders))) differing.push(entry.path)
    else if (stat !== undefined && !hasMeta(entry, stat)) otherMeta++
    if (entry.kind === 'file') onBytes(entry.size)
  })
  const contents = manifest.entries.filter(({ kind }) => kind === 'file' || kind === 'symlink' || kind === 'hardlink')
  const lost = new Set(differing)
  const sameFiles = contents.filter(({ path }) => !lost.has(path)).length
  return { differing: differing.sort(), otherMeta, files: contents.length, sameFiles }
}

function leadersOf(manifest: Manifest): ReadonlyMap<RelPath, FileEntry> {
  const leaders = new Map<RelPath, FileEntry>()
  for (const entry of manifest.entries) if (entry.kind === 'file') leaders.set(entry.path, entry)
  return leaders
}

/** Kind and what it holds. A second name counts by its content: whether names share an inode is no question here. */
async function hasContent(eye: TreeEye, entry: Entry, stat: Stat | undefined, leaders: ReadonlyMap<RelPath, FileEntry>): Promise<boolean> {
  if (stat === undefined) return false
  switch (entry.kind) {
    case 'file':
      return await hasBytes(eye, entry.path, stat, entry)
    case 'hardlink': {
      const leader = leaders.get(entry.leader)
      return leader === undefined ? stat.kind !== 'dir' : await hasBytes(eye, entry.path, stat, leader)
    }
    case 'symlink':
      return stat.kind === 'symlink' && (await eye.target(entry.path)) === entry.target
    case 'char':
    case 'block':
      return stat.kind === entry.kind && stat.major === entry.major && stat.minor === entry.minor
    default:
      return stat.kind === entry.kind
  }
}

async function hasBytes(eye: TreeEye, path: RelPath, stat: Stat, file: FileEntry): Promise<boolean> {
  return stat.kind === 'file' && stat.size === file.size && (await eye.digest(path)) === file.sha256
}

function hasMeta(entry: Entry, stat: Stat): boolean {
  const sameTime = entry.kind === 'dir' || (entry.mtime.sec === stat.mtime.sec && entry.mtime.nsec === stat.mtime.nsec)
  return sameTime && entry.uid === stat.uid && entry.gid === stat.gid && (entry.kind === 'symlink' || entry.mode === stat.mode)
}
