import { BinderyError, isBinderyError } from '../../../base/error.ts'
import { showPath } from '../../../base/path.ts'
import { folderOf, lead, newTreeOf, readStanding, readTreeState, treeOf, writeTreeState } from './place.ts'
import { catchUp, syncFolders } from './catch-up.ts'
import { cloneTree, lookOver } from './clone.ts'
import { closeTree, hasOldPrivileges, removeTree, writtenLate } from './sweep.ts'
import { cloneRules, mountsIn, readReleased, refuseMounts } from './rules.ts'
import { makeStateFolders } from '../state.ts'
import type { RelPath } from '../../../base/path.ts'
import type { ClientConfig } from '../../../format/conf.ts'
import type { Meter } from '../../../port/ambient.ts'
import type { Disk } from '../../../port/disk.ts'
import type { Clone, CloneRules } from './clone.ts'
import type { Place, Standing, Tree } from './place.ts'

export type NewTreeInput = {
  readonly place: Place
  readonly standing: Standing
  /** A disk whose root is a folder of the place's. */
  readonly diskOf: (path: RelPath) => Disk
  readonly config: Pick<ClientConfig, 'configProtect' | 'share' | 'keepTrees'>
  /** Seconds since the epoch. */
  readonly now: number
  readonly signal: AbortSignal
  /** Advances by paths. */
  readonly meter?: Meter
}

/** A tree that is made beside the one that counts; nobody knows of it yet. */
export type NewTree = {
  readonly number: number
  readonly path: RelPath
  readonly rules: CloneRules
  readonly clone: Clone
  /** Told: they stay in the old tree. */
  readonly mounts: readonly RelPath[]
}

/** A tree like the one that counts. What was made of it is removed by a failure. */
export async function makeNewTree({
  place,
  standing: { current, others },
  diskOf,
  config,
  now,
  signal,
  meter,
}: NewTreeInput): Promise<NewTree> {
  const { disk } = place
  const number = Math.max(current.number, ...others.map((tree) => tree.number)) + 1
  const path = newTreeOf(place, number)
  const released = await readReleased(diskOf(current.path))
  const mounts = await mountsIn(disk, current.path, await lookOver(disk, current.path, signal))
  refuseMounts(mounts, released)
  const rules = cloneRules(released, config)
  return await removing(disk, path, async () => {
    const clone = await cloneTree({ disk, from: current.path, to: path }, rules, { signal, meter })
    const own = diskOf(path)
    await makeStateFolders(own)
    await writeTreeState(own, { number, from: current.number, made: now })
    return { number, path, rules, clone, mounts }
  })
}

/** Without a trace, where that can be done: the failure that brought us here is the one to tell. */
async function removing<T>(disk: Disk, path: RelPath, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    await dropTree(disk, path).catch(() => 'the next run removes it')
    throw error
  }
}

export async function dropTree(disk: Disk, path: RelPath): Promise<void> {
  await removeTree(disk, path)
}

/** How often what is written meanwhile is looked for: something is always being written. */
const looks = 3

export type Switched = {
  /** Paths that were written into the old tree meanwhile, and came along. */
  readonly late: number
  /** Where the old tree is now. */
  readonly old: Tree
}

/**
 * From here on the new tree counts, by one rename(2): before it nothing is seen of the new tree, and after it nothing of the old one by
 * whoever comes by the link.
 */
export async function switchTo({ place, standing: { current }, diskOf }: NewTreeInput, made: NewTree): Promise<Switched> {
  const { disk } = place
  const { number, path } = made
  const { late } = await removing(disk, path, async () => {
    await syncFolders(disk, path)
    const late = await catchUpAll({ disk, from: current.path, to: path }, made)
    await disk.rename(path, treeOf(place, number))
    return { late }
  })
  await removing(disk, treeOf(place, number), async () => {
    await disk.sync(folderOf(place))
    await lead(place, number)
  })
  await noteLeft(place, diskOf, current)
  const isOpenTo = await hasOldPrivileges(disk, { old: current.path, next: treeOf(place, number) })
  return { late, old: isOpenTo ? await closeTree(place, current) : current }
}

async function catchUpAll(trees: Parameters<typeof catchUp>[0], { rules, clone: first }: NewTree): Promise<number> {
  let [clone, late] = [first, 0]
  for (let look = 0; look < looks; look++) {
    const caught = await catchUp(trees, rules, clone)
    if (caught.count === 0) break
    clone = caught.clone
    late += caught.count
  }
  return late
}

/** The time of the link that leads away from it, by the clock that files have their times from. */
async function noteLeft({ disk, link }: Place, diskOf: NewTreeInput['diskOf'], tree: Tree): Promise<void> {
  const own = diskOf(tree.path)
  const [state, stat] = [await readTreeState(own), await disk.lstat(link)]
  if (state !== undefined && stat !== undefined) await writeTreeState(own, { ...state, left: stat.mtime })
}

/** What a run did not come to note that was killed behind the switch. */
export async function noteSwitch(place: Place, diskOf: NewTreeInput['diskOf'], { current, others }: Standing): Promise<void> {
  const from = (await readTreeState(diskOf(current.path)))?.from
  const old = others.find((tree) => tree.number === from)
  if (old !== undefined && (await readTreeState(diskOf(old.path)))?.left === undefined) await noteLeft(place, diskOf, old)
}

/** A tree that is kept longer than bindery.conf says, and why. */
export type Kept = { readonly tree: Tree; readonly why: string }

/** Trees that nobody can come into by the link go, the oldest first, but for `keepTrees` of them. */
export async function expireTrees({ place, diskOf, config }: NewTreeInput): Promise<readonly Kept[]> {
  const kept: Kept[] = []
  const { current, others } = await readStanding(place, diskOf)
  for (const tree of others.slice(0, Math.max(0, others.length - config.keepTrees))) {
    const why = await reasonToKeep(place, diskOf, { tree, current })
    if (why === undefined) await removeTree(place.disk, tree.path)
    else kept.push({ tree, why })
  }
  return kept
}

async function reasonToKeep(
  { disk }: Place,
  diskOf: NewTreeInput['diskOf'],
  { tree: { path }, current }: { readonly tree: Tree; readonly current: Tree },
): Promise<string | undefined> {
  const [mount] = await mountsIn(disk, path, await lookOver(disk, path))
  if (mount !== undefined) return `/${showPath(mount)} is mounted in it`
  const left = (await readTreeState(diskOf(path)))?.left
  if (left === undefined) return 'the link was led away from it by hand'
  const late = await writtenLate(disk, path, current.path, left)
  if (late.length === 0) return undefined
  const more = late.length === 1 ? '' : `, and ${late.length - 1} more`
  return `/${showPath(late[0] as RelPath)} was written into it after the switch${more}`
}

/** A failure in a tree that is thrown away has changed nothing. */
export function nothingChanged(error: unknown): unknown {
  if (!isBinderyError(error, 'interrupted')) return error
  const cause = isBinderyError(error.cause) ? error.cause : error
  const code = cause.code === 'interrupted' ? 'io' : cause.code
  return new BinderyError(code, cause.message, { subject: error.subject, hint: 'nothing was changed', cause: error })
}
