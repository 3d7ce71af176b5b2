import type { Disk } from '../../src/port/disk.ts'

/** A disk whose links have a size, as a kernel says it: that of their target. */
export function withLinkSizes(disk: Disk): Disk {
  const lstat: Disk['lstat'] = async (path) => {
    const stat = await disk.lstat(path)
    return stat?.kind === 'symlink' ? { ...stat, size: (await disk.readlink(path)).length } : stat
  }
  return { ...disk, lstat }
}
