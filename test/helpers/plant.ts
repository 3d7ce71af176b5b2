import { oneChunk, utf8 } from '../../src/base/bytes.ts'
import { parentPath, parseRelPath, rootPath } from '../../src/base/path.ts'
import type { ByteStream } from '../../src/base/bytes.ts'
import type { Timestamp, Xattrs } from '../../src/base/entry.ts'
import type { RelPath } from '../../src/base/path.ts'
import type { Disk } from '../../src/port/disk.ts'

/**
 * Trees as literals: `plant(disk, { 'bin/su': file('…', { mode: 0o4555 }), 'sh': symlink('bin/su'), 'empty': dir() })`.
 * A plain string is a file. Parents that are not named are made with mode 0755. Names are bytes as latin1.
 */
export type Literal = Readonly<Record<string, Plant | string>>

export type Meta = {
  readonly mode?: number
  readonly uid?: number
  readonly gid?: number
  readonly mtime?: Timestamp
  readonly xattrs?: Xattrs
}

export type Plant = Meta &
  (
    | { readonly kind: 'file'; readonly content: string | Uint8Array }
    | { readonly kind: 'dir' }
    | { readonly kind: 'fifo' }
    | { readonly kind: 'symlink'; readonly target: string }
    | { readonly kind: 'hardlink'; readonly leader: string }
    | { readonly kind: 'char' | 'block'; readonly major: number; readonly minor: number }
  )

/** Not a date that anything else would have. */
const plantedTime: Timestamp = { sec: 1_600_000_000, nsec: 0 }

export const file = (content: string | Uint8Array, meta: Meta = {}): Plant => ({ ...meta, kind: 'file', content })
export const dir = (meta: Meta = {}): Plant => ({ ...meta, kind: 'dir' })
export const fifo = (meta: Meta = {}): Plant => ({ ...meta, kind: 'fifo' })
export const symlink = (target: string, meta: Meta = {}): Plant => ({ ...meta, kind: 'symlink', target })
export const hardlink = (leader: string): Plant => ({ kind: 'hardlink', leader })
export const char = (major: number, minor: number, meta: Meta = {}): Plant => ({ ...meta, kind: 'char', major, minor })
export const block = (major: number, minor: number, meta: Meta = {}): Plant => ({ ...meta, kind: 'block', major, minor })

export const relPath = (text: string): RelPath => {
  const path = parseRelPath(text)
  if (path === undefined) throw new Error(`unsafe path in a test: ${text}`)
  return path
}

export async function plant(disk: Disk, literal: Literal): Promise<void> {
  const plants = new Map<RelPath, Plant>()
  for (const [name, given] of Object.entries(literal)) {
    const path = relPath(name)
    for (let parent = parentPath(path); parent !== rootPath; parent = parentPath(parent)) if (!plants.has(parent)) plants.set(parent, dir())
    plants.set(path, typeof given === 'string' ? file(given) : given)
  }
  // Hard links last, and times after all, since every new name changes its directory's.
  const paths = [...plants.keys()].sort()
  for (const path of paths) if (plants.get(path)?.kind !== 'hardlink') await make(disk, path, plants.get(path) as Plant)
  for (const path of paths) if (plants.get(path)?.kind === 'hardlink') await make(disk, path, plants.get(path) as Plant)
  const timed = paths.filter((path) => plants.get(path)?.kind !== 'hardlink')
  await disk.setTimes(
    [...timed, ...(plants.has(rootPath) ? [] : [rootPath])].map((path) => ({ path, mtime: plants.get(path)?.mtime ?? plantedTime })),
  )
}

async function make(disk: Disk, path: RelPath, given: Plant): Promise<void> {
  switch (given.kind) {
    case 'file':
      await disk.create(path, contentOf(given.content))
      break
    case 'dir':
      if (path !== rootPath && (await disk.lstat(path)) === undefined) await disk.mkdir(path, given.mode ?? 0o755)
      break
    case 'symlink':
      await disk.symlink(path, given.target)
      break
    case 'hardlink':
      return await disk.link(path, relPath(given.leader))
    case 'fifo':
    case 'char':
    case 'block':
      await disk.mknod(path, given)
  }
  if (given.uid !== undefined || given.gid !== undefined) await disk.chown(path, given.uid ?? 0, given.gid ?? 0)
  if (given.kind !== 'symlink') await disk.chmod(path, given.mode ?? (given.kind === 'dir' ? 0o755 : 0o644))
  if (given.xattrs !== undefined) await disk.setXattrs(path, given.xattrs)
}

function contentOf(content: string | Uint8Array): ByteStream {
  return oneChunk(typeof content === 'string' ? utf8(content) : content)
}
