import { chmodSync, chownSync, closeSync, constants, fsync, lchownSync, linkSync, lstatSync, mkdirSync, openSync } from 'node:fs'
import { readdirSync, readlinkSync, renameSync, rmdirSync, symlinkSync, unlinkSync } from 'node:fs'
import { setImmediate } from 'node:timers/promises'
import { promisify } from 'node:util'
import { BinderyError } from '../base/error.ts'
import { parentPath, showPath } from '../base/path.ts'
import { appendFile, cloneFile, createFile, digestFile, openForReading, readRange, truncateFile } from './disk-content.ts'
import { diskError, wrongType } from './disk-error.ts'
import { hasFlags, readFlags, writeFlags } from './disk-flags.ts'
import { makeNode } from './disk-nodes.ts'
import { diskPaths } from './disk-path.ts'
import { hostPath } from './host-path.ts'
import { findMountPoints, readRefusals } from './disk-refusal.ts'
import { spaceAt, statOf } from './disk-stat.ts'
import { writeTimes } from './disk-times.ts'
import { hasXattrTools, readXattrs, writeXattrs, writeXattrsOf } from './disk-xattrs.ts'
import { hostExec } from './exec.ts'
import { absolutePath } from './system-error.ts'
import type { Exec } from '../port/exec.ts'
import type { RelPath } from '../base/path.ts'
import type { Disk, DiskCapabilities, DiskReader, DiskWriter } from '../port/disk.ts'
import type { DiskPaths } from './disk-path.ts'
import type { HostPath } from './host-path.ts'
import type { DiskTools } from './disk-tools.ts'

/**
 * A tree of the real file system. Most calls are synchronous inside: a trip to node's thread pool costs ten times what
 * the system call does, and a command has nothing else to do meanwhile. What may really take long (fsync, large writes,
 * other programs) is not.
 */
export function hostDisk(root: string, options: { readonly exec?: Exec; readonly anchored?: boolean } = {}): Disk {
  const paths = diskPaths(absolutePath(root), options)
  const tools: DiskTools = { exec: options.exec ?? hostExec, root: paths.root }
  const capabilities = once(async () => await findCapabilities(tools))
  return { ...reader(paths, tools, capabilities), ...writer(paths, tools, capabilities) }
}

function reader(paths: DiskPaths, tools: DiskTools, capabilities: () => Promise<DiskCapabilities>): DiskReader {
  const breathe = breather()
  const look = <T>(path: RelPath, use: (real: HostPath) => T): Promise<T> => told(path, () => use(paths.forReading(path)))
  return {
    capabilities,
    // Asked for every path of a tree: no promises but its own.
    lstat: async (path) => {
      const pause = breathe()
      if (pause !== undefined) await pause
      try {
        return statOf(paths.forReading(path))
      } catch (cause) {
        return ignoreMissing(diskError(cause, path))
      }
    },
    readdir: async (path) => await look(path, (real) => namesIn(real, path)),
    readlink: async (path) => await look(path, (real) => targetOf(real, path)),
    read: (path, options = {}) => readRange(path, () => openForReading(paths.forReading(path), path, options.seen), options),
    digest: async (path) => {
      await breathe()
      return await told(path, () => digestFile(openForReading(paths.forReading(path), path)))
    },
    xattrsOf: async (list) => ((await capabilities()).xattrs ? await readXattrs(tools, list) : new Map()),
    flagsOf: async (list) => ((await capabilities()).flags ? await readFlags(tools, list) : new Map()),
    refusalsOf: async (list) => await readRefusals(tools, list, (path) => paths.forReading(path)),
    mountPointsAmong: async (list) => await findMountPoints(paths.root, list, (path) => paths.forReading(path)),
    space: async (path) => await look(path, (real) => spaceAt(holdsFiles(real) ? real : paths.forReading(parentPath(path)))),
  }
}

