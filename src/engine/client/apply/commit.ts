import { BinderyError, isBinderyError, unreachable } from '../../../base/error.ts'
import { baseName, joinPath, parentPath, showPath } from '../../../base/path.ts'
import { stageFolder, stageSlot, storeSlot } from './area.ts'
import { changeAttributes, copyNode, finishCopies, keepAside, lstatDeep, syncFile, tellingOf } from './aside.ts'
import { nameBeside } from './beside.ts'
import { closeFolders, inDirection, needsOwnSync, openFolders, setLeafTimes, syncTime, syncTouched } from './folders.ts'
import { inodeKey } from './links.ts'
import { unreadDigest } from './look.ts'
import { isMeant } from './meant.ts'
import { contentKey } from './nodes.ts'
import type { RelPath } from '../../../base/path.ts'
import type { Action, Journal, Kept } from '../../../format/journal.ts'
import type { Leaf, Node } from '../../../format/journal-node.ts'
import type { Disk, Stat } from '../../../port/disk.ts'
import type { PathTime } from './aside.ts'

/**
 * Carries out a journal, forward or backward. Each action looks at the disk to see whether it has been done, so that a
 * run that was killed anywhere, and a run that recovers it, are continued by doing the same again. A path is exchanged
 * by one rename(2): at any moment it is exactly its old or its new version. Answers what was changed by others since
 * the plan was made, and was therefore kept.
 */
export async function carryOut(disk: Disk, journal: Journal): Promise<readonly Kept[]> {
  await checkAreas(disk, journal)
  const { actions: all } = journal
  const run: Run = { disk, journal, late: [], times: [], attrTimes: attrTimesOf(all), folders: foldersComing(all), comings: comingsOf(all) }
  await openFolders(disk, journal)
  const carry = journal.direction === 'forward' ? doAction : undoAction
  for (const action of inDirection(journal)) await tellingOf(action.path, async () => await carry(run, action))
  await setLeafTimes(disk, run.times)
  await closeFolders(disk, journal)
  await syncTouched(disk, journal)
  return run.late
}

type Run = {
  readonly disk: Disk
  readonly journal: Journal
  readonly late: Kept[]
  /** Set together at the end. */
  readonly times: PathTime[]
  /** By content: times that a file may have before or after its attributes are set. */
  readonly attrTimes: ReadonlyMap<string, ReadonlySet<string>>
  /** Paths at which a folder comes, maybe in the place of something that goes. */
  readonly folders: ReadonlySet<RelPath>
  /** By path: what brings a file to it. */
  readonly comings: ReadonlyMap<RelPath, Coming>
}

type Coming = Extract<Action, { readonly kind: 'put' | 'swap' }>

/** On a file system that is not mounted every slot is gone, as if all had been done. */
async function checkAreas(disk: Disk, { areas, transaction }: Journal): Promise<void> {
  for (const area of areas) {
    if ((await lstatDeep(disk, stageFolder(area, transaction)))?.kind === 'dir') continue
    throw new BinderyError('not-found', 'is not there; is its file system mounted?', {
      subject: `/${showPath(stageFolder(area, transaction))}`,
    })
  }
}

async function doAction(run: Run, action: Action): Promise<void> {
  switch (action.kind) {
    case 'mkdir':
      return await makeFolder(run, action.path, action.new)
    case 'rmdir':
      return await removeFolder(run, action.path, action.old)
    case 'put':
      return await put(run, action.path, stageSlot(run.journal, action.slot), action.new)
    case 'drop':
      return await drop(run, action.path, storeSlot(run.journal, action.slot), action.old)
    case 'swap':
      return await swap(run, action, stageSlot(run.journal, action.slot), storeSlot(run.journal, action.slot))
    case 'attr':
      return await setLeaf(run, action.path, action.old, action.new)
    default:
      return unreachable(action)
  }
}

async function undoAction(run: Run, action: Action): Promise<void> {
  switch (action.kind) {
    case 'mkdir':
      return await removeFolder(run, action.path, action.new)
    case 'rmdir':
      return await makeFolder(run, action.path, action.old)
    case 'put':
      return await unput(run, action.path, stageSlot(run.journal, action.slot), action.new)
    case 'drop':
      return await undrop(run, action.path, storeSlot(run.journal, action.slot), action.old)
    case 'swap':
      return await unswap(run, action, stageSlot(run.journal, action.slot), storeSlot(run.journal, action.slot))
    case 'attr':
      return await undoAttributes(run, action)
    default:
      return unreachable(action)
  }
}

