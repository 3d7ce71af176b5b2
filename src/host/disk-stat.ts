import { accessSync, constants, lstatSync, statfsSync } from 'node:fs'
import type { BigIntStats } from 'node:fs'
import type { Space, Stat } from '../port/disk.ts'
import type { HostPath } from './host-path.ts'

/** What the system says about a path and its file system, in the words of the disk port. */

export function statOf(real: HostPath): Stat {
  const stat = lstatSync(real, { bigint: true })
  const kind = kindOf(stat)
  return {
    kind,
    mode: Number(stat.mode & 0o7777n),
    uid: Number(stat.uid),
    gid: Number(stat.gid),
    size: kind === 'file' ? Number(stat.size) : 0,
    mtime: timeOf(stat.mtimeNs),
    nlink: Number(stat.nlink),
    inode: stat.ino,
    device: stat.dev,
    ...(kind === 'char' || kind === 'block' ? deviceNumbers(stat.rdev, process.platform) : {}),
    allocated: Number(stat.blocks) * 512,
  }
}

function kindOf(stat: BigIntStats): Stat['kind'] {
  if (stat.isFile()) return 'file'
  if (stat.isDirectory()) return 'dir'
  if (stat.isSymbolicLink()) return 'symlink'
  if (stat.isFIFO()) return 'fifo'
  if (stat.isSocket()) return 'socket'
  return stat.isCharacterDevice() ? 'char' : 'block'
}

function timeOf(nanoseconds: bigint): Stat['mtime'] {
  const nsec = ((nanoseconds % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n
  return { sec: Number((nanoseconds - nsec) / 1_000_000_000n), nsec: Number(nsec) }
}

/** How each system packs dev_t (sys/sysmacros.h, sys/types.h). */
export function deviceNumbers(rdev: bigint, platform: string): { readonly major: number; readonly minor: number } {
  const bits = (shift: bigint, mask: bigint): bigint => (rdev >> shift) & mask
  switch (platform) {
    case 'freebsd':
      return { major: Number(bits(32n, 0xffffff00n) | bits(8n, 0xffn)), minor: Number(bits(24n, 0xff00n) | (rdev & 0xffff00ffn)) }
    case 'netbsd':
      return { major: Number(bits(8n, 0xfffn)), minor: Number(bits(12n, 0xfff00n) | (rdev & 0xffn)) }
    case 'openbsd':
      return { major: Number(bits(8n, 0xffn)), minor: Number((rdev & 0xffn) | bits(8n, 0xffff00n)) }
    case 'dragonfly':
      return { major: Number(bits(8n, 0xffn)), minor: Number(rdev & 0xffff00ffn) }
    default:
      return { major: Number(bits(32n, 0xfffff000n) | bits(8n, 0xfffn)), minor: Number(bits(12n, 0xffffff00n) | (rdev & 0xffn)) }
  }
}

/** `real` is a file or a directory. */
export function spaceAt(real: HostPath): Space {
  const { bsize, bavail, ffree, files, type } = statfsSync(real)
  return {
    freeBytes: bavail * bsize,
    freeInodes: files === 0 ? Infinity : ffree,
    blockSize: bsize,
    readOnly: isReadOnly(real),
    isOrdered: process.platform === 'linux' && orderedTypes.has(type),
  }
}

/** ext4, XFS, and tmpfs, which keeps nothing anyway: f_type of Linux's statfs(2). Power cuts on the first two: doc/reliability.md. */
const orderedTypes: ReadonlySet<number> = new Set([0xef53, 0x5846_5342, 0x0102_1994])

/** Node's statfs has no flags; access(2) knows of read-only mounts on every system, before it asks for permission. */
function isReadOnly(real: HostPath): boolean {
  try {
    accessSync(real, constants.W_OK)
    return false
  } catch (cause) {
    return (cause as NodeJS.ErrnoException).code === 'EROFS'
  }
}
