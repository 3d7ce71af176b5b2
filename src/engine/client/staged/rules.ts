import { BinderyError } from '../../../base/error.ts'
import { formatChannel, formatDistName } from '../../../base/name.ts'
import { isWithin, rootPath, showPath } from '../../../base/path.ts'
import { matchesAny } from '../../../format/conf.ts'
import { mayBeEdited } from '../apply/configuration.ts'
import { readPresentManifest } from '../phase.ts'
import { readEnrolled, readReleaseState } from '../state.ts'
import { inTree } from './clone.ts'
import { isStateFile } from './state-files.ts'
import type { Entry } from '../../../base/entry.ts'
import type { RelPath } from '../../../base/path.ts'
import type { ClientConfig } from '../../../format/conf.ts'
import type { DiskReader, Stat } from '../../../port/disk.ts'
import type { CloneRules } from './clone.ts'

/** By path: what the installed releases have there. */
export type Released = ReadonlyMap<RelPath, Entry>

export async function readReleased(disk: DiskReader): Promise<Released> {
  const released = new Map<RelPath, Entry>()
  for (const { channel } of await readEnrolled(disk)) {
    const { entries } = await readPresentManifest(disk, channel, await readReleaseState(disk, channel))
    for (const entry of entries) released.set(entry.path, entry)
  }
  return released
}

/**
 * What nobody writes into may have a name in both trees: files that are as the release has them, but for configuration; links and
 * devices; bindery's own state; and what bindery.conf says shall be one file in all trees. All else is a file of its own in each.
 */
export function cloneRules(released: Released, config: Pick<ClientConfig, 'configProtect' | 'share'>): CloneRules {
  return {
    isShared: (path, stat) => {
      if (stat.kind !== 'file' || isStateFile(path) || matchesAny(config.share, path)) return true
      if (mayBeEdited(config, path)) return false
      const entry = leaderAt(released, path)
      return (
        entry?.kind === 'file' && entry.size === stat.size && entry.mtime.sec === stat.mtime.sec && entry.mtime.nsec === stat.mtime.nsec
      )
    },
  }
}

function leaderAt(released: Released, path: RelPath): Entry | undefined {
  const entry = released.get(path)
  return entry?.kind === 'hardlink' ? released.get(entry.leader) : entry
}

/**
 * What is mounted in a tree stays where it is mounted; it must be nothing that a release brings. `stats`: of the tree (`lookOver`). An overlay of two file
 * systems gives files other devices than their folders: of a file the system is asked.
 */
export async function mountsIn(disk: DiskReader, tree: RelPath, stats: ReadonlyMap<RelPath, Stat>): Promise<readonly RelPath[]> {
  const device = stats.get(rootPath)?.device
  const others = [...stats].filter(([, stat]) => stat.device !== device)
  const files = others.flatMap(([path, { kind }]) => (kind === 'dir' ? [] : [inTree(tree, path)]))
  const mounted = files.length === 0 ? new Set<RelPath>() : await disk.mountPointsAmong(files)
  return others.flatMap(([path, { kind }]) => (kind === 'dir' || mounted.has(inTree(tree, path)) ? [path] : []))
}

export function refuseMounts(mounts: readonly RelPath[], released: Released): void {
  for (const mount of mounts) {
    const below = [...released.keys()].find((path) => path !== mount && isWithin(path, mount))
    if (below === undefined) continue
    throw new BinderyError('conflict', 'is another file system, and releases have files there: both cannot be switched at once', {
      subject: `/${showPath(mount)}`,
      hint: `/${showPath(below)} is one of them; a staged root is one file system`,
    })
  }
}

/** By channel. */
export async function releasesIn(disk: DiskReader): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>()
  for (const { channel } of await readEnrolled(disk))
    found.set(formatChannel(channel), formatDistName((await readReleaseState(disk, channel)).name))
  return found
}