// --- forward

async function put(run: Run, path: RelPath, from: RelPath, node: Leaf): Promise<void> {
  const coming = await run.disk.lstat(from)
  if (coming === undefined) return
  const live = await lstatDeep(run.disk, path)
  if (live !== undefined && (isSameInode(live, coming) || isCopyOf(run, live, node))) return await run.disk.unlink(from)
  if (live !== undefined) await setAside(run, path)
  await move(run, from, path, node)
}

async function swap(run: Run, { path, old, new: next }: Extract<Action, { kind: 'swap' }>, from: RelPath, out: RelPath): Promise<void> {
  const coming = await run.disk.lstat(from)
  if (coming === undefined) return
  const live = await lstatDeep(run.disk, path)
  // rename(2) of one name of an inode onto another does nothing at all.
  if (live !== undefined && isSameInode(live, coming)) return await run.disk.unlink(from)
  if (await isCopied(run, path, out, { leaving: old, coming: next })) return await run.disk.unlink(from)
  if (live !== undefined && !(await isSaved(run, path, live, out, old))) {
    if (await isStored(run, live, out)) await nameBesideToo(run, path, live)
    else await setAside(run, path)
  }
  await move(run, from, path, next)
}

async function drop(run: Run, path: RelPath, out: RelPath, old: Leaf): Promise<void> {
  const live = await lstatDeep(run.disk, path)
  if (live === undefined || (run.folders.has(path) && live.kind === 'dir')) return
  if (await isSaved(run, path, live, out, old)) await run.disk.unlink(path)
  else run.late.push({ path, reason: 'modified' })
}

/** Whether what is at the path lies in the store too; where it could not be put there before, it is now. */
async function isSaved(run: Run, path: RelPath, live: Stat, out: RelPath, old: Leaf): Promise<boolean> {
  const saved = await run.disk.lstat(out)
  if (saved !== undefined && isSameInode(saved, live)) return await isUnedited(run, path, live, old)
  if (!looksLike(run, live, old)) return false
  if (saved !== undefined) return true
  const copy = await keepAside(run.disk, path, out, old)
  if (copy !== undefined) await finishCopies(run.disk, [copy])
  await run.disk.sync(parentPath(out))
  return true
}

/** Whether the store has it by this very inode, edited or not. */
async function isStored({ disk }: Run, live: Stat, out: RelPath): Promise<boolean> {
  const saved = await disk.lstat(out)
  return saved !== undefined && isSameInode(saved, live)
}

/** What is in the store may be written to through its path. A new time alone is no edit. */
async function isUnedited(run: Run, path: RelPath, live: Stat, old: Leaf): Promise<boolean> {
  if (looksLike(run, live, old)) return true
  return old.kind === 'file' && live.kind === 'file' && (await run.disk.digest(path)).sha256 === old.sha256
}

// --- backward

async function unput(run: Run, path: RelPath, from: RelPath, put: Leaf): Promise<void> {
  const live = await lstatDeep(run.disk, path)
  const isCome = hasCome(live, await run.disk.lstat(from))
  if (!isCome) await removeHalfMoved(run, from, path)
  if (live === undefined || live.kind === 'dir') return
  if (isCome ? looksLike(run, live, put) : isCopyOf(run, live, put)) await run.disk.unlink(path)
  else if (isCome) run.late.push({ path, reason: 'modified' })
}

async function unswap(run: Run, { path, old, new: next }: Extract<Action, { kind: 'swap' }>, from: RelPath, out: RelPath): Promise<void> {
  const [live, slot] = [await lstatDeep(run.disk, path), await run.disk.lstat(from)]
  const isCome = hasCome(live, slot) || (await isCopied(run, path, out, { leaving: old, coming: next }))
  if (!isCome) return await removeHalfMoved(run, from, path)
  const saved = await run.disk.lstat(out)
  if (saved === undefined) return
  const isBack = (live !== undefined && isSameInode(live, saved)) || (await isCopied(run, path, out, { leaving: next, coming: old }))
  if (isBack) return await run.disk.unlink(out)
  if (live !== undefined && !looksLike(run, live, next)) await setAside(run, path)
  await move(run, out, path, old)
}

