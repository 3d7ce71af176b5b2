import { BinderyError } from '../../../base/error.ts'
import { baseName, joinPath, parentPath, showPath } from '../../../base/path.ts'
import { decodeTreeState, encodeTreeState, maxTreeStateBytes } from '../../../format/tree-state.ts'
import { naming, readStateFile, statePaths, writeStateFile } from '../state.ts'
import type { RelPath } from '../../../base/path.ts'
import type { TreeState } from '../../../format/tree-state.ts'
import type { Disk, DiskReader, Stat } from '../../../port/disk.ts'

/**
 * A staged root (doc/spec/staged.md): a symbolic link, and beside it a folder with one tree for each number. The link leads to the
 * tree that counts; a new one is made beside it, and comes by one rename(2) of another link over this one.
 */
export type Place = {
  /** Of the folder that the link lies in. */
  readonly disk: Disk
  /** The link's name in it. */
  readonly link: RelPath
}

export function folderOf({ link }: Pick<Place, 'link'>): RelPath {
  return `${link}.trees` as RelPath
}

export function treeOf(place: Pick<Place, 'link'>, number: number): RelPath {
  return joinPath(folderOf(place), String(number))
}

/**
 * Nobody but us gets in: trees that are being made, and old ones that have programs that run as another user. Who is in a tree when it
 * is moved there stays in it.
 */
export function closedOf(place: Pick<Place, 'link'>): RelPath {
  return joinPath(folderOf(place), 'closed')
}

/** While it is made, and until it is whole. */
export function newTreeOf(place: Pick<Place, 'link'>, number: number): RelPath {
  return joinPath(closedOf(place), `${number}.new`)
}

export function lockOf(place: Pick<Place, 'link'>): RelPath {
  return joinPath(folderOf(place), 'lock')
}

/** A link that is about to be renamed over the one that counts. */
export function nextLinkOf({ link }: Pick<Place, 'link'>): RelPath {
  return `${link}.next` as RelPath
}

export type Tree = { readonly number: number; readonly path: RelPath }

/** What there is. */
export type Standing = {
  readonly current: Tree
  /** The others that are still here, in the order of their numbers. */
  readonly others: readonly Tree[]
  /** What killed runs left: to be removed. */
  readonly leftovers: readonly RelPath[]
}

/** The number that the link's target names. */
export function numberOf({ link }: Pick<Place, 'link'>, target: string): number | undefined {
  const prefix = `${baseName(link)}.trees/`
  const text = target.startsWith(prefix) ? target.slice(prefix.length) : ''
  return /^[1-9][0-9]{0,14}$/.test(text) ? Number(text) : undefined
}

/**
 * Throws `conflict` where the link is none of ours, `hostile` where others than we might have put something there. A tree that was left
 * and counts again was gone back to by hand: then those with larger numbers were in use.
 */
export async function readStanding(place: Place, diskOf: (path: RelPath) => DiskReader): Promise<Standing> {
  const { disk, link } = place
  const stat = await disk.lstat(link)
  const number = stat?.kind === 'symlink' ? numberOf(place, await disk.readlink(link)) : undefined
  if (number === undefined) throw new BinderyError('conflict', 'is no link to one of its trees', { subject: showPath(link), hint: byHand })
  await checkFolder(place)
  const current: Tree = { number, path: treeOf(place, number) }
  if ((await disk.lstat(current.path))?.kind !== 'dir')
    throw new BinderyError('conflict', `leads to ${showPath(current.path)}, which is no tree`, { subject: showPath(link), hint: byHand })
  const isLeft = (await readTreeState(diskOf(current.path)))?.left !== undefined
  const found = await findTrees(place)
  const others = found.trees.filter((tree) => tree.number !== number).sort((a, b) => a.number - b.number)
  // Of a switch that did not come, a tree that nobody has been in.
  const unused = isLeft ? [] : others.filter((tree) => tree.number > number)
  return {
    current,
    others: others.filter((tree) => !unused.includes(tree)),
    leftovers: [...found.leftovers, ...unused.map(({ path }) => path)],
  }
}

const byHand = 'let it lead to the newest tree that is whole again (doc/staged.md)'

/** Whoever may write there could put a tree in place of ours. */
async function checkFolder(place: Place): Promise<void> {
  const { disk } = place
  const folder = folderOf(place)
  const [stat, link] = [await disk.lstat(folder), (await disk.lstat(place.link)) as Stat]
  if (stat?.kind !== 'dir') throw new BinderyError('hostile', 'is no directory', { subject: showPath(folder) })
  if (stat.uid === link.uid && (stat.mode & 0o022) === 0) return
  throw new BinderyError('hostile', `belongs to user ${stat.uid}, or others may write in it`, {
    subject: showPath(folder),
    hint: 'look at who made it; nothing was changed',
  })
}

async function findTrees(place: Place): Promise<{ readonly trees: readonly Tree[]; readonly leftovers: readonly RelPath[] }> {
  const { disk } = place
  const trees: Tree[] = []
  const leftovers: RelPath[] = (await disk.lstat(nextLinkOf(place))) === undefined ? [] : [nextLinkOf(place)]
  for (const folder of [folderOf(place), closedOf(place)]) {
    for (const name of (await disk.lstat(folder)) === undefined ? [] : await disk.readdir(folder)) {
      if (/^[1-9][0-9]{0,14}$/.test(name)) trees.push({ number: Number(name), path: joinPath(folder, name) })
      else if (/^[1-9][0-9]{0,14}\.(?:new|gone)$/.test(name)) leftovers.push(joinPath(folder, name))
    }
  }
  return { trees, leftovers }
}

/** Undefined in a root that is no tree of a staged one. */
export async function readTreeState(disk: DiskReader): Promise<TreeState | undefined> {
  const bytes = await readStateFile(disk, statePaths.tree, maxTreeStateBytes)
  return bytes === undefined ? undefined : naming(statePaths.tree, () => decodeTreeState(bytes))
}

export async function writeTreeState(disk: Disk, state: TreeState): Promise<void> {
  await writeStateFile(disk, statePaths.tree, encodeTreeState(state), 0o644)
}

/** By one rename(2), durable when this returns. */
export async function lead(place: Place, number: number): Promise<void> {
  const { disk, link } = place
  const next = nextLinkOf(place)
  if ((await disk.lstat(next)) !== undefined) await disk.unlink(next)
  await disk.symlink(next, `${baseName(link)}.trees/${number}`)
  await disk.rename(next, link)
  await disk.sync(parentPath(link))
}
