import { accessSync, constants, lstatSync } from 'node:fs'
import { readFile, realpath } from 'node:fs/promises'
import { latin1 } from '../base/bytes.ts'
import { parentPath, parseRelPath } from '../base/path.ts'
import { hasFlags, readFlags } from './disk-flags.ts'
import { dotted, runOnPaths } from './disk-tools.ts'
import { printedBy, remoteAmong, systemMounts } from './remote-mounts.ts'
import type { RelPath } from '../base/path.ts'
import type { Refusal } from '../port/disk.ts'
import type { Exec } from '../port/exec.ts'
import type { HostPath } from './host-path.ts'
import type { DiskTools } from './disk-tools.ts'

/** What the system would answer to a change, asked without trying it. */

export async function readRefusals(
  tools: DiskTools,
  paths: readonly RelPath[],
  real: (path: RelPath) => HostPath,
): Promise<ReadonlyMap<RelPath, Refusal>> {
  const found = new Map<RelPath, Refusal>()
  for (const path of await appendOnly(tools, paths)) found.set(path, 'append-only')
  for (const path of await lockedFlags(tools, process.platform, paths)) found.set(path, 'locked')
  for (const path of paths) {
    const refusal = refusalAt(real(path))
    if (refusal !== undefined) found.set(path, refusal)
  }
  const mounts = await systemMounts(process.platform, tools.exec, async (file) => await readFile(file, 'latin1'))
  for (const path of remoteAmong(mounts, latin1(Buffer.from(await realpath(tools.root))), paths)) found.set(path, 'remote')
  return found
}

/**
 * access(2) asks the mount and the inode's flags before it asks for permissions: EROFS and EPERM are for root, too. On the
 * BSDs flags can be read and taken away, and are no refusal.
 */
function refusalAt(real: HostPath): Refusal | undefined {
  try {
    accessSync(real, constants.W_OK)
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    if (code === 'EROFS') return 'read-only'
    if (code === 'EPERM' && !hasFlags(process.platform)) return 'immutable'
  }
  return undefined
}

/** Linux's `a` can only be read through ioctl(2), which lsattr(1) of e2fsprogs does, where it is installed. */
async function appendOnly({ exec, root }: DiskTools, paths: readonly RelPath[]): Promise<readonly RelPath[]> {
  if (paths.length === 0 || process.platform !== 'linux' || !(await exec.has('lsattr'))) return []
  // What is no file or folder, and file systems without such flags, are errors of single paths: they have none.
  const { stdout } = await runOnPaths({ exec, root }, ['lsattr', '-d', '--'], paths)
  const marked = new Set(
    latin1(stdout)
      .split('\n')
      .flatMap((line) => {
        const flags = /^[-A-Za-z]+(?= )/.exec(line)?.[0]
        return flags?.includes('a') === true ? [line.slice(flags.length).trimStart()] : []
      }),
  )
  return paths.filter((path) => marked.has(dotted(path)))
}

/**
 * The flags of the BSDs that only root sets, and that nobody takes away where the system is above its first security level, or, in a
 * jail, where that may not.
 */
export async function lockedFlags(tools: DiskTools, platform: string, paths: readonly RelPath[]): Promise<readonly RelPath[]> {
  if (!hasFlags(platform) || !(await areFlagsKept(tools.exec, platform))) return []
  const flags = await readFlags(tools, paths)
  return paths.filter(
    (path) => flags.get(path)?.some((word) => ['schg', 'schange', 'sappnd', 'sappend', 'simmutable'].includes(word)) === true,
  )
}

async function areFlagsKept(exec: Exec, platform: string): Promise<boolean> {
  const value = async (name: string): Promise<number> => Number((await printedBy(exec, '/sbin/sysctl', ['-n', name])) ?? 0)
  if ((await value('kern.securelevel')) > 0) return true
  return platform === 'freebsd' && (await value('security.jail.jailed')) > 0 && (await value('security.jail.chflags_allowed')) === 0
}

/** Linux tells; elsewhere a device number other than the folder's does. (On Linux an overlay's files have others, too.) */
export async function findMountPoints(
  root: string,
  paths: readonly RelPath[],
  real: (path: RelPath) => HostPath,
): Promise<ReadonlySet<RelPath>> {
  const mounted = process.platform === 'linux' ? await mountedBelow(root) : undefined
  const deviceAt = (path: RelPath): number | undefined => lstatSync(real(path), { throwIfNoEntry: false })?.dev
  const isMounted = (path: RelPath): boolean => mounted?.has(path) ?? deviceAt(path) !== deviceAt(parentPath(path))
  return new Set(paths.filter(isMounted))
}

/** Undefined without a /proc. */
async function mountedBelow(root: string): Promise<ReadonlySet<RelPath> | undefined> {
  try {
    const top = latin1(Buffer.from(await realpath(root)))
    return parseMountInfo(await readFile('/proc/self/mountinfo', 'latin1'), top)
  } catch {
    return undefined
  }
}

/** proc_pid_mountinfo(5): the mount point is the fifth word, with octal escapes. */
export function parseMountInfo(text: string, root: string): ReadonlySet<RelPath> {
  const prefix = root === '/' ? '/' : `${root}/`
  const points = text.split('\n').map((line) => (line.split(' ')[4] ?? '').replaceAll(/\\([0-7]{3})/g, unescaped))
  return new Set(points.flatMap((point) => (point.startsWith(prefix) ? (parseRelPath(point.slice(prefix.length)) ?? []) : [])))
}

function unescaped(_: string, octal: string): string {
  return String.fromCharCode(parseInt(octal, 8))
}
