import { inParallel } from '../../../base/parallel.ts'
import { parentPath, rootPath } from '../../../base/path.ts'
import { readAttributes } from '../../tree/attributes.ts'
import type { Sha256 } from '../../../base/digest.ts'
import type { RelPath } from '../../../base/path.ts'
import type { Node } from '../../../format/journal-node.ts'
import type { Meter } from '../../../port/ambient.ts'
import type { DiskReader, Stat } from '../../../port/disk.ts'
import type { NodeScope } from './nodes.ts'

/** The live tree, as far as a plan needs to know it. */
export type LiveView = {
  /** Of every path asked for and of all folders above them; what is not there is missing. */
  readonly stats: ReadonlyMap<RelPath, Stat>
  /** Of the paths asked for. */
  readonly nodes: ReadonlyMap<RelPath, Node>
}

/** Stands for the digest of a file that did not have to be read to know that it is another one. */
export const unreadDigest = '0'.repeat(64) as Sha256

/** What is known of a file's digest without reading it, undefined where only reading helps. */
export type DigestGuess = (path: RelPath, stat: Stat) => Sha256 | undefined

export type LookOptions = {
  readonly scope: NodeScope
  readonly guess: DigestGuess
  readonly signal?: AbortSignal | undefined
  readonly meter?: Meter | undefined
}

const statWidth = 32
const digestWidth = 4

export async function lookAt(disk: DiskReader, paths: readonly RelPath[], options: LookOptions): Promise<LiveView> {
  const stats = await statAll(disk, paths, options.signal)
  const there = paths.filter((path) => stats.has(path))
  const { xattrs, flags } = await readAttributes(disk, there, options.scope)
  const nodes = new Map<RelPath, Node>()
  await inParallel(there, digestWidth, async (path) => {
    options.signal?.throwIfAborted()
    const [ownFlags, ownXattrs] = [flags.get(path), xattrs.get(path)]
    const extras = { ...(ownFlags === undefined ? {} : { flags: ownFlags }), ...(ownXattrs === undefined ? {} : { xattrs: ownXattrs }) }
    nodes.set(path, { ...(await nodeAt(disk, path, stats.get(path) as Stat, options)), ...extras })
  })
  return { stats, nodes }
}

/** From the top down: below what is no directory there is nothing, and a link in the way is never followed. */
async function statAll(disk: DiskReader, paths: readonly RelPath[], signal: AbortSignal | undefined): Promise<Map<RelPath, Stat>> {
  const stats = new Map<RelPath, Stat>()
  for (const level of byDepth(paths)) {
    signal?.throwIfAborted()
    await inParallel(level, statWidth, async (path) => {
      if (path !== rootPath && stats.get(parentPath(path))?.kind !== 'dir') return
      const stat = await disk.lstat(path)
      if (stat !== undefined) stats.set(path, stat)
    })
  }
  return stats
}

function byDepth(paths: readonly RelPath[]): readonly (readonly RelPath[])[] {
  const levels: RelPath[][] = [[rootPath]]
  const seen = new Set<RelPath>()
  const add = (path: RelPath): number => {
    if (path === rootPath) return 0
    const depth = add(parentPath(path)) + 1
    if (seen.has(path)) return depth
    seen.add(path)
    ;(levels[depth] ??= []).push(path)
    return depth
  }
  for (const path of paths) add(path)
  return levels
}

async function nodeAt(disk: DiskReader, path: RelPath, stat: Stat, { guess, meter }: LookOptions): Promise<Node> {
  const meta = { path, mode: stat.mode, uid: stat.uid, gid: stat.gid, mtime: stat.mtime }
  switch (stat.kind) {
    case 'file': {
      const known = guess(path, stat)
      if (known !== undefined) return { kind: 'file', ...meta, size: stat.size, sha256: known }
      const digest = await disk.digest(path)
      meter?.advance(digest.size)
      return { kind: 'file', ...meta, ...digest }
    }
    case 'symlink':
      return { kind: 'symlink', ...meta, target: await disk.readlink(path) }
    case 'char':
    case 'block':
      return { kind: stat.kind, ...meta, major: stat.major ?? 0, minor: stat.minor ?? 0 }
    default:
      return { kind: stat.kind, ...meta }
  }
}
