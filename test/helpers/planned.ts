import { lookAt } from '../../src/engine/client/apply/look.ts'
import { journal, leaf } from './carried.ts'
import { dir, file, relPath } from './plant.ts'
import type { RelPath } from '../../src/base/path.ts'
import type { Plan, StageItem } from '../../src/engine/client/apply/plan.ts'
import type { Action } from '../../src/format/journal.ts'
import type { Leaf, Node } from '../../src/format/journal-node.ts'
import type { Disk, Stat } from '../../src/port/disk.ts'
import type { Plant } from './plant.ts'

/** Plans put together by hand, on what a disk has: an action is its kind and path, and what it replaces or brings. */

export function nodeAt(path: string, given: Plant = file('x')): Node {
  const named = relPath(path)
  if (given.kind !== 'dir') return { ...leaf(given), path: named }
  const { mode = 0o755, uid = 0, gid = 0, mtime = { sec: 0, nsec: 0 }, xattrs } = given
  return { kind: 'dir', path: named, mode, uid, gid, mtime, ...(xattrs && { xattrs }) }
}

export type Sides = { readonly old?: Plant; readonly next?: Plant; readonly twin?: string; readonly area?: number }

export function action(kind: Action['kind'], at: string, { old, next, twin, area = 0 }: Sides = {}): Action {
  const usual = kind === 'mkdir' || kind === 'rmdir' ? dir() : file('x')
  const path = relPath(at)
  const slot = { area, number: 0 }
  const [before, after] = [nodeAt(at, old ?? usual), nodeAt(at, next ?? usual)]
  const named = twin === undefined ? {} : { twin: relPath(twin) }
  switch (kind) {
    case 'mkdir':
      return { kind, path, new: after } as Action
    case 'rmdir':
      return { kind, path, old: before } as Action
    case 'attr':
      return { kind, path, old: before, new: after }
    case 'put':
      return { kind, path, slot, new: after as Leaf }
    case 'drop':
      return { kind, path, slot, old: before as Leaf, ...named }
    case 'swap':
      return { kind, path, slot, old: before as Leaf, new: after as Leaf, ...named }
  }
}

/** As plans do: all that the paths of actions say, and the folders above them. */
export async function seenOn(disk: Disk, paths: readonly string[]): Promise<ReadonlyMap<RelPath, Stat>> {
  const scope = { xattrs: false, flags: false, excluded: () => false }
  return (await lookAt(disk, paths.map(relPath), { scope, guess: () => undefined })).stats
}

export async function planOn(disk: Disk, actions: readonly Action[], stage: readonly StageItem[] = []): Promise<Plan> {
  const seen = await seenOn(
    disk,
    actions.map(({ path }) => path),
  )
  return { journal: journal('forward', actions), stage, seen }
}
