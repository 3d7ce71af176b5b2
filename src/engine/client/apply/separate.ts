import { joinPath, parentPath } from '../../../base/path.ts'
import { copyNode, finishCopies, lstatDeep, tellingOf, tryLink } from './aside.ts'
import { stageSlot } from './area.ts'
import { inodeKey } from './links.ts'
import { keepingTime, statePaths } from '../state.ts'
import type { RelPath } from '../../../base/path.ts'
import type { Leaf } from '../../../format/journal-node.ts'
import type { Disk, Stat } from '../../../port/disk.ts'
import type { Plan } from './plan.ts'

/**
 * In a tree of a staged root a file may be one of another tree, too (doc/spec/staged.md). A plan never writes into a file, but it does
 * set owners, modes and times: a file of which it does becomes one of its own before. Answers the plan for the tree as it is then.
 */
export async function separated(disk: Disk, plan: Plan): Promise<Plan> {
  if ((await disk.lstat(statePaths.tree)) === undefined) return plan
  const own = new Map<string, RelPath>()
  const seen = new Map(plan.seen)
  for (const { path, node } of filesToSeparate(plan)) {
    const stat = await lstatDeep(disk, path)
    if (stat === undefined || stat.kind === 'dir' || stat.nlink < 2) continue
    await tellingOf(path, async () => await separate(disk, path, node, own.get(inodeKey(stat))))
    own.set(inodeKey(stat), path)
    if (seen.has(path)) seen.set(path, (await disk.lstat(path)) as Stat)
  }
  return { ...plan, seen }
}

type Shared = { readonly path: RelPath; readonly node: Leaf }

/** Where they are now: in the tree, or in the store that they come back from. */
function filesToSeparate({ journal, stage }: Plan): readonly Shared[] {
  const sources = new Map(stage.map((item) => [stageSlot(journal, item.slot), item.source]))
  const comings = new Map<RelPath, RelPath | undefined>()
  for (const action of journal.actions) {
    if (action.kind !== 'put' && action.kind !== 'swap') continue
    const source = sources.get(stageSlot(journal, action.slot))
    comings.set(action.path, source?.kind === 'link' ? source.from : undefined)
  }
  return journal.actions.flatMap((action): readonly Shared[] => {
    if (action.kind !== 'attr' || action.old.kind === 'dir') return []
    const at = comings.has(action.path) ? comings.get(action.path) : action.path
    return at === undefined ? [] : [{ path: at, node: action.old }]
  })
}

/** `before`: another name of the same file that has been separated already. */
async function separate(disk: Disk, path: RelPath, node: Leaf, before: RelPath | undefined): Promise<void> {
  const half = joinPath(statePaths.stage, 'separated')
  if ((await disk.lstat(half)) !== undefined) await disk.unlink(half)
  if (before === undefined || !(await tryLink(disk, half, before))) await finishCopies(disk, [await copyNode(disk, path, half, node)])
  await keepingTime(disk, parentPath(path), async () => await disk.rename(half, path))
  await disk.sync(parentPath(path))
}
