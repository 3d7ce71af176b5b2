import { BinderyError } from '../../../base/error.ts'
import { parentPath, showPath } from '../../../base/path.ts'
import { stateFolder } from '../state.ts'
import { checkRefusals } from './refusals.ts'
import type { RelPath } from '../../../base/path.ts'
import type { Action } from '../../../format/journal.ts'
import type { DiskReader, Space, Stat } from '../../../port/disk.ts'
import type { Plan, StageItem } from './plan.ts'

/** Whatever the file systems could refuse in the middle is asked before anything is written. */
export async function checkFileSystems(disk: DiskReader, plan: Plan): Promise<void> {
  await checkRefusals(disk, plan)
  for (const [area, needed] of needs(plan).entries()) await checkSpace(disk, plan, area, needed)
}

/** What the contents, folders and the journal of a plan take of each area. */
export type Need = { readonly sizes: readonly number[]; readonly inodes: number; readonly first: RelPath | undefined }

/** Enough for one line with a path of usual length and two nodes; the journal is there twice for a moment. */
const journalBytesPerAction = 2 * 400

export function needs({ journal, stage }: Plan): readonly Need[] {
  return journal.areas.map((_, area) => {
    const items = stage.filter((item) => item.slot.area === area && takesSpace(item))
    const twins = journal.actions.flatMap((action) =>
      'twin' in action && action.slot.area === area && action.old.kind === 'file' ? [action.old.size] : [],
    )
    const folders = journal.actions.filter((action) => action.kind === 'mkdir' && area === 0).length
    const sizes = items.map(({ node }) => (node.kind === 'file' ? node.size : 0))
    const own = area === 0 ? [journalBytesPerAction * journal.actions.length, ...Array.from({ length: folders }, () => 1)] : []
    const first = items.find(({ node }) => node.kind === 'file')?.node.path
    // The two folders of the transaction, and a block for their names.
    return { sizes: [...sizes, ...twins, ...own, 1, 1], inodes: items.length + twins.length + folders + 3, first }
  })
}

function takesSpace({ source }: StageItem): boolean {
  return source.kind !== 'share' && source.kind !== 'link' && !(source.kind === 'stream' && source.from !== undefined)
}

async function checkSpace(disk: DiskReader, { journal, seen }: Plan, area: number, need: Need): Promise<void> {
  const folder = journal.areas[area] as RelPath
  const holder = area === 0 ? stateFolder : parentPath(folder)
  const space = await disk.space(holder)
  const bytes = bytesOf(need, space)
  if (bytes <= space.freeBytes && need.inodes <= space.freeInodes) return
  const top = slash(mountTop(seen, holder))
  const text =
    bytes > space.freeBytes
      ? `no space on ${top}, need ${showNeed(bytes)}, ${showSize(space.freeBytes, Math.floor)} is free`
      : `no inodes left on ${top}, need ${need.inodes}`
  throw new BinderyError('no-space', text, {
    subject: need.first === undefined ? undefined : slash(need.first),
    hint: 'nothing was changed',
  })
}

function bytesOf(need: Need, { blockSize }: Space): number {
  const unit = Math.max(blockSize, 512)
  return need.sizes.reduce((sum, size) => sum + Math.ceil(size / unit) * unit, 0)
}

/** Rounded up, since it is a need. */
export function showNeed(bytes: number): string {
  return showSize(bytes, Math.ceil)
}

/** In units of 1000, as disks are sold and df -H counts. */
function showSize(bytes: number, round: (value: number) => number): string {
  if (bytes >= 1e9) return `${(round(bytes / 1e8) / 10).toString()} GB`
  return bytes >= 1e6 ? `${round(bytes / 1e6)} MB` : `${round(bytes / 1e3)} kB`
}

function mountTop(seen: ReadonlyMap<RelPath, Stat>, path: RelPath): RelPath {
  let top = path
  while (!seen.has(top)) top = parentPath(top)
  const device = seen.get(top)?.device
  while (seen.get(parentPath(top))?.device === device && parentPath(top) !== top) top = parentPath(top)
  return top
}

function nearest(seen: ReadonlyMap<RelPath, Stat>, path: RelPath): Stat | undefined {
  let at = path
  while (!seen.has(at) && parentPath(at) !== at) at = parentPath(at)
  return seen.get(at)
}

function slash(path: RelPath): string {
  return path === '.' ? '/' : `/${showPath(path)}`
}

/** Who we are, as far as the disk shows: the owner of what we make. */
export type Self = { readonly privileged: boolean; readonly uid: number; readonly gid: number }

/** Without root, everything that is touched must belong to us, and must go on doing so. Throws `permission`. */
export function checkOwnership({ journal, seen }: Plan, self: Self): void {
  if (self.privileged) return
  for (const action of journal.actions) {
    const reason = whyRoot(action, seen, self)
    if (reason === undefined) continue
    throw new BinderyError('permission', reason, { subject: slash(action.path), hint: 'run as root; nothing was changed' })
  }
}

function whyRoot(action: Action, seen: ReadonlyMap<RelPath, Stat>, self: Self): string | undefined {
  const parent = nearest(seen, parentPath(action.path))
  if ('new' in action && (action.new.kind === 'char' || action.new.kind === 'block')) return 'only root makes devices'
  if ('new' in action && action.new.uid !== self.uid) return `belongs to user ${action.new.uid} in the release`
  if (action.kind === 'attr' && seen.get(action.path)?.uid !== self.uid) return `belongs to user ${seen.get(action.path)?.uid ?? '?'}`
  if (action.kind !== 'attr' && parent?.uid !== self.uid) return `lies in a directory of user ${parent?.uid ?? '?'}`
  return undefined
}
