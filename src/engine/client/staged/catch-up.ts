import { BinderyError } from '../../../base/error.ts'
import { inParallel } from '../../../base/parallel.ts'
import { parentPath, rootPath, showPath } from '../../../base/path.ts'
import { lstatDeep, syncFile } from '../apply/aside.ts'
import { inodeKey } from '../apply/links.ts'
import { begin, finish, inTree, lookOver, makePath, syncWidth } from './clone.ts'
import { isStateFile } from './state-files.ts'
import type { RelPath } from '../../../base/path.ts'
import type { Disk, Stat } from '../../../port/disk.ts'
import type { Clone, CloneRules, Cloned, Trees } from './clone.ts'

/**
 * What was written into the old tree while the new one was made and changed: it comes along, so that nothing that somebody has saved
 * is missing behind the switch. Answers the clone as it is now, and how many paths came. Throws `conflict` where the update has
 * changed the same path: the next run finds what is there then, and decides.
 */
export async function catchUp(trees: Trees, rules: CloneRules, clone: Clone): Promise<{ readonly clone: Clone; readonly count: number }> {
  const now = await lookOver(trees.disk, trees.from)
  const late = [...now].filter(([path, stat]) => !isStateFile(path) && !isSeen(clone.get(path), stat))
  const gone = [...clone.keys()].filter((path) => !isStateFile(path) && !now.has(path))
  if (late.length + gone.length === 0) return { clone, count: 0 }
  for (const path of [...late.map(([path]) => path), ...gone]) await refuseChanged(trees, path, clone)
  const made = await keepingTimes(
    trees,
    [...late.map(([path]) => path), ...gone],
    async () => await bring(trees, rules, { clone, late, gone }),
  )
  const rest = [...clone].filter(([path]) => now.has(path) && !made.has(path))
  return { clone: new Map([...rest, ...made]), count: late.length + gone.length }
}

/** Names in a folder come and go by paths of their own. What is another name of the file is as it is there. */
function isSeen(cloned: Cloned | undefined, now: Stat): boolean {
  if (cloned === undefined) return false
  const { source, made } = cloned
  if (source.kind !== now.kind || source.inode !== now.inode) return false
  const isSameMeta = source.mode === now.mode && source.uid === now.uid && source.gid === now.gid
  if (now.kind === 'dir') return isSameMeta
  if (made === inodeKey(now)) return true
  return isSameMeta && source.size === now.size && source.mtime.sec === now.mtime.sec && source.mtime.nsec === now.mtime.nsec
}

/** What comes needs the folder, too, that it comes into. */
async function refuseChanged({ disk, to }: Trees, path: RelPath, clone: Clone): Promise<void> {
  const live = await lstatDeep(disk, inTree(to, path))
  const isSame = (live === undefined ? undefined : inodeKey(live)) === clone.get(path)?.made
  const wasIn = clone.get(parentPath(path))?.source.kind
  if (isSame && (wasIn !== 'dir' || (await lstatDeep(disk, inTree(to, parentPath(path))))?.kind === 'dir')) return
  throw new BinderyError('conflict', 'was changed while the new tree was made, and the update changes it, too', {
    subject: `/${showPath(path)}`,
    hint: 'run it again; nothing was changed',
  })
}

type Found = { readonly clone: Clone; readonly late: readonly (readonly [RelPath, Stat])[]; readonly gone: readonly RelPath[] }

async function bring(trees: Trees, rules: CloneRules, { clone, late, gone }: Found): Promise<Clone> {
  const { disk, to } = trees
  for (const path of gone.toReversed()) await removeOne(disk, inTree(to, path))
  const making = await begin(trees, rules)
  for (const [path, stat] of late) {
    const before = clone.get(path)
    if (before?.source.kind === 'dir' && stat.kind === 'dir') {
      making.own.set(path, stat)
      making.clone.set(path, { source: stat, made: before.made })
      continue
    }
    await removeOne(disk, inTree(to, path))
    await makePath(making, path, stat)
  }
  await finish(making)
  return making.clone
}

/** What the update has put into a folder that is gone in the old tree stays, and the folder with it. */
async function removeOne(disk: Disk, path: RelPath): Promise<void> {
  const stat = await disk.lstat(path)
  if (stat === undefined) return
  if (stat.kind !== 'dir') return await disk.unlink(path)
  if ((await disk.readdir(path)).length === 0) await disk.rmdir(path)
}

/** The folders around what comes have the times that the update gave them. */
async function keepingTimes(trees: Trees, paths: readonly RelPath[], work: () => Promise<Clone>): Promise<Clone> {
  const { disk, to } = trees
  const around = [...new Set(paths.filter((path) => path !== rootPath).map((path) => inTree(to, parentPath(path))))]
  const before = new Map<RelPath, Stat>()
  for (const path of around) {
    const stat = await lstatDeep(disk, path)
    if (stat !== undefined) before.set(path, stat)
  }
  const made = await work()
  const still: RelPath[] = []
  for (const path of around) if ((await lstatDeep(disk, path))?.kind === 'dir') still.push(path)
  await disk.setTimes(still.flatMap((path) => (before.has(path) ? [{ path, mtime: (before.get(path) as Stat).mtime }] : [])))
  for (const path of still) await disk.sync(path)
  return made
}

/** Everything in the tree is durable, and so are the names that lead to it: the files have been synced by whoever wrote them. */
export async function syncFolders(disk: Disk, tree: RelPath): Promise<void> {
  const folders = [...(await lookOver(disk, tree))].flatMap(([path, stat]) => (stat.kind === 'dir' ? [inTree(tree, path)] : []))
  await inParallel(folders.toReversed(), syncWidth, async (path) => await syncFile(disk, path))
}
