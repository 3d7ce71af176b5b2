import { rootPath } from '../../../base/path.ts'
import { decodeNextRoot, encodeNextRoot, maxNextRootBytes } from '../../../format/next-root.ts'
import { removeBelow } from '../apply/area-folders.ts'
import { inodeKey } from '../apply/links.ts'
import { makeStateFolders, naming, readStateFile, statePaths, stateFolder, writeStateFile } from '../state.ts'
import { catchUp } from './catch-up.ts'
import { inTree, lookOver } from './clone.ts'
import { cloneRules } from './rules.ts'
import type { ClientConfig } from '../../../format/conf.ts'
import type { RelPath } from '../../../base/path.ts'
import type { NextRoot } from '../../../format/next-root.ts'
import type { Disk, DiskReader, Stat } from '../../../port/disk.ts'
import type { Clone } from './clone.ts'

/** A root that the system's own tools clone, mount and start next: boot environments (doc/decisions/0222). */

export async function readNextRoot(disk: DiskReader): Promise<NextRoot | undefined> {
  const bytes = await readStateFile(disk, statePaths.nextRoot, maxNextRootBytes)
  return bytes === undefined ? undefined : naming(statePaths.nextRoot, () => decodeNextRoot(bytes))
}

export async function writeNextRoot(disk: Disk, next: NextRoot): Promise<void> {
  await writeStateFile(disk, statePaths.nextRoot, encodeNextRoot(next), 0o644)
}

export async function forgetNextRoot(disk: Disk): Promise<void> {
  await disk.unlink(statePaths.nextRoot)
  await disk.sync(stateFolder)
}

/** What the clone has of the run that made it, and is not to have. */
export async function cleanNextRoot(next: Disk): Promise<void> {
  for (const path of [statePaths.nextRoot, statePaths.journal, statePaths.commitHooks]) await removeBelow(next, path)
  for (const folder of [statePaths.lock, statePaths.stage])
    for (const name of (await next.lstat(folder)) === undefined ? [] : await next.readdir(folder))
      await removeBelow(next, inTree(folder, name as RelPath))
  await makeStateFolders(next)
}

export type Seen = ReadonlyMap<RelPath, Stat>

/** Before the clone is made: what differs later was written since, or was not seen in time, which is the same. */
export async function lookBefore(disk: DiskReader): Promise<Seen> {
  return await lookOver(disk, rootPath)
}

/** What each path that was seen before became in the clone. */
export async function pairUp(disk: DiskReader, before: Seen): Promise<Clone> {
  const made = await lookOver(disk, statePaths.next)
  return new Map(
    [...before].flatMap(([path, source]) => {
      const stat = made.get(path)
      return stat === undefined ? [] : [[path, { source, made: inodeKey(stat) }] as const]
    }),
  )
}

/** Answers how many paths were written meanwhile, and came along. */
export async function catchUpNext(disk: Disk, clone: Clone, config: Pick<ClientConfig, 'configProtect' | 'share'>): Promise<number> {
  return (await catchUp({ disk, from: rootPath, to: statePaths.next }, cloneRules(new Map(), config), clone)).count
}
