import { basename, dirname, join } from 'node:path'
import { BinderyError, isBinderyError } from '../base/error.ts'
import { pathFromText, showPath } from '../base/path.ts'
import { readJournal } from '../engine/client/apply/receipts.ts'
import { lockOf, readStanding } from '../engine/client/staged/place.ts'
import { dropTree, expireTrees, makeNewTree, noteSwitch, nothingChanged, switchTo } from '../engine/client/staged/new-tree.ts'
import { sweepLeftovers } from '../engine/client/staged/sweep.ts'
import { hostDisk } from '../host/disk.ts'
import { hostLocker } from '../host/lock.ts'
import { readConfig } from './client-config.ts'
import { withBareLock } from './client-session.ts'
import type { RelPath } from '../base/path.ts'
import type { NewTree, NewTreeInput, Switched } from '../engine/client/staged/new-tree.ts'
import type { Place, Standing } from '../engine/client/staged/place.ts'
import type { Disk } from '../port/disk.ts'
import type { Context } from './command.ts'

/** Verbs that change a staged root (doc/spec/staged.md): the very same work, in a tree that nobody sees before it is done. */

export type StagedWork = {
  readonly verb: string
  /** Asked of the tree that counts, before another one is made. Where it fails, `work` is done there, which tells why. */
  readonly isNeeded: (current: Context) => Promise<boolean>
  /** In a context whose root may be changed; where nothing is needed, in one whose root may not. */
  readonly work: (context: Context) => Promise<number>
}

/** Answers what `work` did. */
export async function inNewTree(context: Context, { verb, isNeeded, work }: StagedWork): Promise<number> {
  const grounds = groundsOf(context)
  const lock = await hostLocker(grounds.lockFolder).take(verb)
  try {
    const standing = await readStanding(grounds.place, grounds.diskOf)
    const root = grounds.pathOf(standing.current.path)
    if (await isHalfDone(grounds, standing, verb)) return await work(context.at(root, { committing: async () => {} }))
    await tidy(grounds, standing)
    const current = context.at(root, { committing: refuseChange })
    if (!(await isWorthIt(context.at(root, { committing: refuseChange, isSilent: true }), isNeeded))) return await work(current)
    return await withBareLock(current, verb, async () => await changeTree(current, grounds, standing, work))
  } finally {
    await lock.release()
  }
}

type Grounds = {
  readonly place: Place
  readonly lockFolder: string
  readonly pathOf: (path: RelPath) => string
  readonly diskOf: (path: RelPath) => Disk
}

export function groundsOf({ staged, root }: Pick<Context, 'staged' | 'root'>): Grounds {
  return groundsAt(staged?.link ?? root)
}

/** `link`: an absolute path, of which only the last name is the place's. */
export function groundsAt(link: string): Grounds {
  const [folder, name] = [dirname(link), pathFromText(basename(link))]
  if (name === undefined)
    throw new BinderyError('not-supported', 'cannot be a staged root: it has no name', { subject: link, hint: elsewhere })
  const pathOf = (path: RelPath): string => join(folder, Buffer.from(path, 'latin1').toString())
  const place = { disk: hostDisk(folder), link: name }
  return { place, pathOf, lockFolder: pathOf(lockOf(place)), diskOf: (path) => hostDisk(pathOf(path)) }
}

const elsewhere = 'staged mode is for roots below another one: jails, chroots, application trees'

/** Whatever changes a staged root does so in a new tree. */
async function refuseChange(): Promise<void> {
  throw new BinderyError('conflict', 'there is something to do now that was not there before', {
    hint: 'run it again; nothing was changed',
  })
}

/** Only a bundle changes the tree that counts, in place: so it is finished. */
async function isHalfDone({ diskOf }: Grounds, { current }: Standing, verb: string): Promise<boolean> {
  if ((await readJournal(diskOf(current.path))) === undefined) return false
  if (verb === 'recover') return true
  throw new BinderyError('interrupted', 'an earlier run was interrupted', { hint: "'bindery recover' finishes it" })
}

async function tidy({ place, diskOf }: Grounds, standing: Standing): Promise<void> {
  await sweepLeftovers(place, standing)
  await noteSwitch(place, diskOf, standing)
}

export async function isWorthIt(current: Context, isNeeded: StagedWork['isNeeded']): Promise<boolean> {
  try {
    return await isNeeded(current)
  } catch (error) {
    if (!isBinderyError(error) || error.code === 'stopped') throw error
    return false
  }
}

async function changeTree(current: Context, grounds: Grounds, standing: Standing, work: StagedWork['work']): Promise<number> {
  const { place, diskOf, pathOf } = grounds
  const now = Math.floor(current.clock.now() / 1000)
  const input: NewTreeInput = { place, standing, diskOf, config: await readConfig(current), now, signal: current.signal }
  const made = await making(current, input)
  let isChanged = false
  const note = async (): Promise<void> => void (isChanged = true)
  let status: number
  try {
    status = await work(current.at(pathOf(made.path), { committing: note }))
  } catch (error) {
    await dropTree(place.disk, made.path).catch(() => 'the next run removes it')
    throw nothingChanged(error)
  }
  if (isChanged) tell(current, grounds, made, await switching(input, made))
  else await dropTree(place.disk, made.path)
  return status
}

async function making({ progress }: Context, input: NewTreeInput): Promise<NewTree> {
  const meter = progress.start('making a new tree', undefined, 'paths')
  try {
    return await makeNewTree({ ...input, meter })
  } finally {
    meter.end()
  }
}

type Done = Switched & { readonly kept: Awaited<ReturnType<typeof expireTrees>> }

async function switching(input: NewTreeInput, made: NewTree): Promise<Done> {
  const switched = await switchTo(input, made)
  return { ...switched, kept: await expireTrees(input) }
}

function tell({ say, explain }: Context, { place }: Grounds, made: NewTree, { late, old, kept }: Done): void {
  const name = showPath(place.link)
  for (const mount of made.mounts) say(`/${showPath(mount)} is still mounted in tree ${old.number} alone`)
  if (late > 0) explain(`${late} paths were written meanwhile, and have come along`)
  explain(`${name} leads to tree ${made.number}; what works in tree ${old.number} goes on there until it is started again`)
  for (const { tree, why } of kept) say(`tree ${tree.number} stays: ${why}`)
}
