import { parentPath } from '../../src/base/path.ts'
import { BinderyError } from '../../src/base/error.ts'
import type { RelPath } from '../../src/base/path.ts'
import type { ErrorCode } from '../../src/base/error.ts'
import type { Disk, Stat } from '../../src/port/disk.ts'

/** Disks that cannot do everything. */

function refuse(code: ErrorCode, path: RelPath): never {
  throw new BinderyError(code, 'refused by the disk of the test', { subject: path })
}

/** As vfat: no name is another name of something. */
export function withoutLinks(inner: Disk): Disk {
  return { ...inner, link: async (path) => refuse('not-supported', path) }
}

/** As an overlay of several file systems: files are of other devices than the directories that they are in. */
export function withFilesOfOtherDevices(inner: Disk): Disk {
  const lstat = async (path: RelPath): Promise<Stat | undefined> => {
    const stat = await inner.lstat(path)
    return stat === undefined || stat.kind === 'dir' ? stat : { ...stat, device: stat.device + 1000n }
  }
  return { ...inner, lstat }
}

/** A bind mount at `top`: the device number is the same, and still nothing moves in or out. */
export function withBindMount(inner: Disk, top: RelPath): Disk {
  const isInside = (path: RelPath): boolean => path.startsWith(`${top}/`)
  return {
    ...inner,
    link: async (path, existing) =>
      isInside(path) === isInside(existing) ? await inner.link(path, existing) : refuse('not-supported', path),
    rename: async (from, to) => (isInside(from) === isInside(to) ? await inner.rename(from, to) : refuse('not-supported', from)),
  }
}

/** As the BSDs keep schg: neither the file nor a name in the folder can be changed. */
export function withImmutableFlags(inner: Disk): Disk {
  const isFlagged = async (path: RelPath): Promise<boolean> =>
    (await inner.lstat(path)) !== undefined && (await inner.flagsOf([path])).size > 0
  const check = async (...paths: readonly RelPath[]): Promise<void> => {
    for (const path of paths) if ((await isFlagged(path)) || (await isFlagged(parentPath(path)))) refuse('permission', path)
  }
  return {
    ...inner,
    link: async (path, existing) => (await check(existing, path), await inner.link(path, existing)),
    rename: async (from, to) => (await check(from, to), await inner.rename(from, to)),
    unlink: async (path) => (await check(path), await inner.unlink(path)),
    rmdir: async (path) => (await check(path), await inner.rmdir(path)),
    mkdir: async (path, mode) => (await check(path), await inner.mkdir(path, mode)),
    chmod: async (path, mode, seen) => ((await isFlagged(path)) ? refuse('permission', path) : await inner.chmod(path, mode, seen)),
  }
}

/**
 * Somebody who is not root: number 0, as all that the memory disk makes, but nobody else's owner can be set, and no name
 * changes in a folder that is closed to its owner.
 */
export function withoutRoot(inner: Disk): Disk {
  const enter = async (...paths: readonly RelPath[]): Promise<void> => {
    for (const path of paths) if ((((await inner.lstat(parentPath(path)))?.mode ?? 0o700) & 0o300) !== 0o300) refuse('permission', path)
  }
  return {
    ...inner,
    capabilities: async () => ({ ...(await inner.capabilities()), privileged: false }),
    chown: async (path, uid, gid, seen) => (uid === 0 && gid === 0 ? await inner.chown(path, uid, gid, seen) : refuse('permission', path)),
    create: async (path, content) => (await enter(path), await inner.create(path, content)),
    link: async (path, existing) => (await enter(path), await inner.link(path, existing)),
    symlink: async (path, target) => (await enter(path), await inner.symlink(path, target)),
    rename: async (from, to) => (await enter(from, to), await inner.rename(from, to)),
    unlink: async (path) => (await enter(path), await inner.unlink(path)),
    rmdir: async (path) => (await enter(path), await inner.rmdir(path)),
    mkdir: async (path, mode) => (await enter(path), await inner.mkdir(path, mode)),
  }
}