function writer(paths: DiskPaths, tools: DiskTools, capabilities: () => Promise<DiskCapabilities>): DiskWriter {
  const change = <T>(path: RelPath, use: (real: HostPath) => T): Promise<T> => told(path, () => paths.forWriting(path, use))
  const throughTools = async (path: RelPath, use: (at: DiskTools, name: RelPath) => Promise<void>): Promise<void> =>
    await told(path, () =>
      paths.forPrograms(
        [path],
        async (root, [at = { path, name: path }]) => await named(at, async () => await use({ ...tools, root }, at.name)),
      ),
    )
  return {
    create: async (path, content) => await change(path, async (real) => await createFile(real, content)),
    append: async (path, content) => await change(path, async (real) => await appendFile(real, content)),
    truncate: async (path, size) => await change(path, (real) => truncateFile(real, size)),
    clone: async (path, existing, rights) =>
      await change(
        path,
        async (real) => await paths.forWriting(existing, async (from) => await cloneFile(real, { real: from, path: existing, rights })),
      ),
    mkdir: async (path, mode) => await makeDirectory(paths, path, mode),
    symlink: async (path, target) => await change(path, (real) => symlinkSync(Buffer.from(target, 'latin1'), real)),
    link: async (path, existing) => await change(path, (real) => paths.forWriting(existing, (from) => linkFile(from, real, existing))),
    mknod: async (path, node) => await throughTools(path, async (at, name) => await makeNode(at, name, node)),
    rename: async (from, to) => {
      await change(from, (realFrom) => paths.forWriting(to, (realTo) => renameSync(realFrom, realTo)))
      paths.moved(from)
      paths.moved(to)
    },
    unlink: async (path) => await change(path, (real) => removeFile(real, path)),
    rmdir: async (path) => {
      await change(path, (real) => rmdirSync(real))
      paths.moved(path)
    },
    chmod: async (path, mode, seen) => await told(path, () => paths.forInode(path, (real) => chmodSync(real, mode), seen)),
    chown: async (path, uid, gid, seen) => {
      if (seen === undefined) return await change(path, (real) => lchownSync(real, uid, gid))
      await told(path, () => paths.forInode(path, (real) => chownSync(real, uid, gid), seen))
    },
    setTimes: async (times) => await writeTimes(tools, times, paths),
    setXattrs: async (path, xattrs, { seen, stays } = {}) => {
      if (!(await capabilities()).xattrs) return await missing('attributes', path)
      const wanted = { xattrs, stays }
      if (seen !== undefined)
        return await told(path, () => paths.forInode(path, async (real) => await writeXattrsOf(tools, real, showPath(path), wanted), seen))
      await throughTools(path, async (at, name) => (mustExist(at, name), await writeXattrs(at, name, wanted)))
    },
    setFlags: async (path, flags) => {
      if (!(await capabilities()).flags) return await missing('file flags', path)
      await throughTools(path, async (at, name) => (mustExist(at, name), await writeFlags(at, name, flags)))
    },
    sync: async (path) => await change(path, async (real) => await syncPath(real)),
  }
}

/** Runs `work`, and tells its failure in the words of the port. */
async function told<T>(path: RelPath, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (cause) {
    throw diskError(cause, path)
  }
}

/** A program was told a name; an error is told of the path. */
async function named({ path, name }: { readonly path: RelPath; readonly name: RelPath }, work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (error) {
    if (!(error instanceof BinderyError) || error.subject !== showPath(name)) throw error
    throw new BinderyError(error.code, error.message, { subject: showPath(path), hint: error.hint, cause: error })
  }
}

/** Programs say in many ways that there is nothing. */
function mustExist({ root }: DiskTools, name: RelPath): void {
  lstatSync(hostPath(root, name))
}

/** Synchronous calls in a row would keep signals, the progress line and the output of other programs waiting. */
function breather(): () => Promise<void> | undefined {
  let last = performance.now()
  return () => {
    if (performance.now() - last < 20) return undefined
    return setImmediate().then(() => void (last = performance.now()))
  }
}

function once<T>(work: () => Promise<T>): () => Promise<T> {
  let result: Promise<T> | undefined
  return () => (result ??= work())
}

async function findCapabilities(tools: DiskTools): Promise<DiskCapabilities> {
  return { xattrs: await hasXattrTools(tools), flags: hasFlags(process.platform), privileged: process.geteuid?.() === 0 }
}

function missing(what: string, path: RelPath): Promise<never> {
  return Promise.reject(new BinderyError('not-supported', `${what} cannot be set on this system`, { subject: showPath(path) }))
}

function ignoreMissing(error: unknown): undefined {
  if (error instanceof BinderyError && error.code === 'not-found') return undefined
  throw error
}

/** opendir(3) would follow a link. */
function namesIn(real: HostPath, path: RelPath): string[] {
  if (!lstatSync(real).isDirectory()) throw wrongType(path, 'is no directory')
  return readdirSync(real, { encoding: 'latin1' })
}

function targetOf(real: HostPath, path: RelPath): string {
  if (!lstatSync(real).isSymbolicLink()) throw wrongType(path, 'is no symbolic link')
  return readlinkSync(real, { encoding: 'latin1' })
}

/** statfs(2) follows links, and access(2) answers differently for devices. */
function holdsFiles(real: HostPath): boolean {
  const stat = lstatSync(real)
  return stat.isDirectory() || stat.isFile()
}

async function makeDirectory(paths: DiskPaths, path: RelPath, mode: number): Promise<void> {
  await told(path, () => paths.forWriting(path, (real) => mkdirSync(real, 0o700)))
  // mkdir(2) takes the umask away, and some systems ignore the sticky and setgid bits.
  await told(path, () => paths.forInode(path, (real) => chmodSync(real, mode)))
}

/**
 * EPERM tells of the file or of its file system, which have no second names. EACCES is somebody's word about this one name, and a copy in
 * its place would make two files of one.
 */
function linkFile(from: HostPath, real: HostPath, existing: RelPath): void {
  try {
    linkSync(from, real)
  } catch (cause) {
    if (!(cause instanceof Error && 'code' in cause && cause.code === 'EACCES')) throw cause
    throw new BinderyError('io', 'permission denied', { subject: showPath(existing), hint: 'another name of it was to be made', cause })
  }
}

function removeFile(real: HostPath, path: RelPath): void {
  // Some systems let root unlink a directory, or answer EPERM.
  if (lstatSync(real).isDirectory()) throw wrongType(path, 'is a directory')
  unlinkSync(real)
}

const syncLater = promisify(fsync)

async function syncPath(real: HostPath): Promise<void> {
  const fd = openSync(real, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  try {
    await syncLater(fd)
  } finally {
    closeSync(fd)
  }
}
