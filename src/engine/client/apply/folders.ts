import { inParallel } from '../../../base/parallel.ts'
import { parentPath } from '../../../base/path.ts'
import { readAttributes, writeFlags } from '../../tree/attributes.ts'
import { changeAttributes, lstatDeep, syncFile } from './aside.ts'
import { sameAttributes } from './nodes.ts'
import type { RelPath } from '../../../base/path.ts'
import type { DirEntry } from '../../../base/entry.ts'
import type { Action, Journal } from '../../../format/journal.ts'
import type { Node } from '../../../format/journal-node.ts'
import type { Disk } from '../../../port/disk.ts'
import type { PathTime } from './aside.ts'

/** What surrounds the actions of a journal: folders and flags are opened before, and get what they shall have after. */

const syncWidth = 16

/** Takes flags that forbid renames, and lets us into our own folders that are closed even to their owner. */
export async function openFolders(disk: Disk, journal: Journal): Promise<void> {
  const { flags, privileged } = await disk.capabilities()
  if (flags) await clearFlags(disk, journal)
  if (privileged) return
  for (const path of everyFolder(journal)) {
    const live = await lstatDeep(disk, path)
    if (live?.kind === 'dir' && (live.mode & 0o700) !== 0o700) await disk.chmod(path, live.mode | 0o700)
  }
}

/** Also those that go, whose names go before them; from the top down. */
function everyFolder({ actions }: Journal): readonly RelPath[] {
  return [...new Set(actions.flatMap((action) => (nodesOf(action).some(({ kind }) => kind === 'dir') ? [action.path] : [])))].sort()
}

async function clearFlags(disk: Disk, { actions }: Journal): Promise<void> {
  const flagged = new Set(actions.flatMap((action) => (nodesOf(action).some((node) => (node.flags ?? []).length > 0) ? [action.path] : [])))
  const there: RelPath[] = []
  for (const path of flagged) if ((await lstatDeep(disk, path)) !== undefined) there.push(path)
  if (there.length === 0) return
  for (const path of (await readAttributes(disk, there, { xattrs: false, flags: true })).flags.keys()) await writeFlags(disk, path, [])
}

function nodesOf(action: Action): readonly Node[] {
  return [...('old' in action ? [action.old] : []), ...('new' in action ? [action.new] : [])]
}

/** What was removed here meanwhile has no time any more. */
export async function setLeafTimes(disk: Disk, times: readonly PathTime[]): Promise<void> {
  const there: PathTime[] = []
  for (const time of times) if ((await lstatDeep(disk, time.path)) !== undefined) there.push(time)
  if (there.length > 0) await disk.setTimes(there)
}

/** Owner, mode and time of folders are set when nothing is put into them any more: times first, the deepest mode first. */
export async function closeFolders(disk: Disk, journal: Journal): Promise<void> {
  const folders: Folder[] = []
  for (const folder of foldersOf(journal)) if ((await lstatDeep(disk, folder.path))?.kind === 'dir') folders.push(folder)
  const times = folders.map(({ path, wanted }) => ({ path, mtime: wanted.mtime }))
  if (times.length > 0) await disk.setTimes(times)
  for (const { path, before, wanted } of folders.toReversed()) {
    const live = await lstatDeep(disk, path)
    if (live?.kind === 'dir') await changeAttributes(disk, path, { live, old: before ?? bare(wanted), next: wanted })
  }
  if ((await disk.capabilities()).flags) await setWantedFlags(disk, journal)
}

/** `before` is what its attributes may have been, as far as the plan knows. */
type Folder = { readonly path: RelPath; readonly before: DirEntry | undefined; readonly wanted: DirEntry }

/** In byte order, with what they shall have in the end. */
function foldersOf({ actions, direction }: Journal): readonly Folder[] {
  const found = actions.flatMap((action): readonly Folder[] => {
    const [old, next] = ['old' in action ? action.old : undefined, 'new' in action ? action.new : undefined]
    const [before, wanted] = direction === 'forward' ? [old, next] : [next, old]
    if (wanted?.kind !== 'dir' || (before !== undefined && before.kind !== 'dir')) return []
    return [{ path: action.path, before, wanted }]
  })
  return found.sort((a, b) => (a.path < b.path ? -1 : 1))
}

/** A folder that was just made has no attributes. */
function bare(folder: DirEntry): DirEntry {
  const { xattrs: _xattrs, ...rest } = folder
  return rest
}

/** Of several actions at one path, the last one says what is there in the end. */
async function setWantedFlags(disk: Disk, journal: Journal): Promise<void> {
  const wanted = new Map<RelPath, Node | undefined>()
  for (const action of inDirection(journal)) {
    const [old, next] = ['old' in action ? action.old : undefined, 'new' in action ? action.new : undefined]
    wanted.set(action.path, journal.direction === 'forward' ? next : old)
  }
  for (const [path, node] of wanted) {
    if (node?.flags === undefined || node.flags.length === 0) continue
    if ((await lstatDeep(disk, path))?.kind === node.kind) await writeFlags(disk, path, node.flags)
  }
}

/** The actions in the order in which they are carried out. */
export function inDirection({ actions, direction }: Journal): readonly Action[] {
  return direction === 'forward' ? actions : actions.toReversed()
}

/** Nothing is durable before its folder is; attributes are with what has them. */
export async function syncTouched(disk: Disk, { actions }: Journal): Promise<void> {
  const attrs = actions.filter((action) => action.kind === 'attr')
  const own = new Set(attrs.flatMap(({ path, old, new: next }) => (needsOwnSync(old, next) ? [path] : [])))
  const paths = new Set(actions.map(({ kind, path }) => (kind === 'attr' && own.has(path) ? path : parentPath(path))))
  await inParallel(paths, syncWidth, async (path) => {
    const live = await lstatDeep(disk, path)
    if (live?.kind === 'dir' || live?.kind === 'file') await syncFile(disk, path)
  })
  await inParallel(attrs, syncWidth, async ({ path }) => {
    if (!own.has(path) && (await lstatDeep(disk, path))?.kind === 'file') await syncTime(disk, path)
  })
}

/**
 * Of a file of which only the time was set. A release that was built anew changes the times of thousands of files, and each sync is a flush
 * of the disk: none where the file system takes times along with what is synced later (doc/decisions/0217).
 */
export async function syncTime(disk: Disk, path: RelPath): Promise<void> {
  if (!(await disk.space(path)).isOrdered) await syncFile(disk, path)
}

/** A link cannot be opened, and a device had better not be: what is known of them goes with their folder. */
export function needsOwnSync(old: Node, next: Node): boolean {
  if (next.kind === 'dir') return true
  return next.kind === 'file' && !sameAttributes({ ...old, mtime: next.mtime }, next)
}
