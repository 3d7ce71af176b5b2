import { isWithin } from '../../../base/path.ts'
import { commitRank } from '../../tree/commit-order.ts'
import type { Change } from './changes.ts'

/**
 * The order in which changes are made, so that dynamically linked programs start at every moment:
 *
 * 1. new folders, from the top;
 * 2. what comes or is exchanged, by rank: run-time linker, libc and its peers, libraries, programs, databases, kernel and
 *    boot files, of each class the links last.
 *    On the way back the libraries that come again are first and those that are exchanged last: a program never meets
 *    a library older than itself;
 * 3. folders that become something else, each with what was in it;
 * 4. attributes;
 * 5. what goes, from the leaves, in the opposite order of rank.
 *
 * A change of kind is two steps: something goes and something comes.
 */
export type Step =
  | { readonly kind: 'come' | 'go' | 'exchange'; readonly change: Change }
  | { readonly kind: 'attr'; readonly change: Extract<Change, { readonly kind: 'attr' }> }

export type Way = 'install' | 'rollback'

/** `changes` are in byte order. */
export function orderChanges(changes: readonly Change[], way: Way): readonly Step[] {
  const isFolder = (change: Change): boolean => 'new' in change && change.new.kind === 'dir'
  const wasFolder = (change: Change): boolean => 'old' in change && change.old.kind === 'dir'
  const attrs = changes.filter((change) => change.kind === 'attr')
  const moving = changes.filter((change) => change.kind !== 'attr')
  const folders = moving.filter(isFolder)
  const turning = moving.filter((change) => change.kind === 'replace' && wasFolder(change))
  const leaves = moving.filter((change) => change.kind !== 'remove' && !isFolder(change) && !wasFolder(change))
  const isTurning = (change: Change): boolean => turning.some(({ path }) => isWithin(change.path, path))
  const going = moving.filter((change) => change.kind === 'remove')
  return [
    ...folders.flatMap(goThenCome),
    ...byRank(leaves, way).map((change): Step => ({ kind: change.kind === 'replace' ? 'exchange' : 'come', change })),
    ...turning.flatMap((change) => [...leaving(going.filter(({ path }) => isWithin(path, change.path))), ...goThenCome(change)]),
    ...attrs.map((change): Step => ({ kind: 'attr', change })),
    ...leaving(going.filter((change) => !isTurning(change))),
  ]
}

function goThenCome(change: Change): readonly Step[] {
  const come: Step = { kind: 'come', change }
  return change.kind === 'replace' ? [{ kind: 'go', change }, come] : [come]
}

/** Of one rank in byte order, in which they come. */
function byRank(leaves: readonly Change[], way: Way): readonly Change[] {
  const ranked = leaves.map((change) => ({ change, rank: rankOf(change) }))
  const inOrder = ranked.sort((a, b) => a.rank - b.rank).map(({ change }) => change)
  if (way === 'install') return inOrder
  return [...inOrder.filter(({ kind }) => kind === 'add'), ...inOrder.filter(({ kind }) => kind === 'replace').reverse()]
}

/** Children before their parents, and files of high rank before libraries. Folders go last of all. */
function leaving(going: readonly Change[]): readonly Step[] {
  const leaves = going.filter((change) => 'old' in change && change.old.kind !== 'dir')
  const folders = going.filter((change) => 'old' in change && change.old.kind === 'dir')
  return [...[...byRank(leaves, 'install')].reverse(), ...folders.toReversed()].map((change): Step => ({ kind: 'go', change }))
}

function rankOf(change: Change): number {
  const kind = 'new' in change ? change.new.kind : change.old.kind
  return commitRank({ path: change.path, kind })
}
