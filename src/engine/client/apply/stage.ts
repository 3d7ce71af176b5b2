import { BinderyError, isBinderyError } from '../../../base/error.ts'
import { inParallel } from '../../../base/parallel.ts'
import { showPath } from '../../../base/path.ts'
import { stageSlot, storeSlot } from './area.ts'
import { copyNode, finishCopies, keepAside, makeSpecial, setAttributes, syncFile, tellingOf, tryLink } from './aside.ts'
import { checked } from './contents.ts'
import type { RelPath } from '../../../base/path.ts'
import type { FileEntry } from '../../../base/entry.ts'
import type { Action, Journal } from '../../../format/journal.ts'
import type { Meter } from '../../../port/ambient.ts'
import type { Disk } from '../../../port/disk.ts'
import type { PathTime } from './aside.ts'
import type { Contents } from './contents.ts'
import type { Plan, StageItem } from './plan.ts'

/** Filling the slots: contents that come, in `stage`, and second names of what goes, in `store`. Nothing live changes. */

export type StageOptions = { readonly contents: Contents; readonly signal?: AbortSignal | undefined; readonly meter?: Meter | undefined }

/** Syncs wait for the disk, not for us: the more at once, the better it can order them. */
const syncWidth = 16

/** Every slot of the plan is filled, checked, has its attributes, and is synced; the folders are not yet. */
export async function fillStage(disk: Disk, plan: Plan, options: StageOptions): Promise<void> {
  await fillContents(disk, plan, options)
  const times: PathTime[] = []
  const synced: { readonly slot: RelPath; readonly path: RelPath }[] = []
  for (const item of plan.stage) {
    options.signal?.throwIfAborted()
    const path = stageSlot(plan.journal, item.slot)
    if (!(await namingPath(item, path, async () => await prepareSlot(disk, plan.journal, item, path)))) continue
    if (item.node.kind === 'file') synced.push({ slot: path, path: item.node.path })
    times.push({ path, mtime: item.node.mtime })
  }
  if (times.length > 0) await disk.setTimes(times)
  await inParallel(synced, syncWidth, async ({ slot, path }) => await tellingOf(path, async () => await syncFile(disk, slot)))
}

/** An error about a slot says nothing to anybody: it is told of the path that the slot is for. */
async function namingPath<T>({ node }: StageItem, slot: RelPath, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof BinderyError) || error.subject !== slot) throw error
    throw new BinderyError(error.code, error.message, { subject: `/${showPath(node.path)}`, hint: error.hint, cause: error })
  }
}

/** Answers whether the slot is a file of its own, whose time has yet to be set. */
async function prepareSlot(disk: Disk, journal: Journal, item: StageItem, path: RelPath): Promise<boolean> {
  if (!(await fillSlot(disk, journal, item, path))) return false
  // What will not be readable is synced while it is, and again after where we may.
  if (item.node.kind === 'file' && (item.node.mode & 0o400) === 0) await disk.sync(path)
  await setAttributes(disk, path, item.node)
  return true
}

/** The contents of the release: the only bytes that come from outside. */
async function fillContents(disk: Disk, { journal, stage }: Plan, { contents, signal, meter }: StageOptions): Promise<void> {
  const items = new Map(stage.flatMap((item) => (item.source.kind === 'content' ? [[item.source.path, item] as const] : [])))
  const wanted = new Map([...items].map(([path, { node }]) => [path, node as FileEntry]))
  for await (const { path, content } of contents(wanted)) {
    signal?.throwIfAborted()
    const item = items.get(path)
    if (item === undefined) throw new BinderyError('hostile', 'was not asked for', { subject: showPath(path) })
    items.delete(path)
    const slot = stageSlot(journal, item.slot)
    const size = await namingPath(item, slot, async () => await disk.create(slot, checked(content, path, item.node as FileEntry)))
    meter?.advance(size)
  }
  for (const path of items.keys()) throw new BinderyError('bad-digest', 'is missing in the release', { subject: showPath(path) })
}

/** Answers whether the slot is a file of its own, whose attributes are not set yet. */
async function fillSlot(disk: Disk, journal: Journal, { node, source }: StageItem, path: RelPath): Promise<boolean> {
  switch (source.kind) {
    case 'content':
      return true
    case 'share':
      if (await tryLink(disk, path, stageSlot(journal, source.slot))) return false
      await copyNode(disk, stageSlot(journal, source.slot), path, node)
      return true
    case 'copy':
      await disk.create(path, checked(disk.read(stageSlot(journal, source.slot)), node.path, node as FileEntry))
      return true
    case 'link':
      // Flags that forbid changes will forbid to remove the other name, too.
      if ((node.flags ?? []).length === 0 && (await tryLink(disk, path, source.from))) return false
      await copyNode(disk, source.from, path, node)
      return true
    case 'make':
      await makeSpecial(disk, path, node as Exclude<typeof node, FileEntry>)
      return true
    case 'stream':
      if (source.from === undefined || (await hasOtherNames(disk, source.from)) || !(await tryLink(disk, path, source.from)))
        await disk.create(path, source.content())
      return true
  }
}

/** As the manifest of a release that has come in part has: with a new time it would be changed under that name, too. */
async function hasOtherNames(disk: Disk, path: RelPath): Promise<boolean> {
  return ((await disk.lstat(path))?.nlink ?? 1) > 1
}

/** What goes gets its second name before anything happens to the first one. Synced by the folders that hold the names. */
export async function saveOld(disk: Disk, journal: Journal): Promise<void> {
  const copies: PathTime[] = []
  for (const action of journal.actions) {
    if (!savesOld(action) || isImmutable(action)) continue
    const slot = storeSlot(journal, action.slot)
    const copy = await tellingOf(action.path, async () => await keepAside(disk, action.path, slot, action.old))
    if (copy === undefined) continue
    await refuseUnlinkable(disk, action.path, copy.path)
    copies.push(copy)
  }
  await finishCopies(disk, copies)
}

/**
 * Root may not link a file that must not be changed, nor any file where there are no hard links. The copy that was made
 * instead tells which: when it can be linked, it is the file, and replacing it would fail in the middle.
 */
async function refuseUnlinkable(disk: Disk, path: RelPath, copy: RelPath): Promise<void> {
  if (!(await disk.capabilities()).privileged) return
  const probe = `${copy}.link` as RelPath
  if (!(await isLinkForbidden(disk, probe, path)) || (await isLinkForbidden(disk, probe, copy))) return
  throw new BinderyError('permission', 'may not be linked, so it may not be replaced either: is it immutable or append-only?', {
    subject: `/${showPath(path)}`,
    hint: "'chattr -i -a' lets it be changed; nothing was changed",
  })
}

async function isLinkForbidden(disk: Disk, to: RelPath, from: RelPath): Promise<boolean> {
  try {
    await disk.link(to, from)
  } catch (error) {
    if (isBinderyError(error, 'permission')) return true
    if (isBinderyError(error, 'not-supported')) return false
    throw error
  }
  await disk.unlink(to)
  return false
}

export type SavingAction = Extract<Action, { readonly kind: 'swap' | 'drop' }>

export function savesOld(action: Action): action is SavingAction {
  return action.kind === 'swap' || action.kind === 'drop'
}

/** link(2) refuses such files; they are saved when the commit has taken their flags. */
export function isImmutable(action: SavingAction): boolean {
  return (action.old.flags ?? []).length > 0
}
