import { inTree } from '../../src/engine/client/staged/clone.ts'
import { rootPath } from '../../src/base/path.ts'
import type { RelPath } from '../../src/base/path.ts'
import type { Disk } from '../../src/port/disk.ts'

/** The part of a disk below one of its folders, as a disk. */
export function diskBelow(disk: Disk, top: RelPath): Disk {
  const at = (path: RelPath): RelPath => inTree(top, path)
  const back = (path: RelPath): RelPath => (path === top ? rootPath : (path.slice(top.length + 1) as RelPath))
  const mapped = async <T>(ask: (paths: readonly RelPath[]) => Promise<ReadonlyMap<RelPath, T>>, paths: readonly RelPath[]) =>
    new Map([...(await ask(paths.map(at)))].map(([path, value]) => [back(path), value] as const))
  return {
    capabilities: async () => await disk.capabilities(),
    lstat: async (path) => await disk.lstat(at(path)),
    readdir: async (path) => await disk.readdir(at(path)),
    readlink: async (path) => await disk.readlink(at(path)),
    read: (path, options) => disk.read(at(path), options),
    digest: async (path) => await disk.digest(at(path)),
    xattrsOf: async (paths) => await mapped(disk.xattrsOf, paths),
    flagsOf: async (paths) => await mapped(disk.flagsOf, paths),
    space: async (path) => await disk.space(at(path)),
    refusalsOf: async (paths) => await mapped(disk.refusalsOf, paths),
    mountPointsAmong: async (paths) => new Set([...(await disk.mountPointsAmong(paths.map(at)))].map(back)),
    create: async (path, content) => await disk.create(at(path), content),
    append: async (path, content) => await disk.append(at(path), content),
    truncate: async (path, size) => await disk.truncate(at(path), size),
    clone: async (path, existing, rights) => await disk.clone(at(path), at(existing), rights),
    mkdir: async (path, mode) => await disk.mkdir(at(path), mode),
    symlink: async (path, target) => await disk.symlink(at(path), target),
    link: async (path, existing) => await disk.link(at(path), at(existing)),
    mknod: async (path, node) => await disk.mknod(at(path), node),
    rename: async (from, to) => await disk.rename(at(from), at(to)),
    unlink: async (path) => await disk.unlink(at(path)),
    rmdir: async (path) => await disk.rmdir(at(path)),
    chmod: async (path, mode, seen) => await disk.chmod(at(path), mode, seen),
    chown: async (path, uid, gid, seen) => await disk.chown(at(path), uid, gid, seen),
    setTimes: async (times) => await disk.setTimes(times.map((time) => ({ ...time, path: at(time.path) }))),
    setXattrs: async (path, xattrs, how) => await disk.setXattrs(at(path), xattrs, how),
    setFlags: async (path, flags) => await disk.setFlags(at(path), flags),
    sync: async (path) => await disk.sync(at(path)),
  }
}
