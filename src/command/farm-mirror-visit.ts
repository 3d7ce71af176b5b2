import { join } from 'node:path'
import { about } from '../base/about.ts'
import { BinderyError, isBinderyError } from '../base/error.ts'
import { judgeMirror } from '../engine/farm/mirror-state.ts'
import { decodeIndexTxt } from '../format/openbsd/index-txt.ts'
import { folderStore } from '../host/folder-store.ts'
import { mirrorFolder } from '../host/mirror-folder.ts'
import type { MirrorState } from '../engine/farm/mirror-state.ts'
import type { MirrorTarget } from '../host/mirror-target.ts'
import type { Context } from './command.ts'

export type Visit = {
  readonly target: MirrorTarget
  /** What is published, and which folders of it. */
  readonly ours: string
  readonly sets: readonly string[]
  readonly bring: boolean
}

export type Standing = MirrorState | Failed

/** Brings a mirror up to date where that is wanted, and tells how it stands. */
export async function visitMirror(
  context: Pick<Context, 'explain'>,
  { target, ours, sets, bring: isToBring }: Visit,
  tell: (set: string, state: Standing) => Promise<void>,
): Promise<void> {
  const failure = isToBring ? await bring(context, target, ours, sets) : undefined
  for (const set of sets) await tell(set, failure ?? (await look(target, ours, set)))
}

type Failed = { readonly kind: 'failed'; readonly why: string }

/** Of an index. */
const maxIndex = 64 << 20

export async function bring(
  context: Pick<Context, 'explain'>,
  target: MirrorTarget,
  folder: string,
  sets: readonly string[],
): Promise<Failed | undefined> {
  if (target.bring === undefined) throw new BinderyError('usage', `'${target.place}' can only be looked at: --check is missing`)
  context.explain(`${target.place}: being brought up to date`)
  return await orFailed(async () => {
    await target.bring?.(folder, sets)
    return undefined
  })
}

async function look(target: MirrorTarget, folder: string, set: string): Promise<MirrorState | Failed> {
  const ours = await mirrorFolder(join(folder, set)).read('index.txt', maxIndex)
  if (ours === undefined) throw new BinderyError('not-found', 'is not there', { subject: join(folder, set, 'index.txt') })
  const index = await about(join(folder, set, 'index.txt'), () => decodeIndexTxt(ours))
  return await orFailed(async () => {
    const theirs = await target.read(`${set}/index.txt`)
    if (theirs === undefined) return { kind: 'missing' }
    const listed = await about(`${target.place}/${set}/index.txt`, () => decodeIndexTxt(theirs))
    return judgeMirror(index, listed, await target.sizes(set, listed))
  })
}

/** A mirror that cannot be reached hides no other. */
export async function orFailed<T>(work: () => Promise<T>): Promise<T | Failed> {
  try {
    return await work()
  } catch (error) {
    if (!isBinderyError(error) || error.code === 'stopped' || error.code === 'usage') throw error
    return { kind: 'failed', why: error.message }
  }
}

export async function publishedSets(folder: string): Promise<readonly string[]> {
  const keys = await folderStore(folder).list('')
  return keys.flatMap((key) => /^([^/]+\/packages-stable\/[^/]+)\/index\.txt$/.exec(key)?.[1] ?? [])
}