/**
 * A file that came by this journal has them taken back while it is there, its time too: it may be another name of a file
 * in the store of an earlier install. Before it came and after it went, what is at its path is not the one that is meant.
 */
async function undoAttributes(run: Run, action: Extract<Action, { kind: 'attr' }>): Promise<void> {
  const { path, old, new: next } = action
  const coming = run.comings.get(path)
  if (coming === undefined) return await setLeaf(run, path, next, old)
  if (!(await isInPlace(run, coming)) || !(await change(run, path, next, old))) return
  await run.disk.setTimes([{ path, mtime: old.mtime }])
  if (needsOwnSync(old, next)) await syncFile(run.disk, path)
  else if (old.kind === 'file') await syncTime(run.disk, path)
}

/**
 * What was not taken from its slot never came. A power cut may give a name back that a rename took: some file systems make the new name
 * durable, and not yet that the old one is gone.
 */
function hasCome(live: Stat | undefined, slot: Stat | undefined): boolean {
  return slot === undefined || (live !== undefined && isSameInode(live, slot))
}

/** Whether what an action brings has come and not gone again. */
async function isInPlace({ disk, journal }: Run, action: Coming): Promise<boolean> {
  if (!hasCome(await lstatDeep(disk, action.path), await disk.lstat(stageSlot(journal, action.slot)))) return false
  return action.kind === 'put' || (await disk.lstat(storeSlot(journal, action.slot))) !== undefined
}

async function undrop(run: Run, path: RelPath, out: RelPath, old: Leaf): Promise<void> {
  const saved = await run.disk.lstat(out)
  if (saved === undefined) return
  const live = await lstatDeep(run.disk, path)
  if (live !== undefined && (isSameInode(live, saved) || looksLike(run, live, old))) return
  if (live !== undefined) await setAside(run, path)
  await move(run, out, path, old)
}

// --- both

async function makeFolder({ disk, late }: Run, path: RelPath, node: Node): Promise<void> {
  const live = await lstatDeep(disk, path)
  if (live?.kind === 'dir') return
  if (live !== undefined) await setAside({ disk, late }, path)
  // Open to us until all is in it; closeFolders gives it its mode.
  await disk.mkdir(path, node.mode | 0o700)
}

async function removeFolder({ disk, late }: Run, path: RelPath, node: Node): Promise<void> {
  const live = await lstatDeep(disk, path)
  if (live?.kind !== 'dir') return
  try {
    await disk.rmdir(path)
  } catch (error) {
    if (!isBinderyError(error, 'wrong-type')) throw error
    late.push({ path, reason: 'not-empty' })
    // As openFolders left it.
    if (live.mode !== node.mode && live.mode === (node.mode | 0o700)) await disk.chmod(path, node.mode)
  }
}

async function setLeaf(run: Run, path: RelPath, before: Node, wanted: Node): Promise<void> {
  if (wanted.kind !== 'dir' && (await change(run, path, before, wanted))) run.times.push({ path, mtime: wanted.mtime })
}

/** False where nothing is there, or something that somebody has put there since the plan was made: then it stays as it is. */
async function change(run: Run, path: RelPath, old: Node, next: Node): Promise<boolean> {
  const live = await lstatDeep(run.disk, path)
  if (live?.kind !== next.kind) return false
  const looksAlike = next.kind !== 'dir' && looksLike(run, live, next)
  try {
    if (await isMeant(run.disk, path, { live, old, next, looksAlike })) {
      await changeAttributes(run.disk, path, { live, old, next })
      return true
    }
  } catch (error) {
    if (!isBinderyError(error, 'hostile')) throw error
  }
  run.late.push({ path, reason: 'modified' })
  return false
}

async function move(run: Run, from: RelPath, to: RelPath, node: Leaf): Promise<void> {
  try {
    await run.disk.rename(from, to)
  } catch (error) {
    if (isBinderyError(error, 'not-supported')) return await moveByCopy(run, from, to, node)
    if (!isBinderyError(error, 'not-found') && !isBinderyError(error, 'hostile')) throw error
    // The folder was taken away after the plan was made.
    run.late.push({ path: to, reason: 'removed' })
  }
}

/** A bind mount refuses the rename although its device number is the slot's: then the copy beside is what is renamed. */
async function moveByCopy(run: Run, from: RelPath, to: RelPath, node: Leaf): Promise<void> {
  const { disk } = run
  const half = halfMoved(run, from, to)
  await removeHalfMoved(run, from, to)
  await finishCopies(disk, [await copyNode(disk, from, half, node)])
  await disk.rename(half, to)
  await disk.unlink(from)
}

