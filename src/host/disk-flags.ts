import { lstatSync } from 'node:fs'
import { latin1 } from '../base/bytes.ts'
import { BinderyError } from '../base/error.ts'
import { showPath } from '../base/path.ts'
import { diskError } from './disk-error.ts'
import { hostPath } from './host-path.ts'
import { runOnPaths, toolError } from './disk-tools.ts'
import type { RelPath } from '../base/path.ts'
import type { DiskTools } from './disk-tools.ts'

/** BSD file flags through stat(1) and chflags(1), whose words are the same on FreeBSD, NetBSD, OpenBSD and DragonFly. */

export function hasFlags(platform: string): boolean {
  return ['freebsd', 'netbsd', 'openbsd', 'dragonfly', 'darwin'].includes(platform)
}

/** Device and inode, which are safe to print whatever the name holds, and the flags. */
const statFormat = '%d %i %Sf'

export async function readFlags(tools: DiskTools, paths: readonly RelPath[]): Promise<ReadonlyMap<RelPath, readonly string[]>> {
  if (paths.length === 0) return new Map()
  const result = await runOnPaths(tools, ['stat', '-f', statFormat, '--'], paths)
  // A path that has gone makes it fail, too; from 124 on, xargs says that the list was cut short.
  if (result.status >= 124) throw toolError('stat', result, showPath(paths[0] as RelPath))
  const byInode = parseStat(latin1(result.stdout))
  const found = new Map<RelPath, readonly string[]>()
  for (const path of paths) {
    const flags = byInode.get(inodeOf(tools.root, path) ?? '')
    if (flags !== undefined && flags.length > 0) found.set(path, flags)
  }
  return found
}

/** Lines of `DEVICE INODE FLAGS`; no flags are nothing, `-` or `none`, depending on the system. */
export function parseStat(text: string): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, readonly string[]>()
  for (const line of text.split('\n')) {
    const [device, inode, words = ''] = line.trimEnd().split(' ')
    if (device === undefined || inode === undefined) continue
    found.set(
      `${device} ${inode}`,
      words === '-' || words === 'none'
        ? []
        : words
            .split(',')
            .filter((word) => word !== '')
            .sort(),
    )
  }
  return found
}

/** Undefined for a path that has gone meanwhile. */
function inodeOf(root: string, path: RelPath): string | undefined {
  try {
    const { dev, ino } = lstatSync(hostPath(root, path), { bigint: true })
    return `${dev} ${ino}`
  } catch (cause) {
    const error = diskError(cause, path)
    if (error instanceof BinderyError && error.code === 'not-found') return undefined
    throw error
  }
}

/** In two steps, since chflags(1) with words only adds and takes away: all off, then these on. */
export async function writeFlags(tools: DiskTools, path: RelPath, flags: readonly string[]): Promise<void> {
  for (const words of flags.length === 0 ? ['0'] : ['0', flags.join(',')]) {
    const result = await runOnPaths(tools, ['chflags', '-h', words], [path])
    if (result.status !== 0) throw toolError('chflags', result, showPath(path))
  }
}
