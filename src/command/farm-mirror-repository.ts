import { dirname, join } from 'node:path'
import { about } from '../base/about.ts'
import { judgeRepository } from '../engine/farm/mirror-state.ts'
import { timestampKey } from '../engine/repo/layout.ts'
import { decodeTimestamp } from '../format/tuf.ts'
import { folderStore } from '../host/folder-store.ts'
import { bring, orFailed } from './farm-mirror-visit.ts'
import type { MirrorTarget } from '../host/mirror-target.ts'
import type { Context } from './command.ts'
import type { Standing } from './farm-mirror-visit.ts'

type Visit = { readonly target: MirrorTarget; readonly repository: string; readonly bring: boolean }

/** A mirror of a repository; undefined where there is none yet. */
export async function visitRepository(context: Context, { target, repository, bring: isToBring }: Visit): Promise<Standing | undefined> {
  const store = folderStore(repository)
  const file = await store.get(timestampKey)
  if (file === undefined) return undefined
  const ours = about(join(repository, timestampKey), () => decodeTimestamp(file))
  const failure = isToBring ? await bring(context, target, repository, foldersOf(await store.list(''))) : undefined
  if (failure !== undefined) return failure
  return await orFailed(async () => {
    const theirs = await target.read(timestampKey)
    return theirs === undefined ? { kind: 'missing' } : judgeRepository((await ours).value, decodeTimestamp(theirs).value)
  })
}

/** Metadata first: rsync brings blobs before all folders, and takes away what one has too much as it comes by. */
function foldersOf(keys: readonly string[]): readonly string[] {
  const folders = new Set(keys.map((key) => dirname(key)).filter((folder) => folder !== '.'))
  return ['metadata', ...[...folders].filter((folder) => folder !== 'metadata')]
}