/**
 * Whether a move by copy was stopped before its last step: what comes is in its place already, and in its slot still.
 * `out` is where the old version is kept.
 */
async function isCopied(run: Run, path: RelPath, out: RelPath, nodes: { readonly leaving: Leaf; readonly coming: Leaf }): Promise<boolean> {
  const live = await lstatDeep(run.disk, path)
  if (live === undefined || !isCopyOf(run, live, nodes.coming) || looksLike(run, live, nodes.leaving)) return false
  const saved = await run.disk.lstat(out)
  return saved !== undefined && !isSameInode(saved, live)
}

/** Our own files lie on the file system of their slots, and are never copied. */
function isCopyOf(run: Run, live: Stat, node: Leaf): boolean {
  return !(node.kind === 'file' && node.sha256 === unreadDigest) && looksLike(run, live, node)
}

/** Named by the slot that it comes from: whoever recovers finds it, and it is short where the path's own name is not. */
function halfMoved({ journal }: Run, slot: RelPath, to: RelPath): RelPath {
  return joinPath(parentPath(to), `.bindery-${journal.transaction}-${baseName(slot)}`)
}

async function removeHalfMoved(run: Run, slot: RelPath, to: RelPath): Promise<void> {
  const half = halfMoved(run, slot, to)
  if ((await lstatDeep(run.disk, half)) !== undefined) await run.disk.unlink(half)
}

/** Somebody put something here after the plan was made: it gets a name beside, so that it is not lost. */
async function setAside({ disk, late }: Pick<Run, 'disk' | 'late'>, path: RelPath): Promise<void> {
  let beside = nameBeside(path, '.local')
  for (let i = 1; (await disk.lstat(beside)) !== undefined; i++) beside = nameBeside(path, `.local.${i}`)
  await disk.rename(path, beside)
  late.push({ path, reason: 'late', beside })
}

/** The store would forget it with its receipt. Whoever goes on after a crash finds the name that it has already. */
async function nameBesideToo({ disk, late }: Run, path: RelPath, live: Stat): Promise<void> {
  let beside = nameBeside(path, '.local')
  for (let i = 1; ; i++) {
    const there = await disk.lstat(beside)
    if (there === undefined) await disk.link(beside, path)
    if (there === undefined || isSameInode(there, live)) break
    beside = nameBeside(path, `.local.${i}`)
  }
  late.push({ path, reason: 'late', beside })
}

function isSameInode(a: Stat, b: Stat): boolean {
  return inodeKey(a) === inodeKey(b)
}

/**
 * As good as lstat(2) can tell. Files of the state folder are ours, whatever they look like: their sizes were estimates.
 * The time of a FIFO or a device says when it was used.
 */
function looksLike(run: Run, stat: Stat, node: Leaf): boolean {
  if (stat.kind !== node.kind) return false
  if (node.kind === 'file' && node.sha256 === unreadDigest) return true
  if (node.kind === 'file' && stat.size !== node.size) return false
  if (node.kind !== 'file' && node.kind !== 'symlink') return true
  const time = `${stat.mtime.sec}.${stat.mtime.nsec}`
  return time === `${node.mtime.sec}.${node.mtime.nsec}` || run.attrTimes.get(contentKey(node))?.has(time) === true
}

function attrTimesOf(actions: readonly Action[]): ReadonlyMap<string, ReadonlySet<string>> {
  const times = new Map<string, Set<string>>()
  for (const action of actions) {
    if (action.kind !== 'attr') continue
    const key = contentKey(action.new)
    const known = times.get(key) ?? new Set()
    for (const { mtime } of [action.old, action.new]) known.add(`${mtime.sec}.${mtime.nsec}`)
    times.set(key, known)
  }
  return times
}

function comingsOf(actions: readonly Action[]): ReadonlyMap<RelPath, Coming> {
  return new Map(actions.flatMap((action) => (action.kind === 'put' || action.kind === 'swap' ? [[action.path, action] as const] : [])))
}

function foldersComing(actions: readonly Action[]): ReadonlySet<RelPath> {
  return new Set(actions.flatMap((action) => (action.kind === 'mkdir' ? [action.path] : [])))
}
