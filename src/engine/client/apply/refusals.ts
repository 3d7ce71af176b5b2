import { BinderyError } from '../../../base/error.ts'
import { parentPath, rootPath, showPath } from '../../../base/path.ts'
import type { RelPath } from '../../../base/path.ts'
import type { Action } from '../../../format/journal.ts'
import type { DiskReader, Refusal, Stat } from '../../../port/disk.ts'
import type { Plan } from './plan.ts'

/** What the system would refuse in the middle, to root too: every path that is to change is asked before. */

/** Throws `read-only`, `not-supported`, `permission` or `conflict`. */
export async function checkRefusals(disk: DiskReader, { journal, seen }: Plan): Promise<void> {
  const asked = new Map<RelPath, RelPath>()
  for (const action of journal.actions) for (const path of changedBy(seen, action)) if (!asked.has(path)) asked.set(path, action.path)
  const refusals = await disk.refusalsOf([...asked.keys()])
  for (const [path, because] of asked) {
    const refusal = refusals.get(path)
    if (refusal !== undefined) throw await refused(disk, refusal, path, because)
  }
  const going = journal.actions.flatMap(({ kind, path }) => (kind === 'swap' || kind === 'drop' || kind === 'rmdir' ? [path] : []))
  for (const path of await disk.mountPointsAmong(going)) throw mountPoint(path)
}

/** The folder in which a name changes, and a file or folder that changes itself. A link is asked by its folder: it has no rights. */
function changedBy(seen: ReadonlyMap<RelPath, Stat>, action: Action): readonly RelPath[] {
  const folder = nearestFolder(seen, parentPath(action.path))
  const isOpenable = ['file', 'dir'].includes(seen.get(action.path)?.kind ?? 'none')
  if (action.kind === 'attr') return [isOpenable ? action.path : folder]
  return action.kind !== 'rmdir' && isOpenable ? [folder, action.path] : [folder]
}

/** Where a folder is, or the one in which it will be made. */
function nearestFolder(seen: ReadonlyMap<RelPath, Stat>, folder: RelPath): RelPath {
  let at = folder
  while (at !== rootPath && seen.get(at)?.kind !== 'dir') at = parentPath(at)
  return at
}

async function refused(disk: DiskReader, refusal: Refusal, path: RelPath, because: RelPath): Promise<BinderyError> {
  if (refusal === 'read-only') {
    return new BinderyError('read-only', `the file system on ${slash(await topOf(disk, path, refusal))} is mounted read-only`, {
      subject: slash(because),
      hint: 'mount it read-write and try again; nothing was changed',
    })
  }
  if (refusal === 'remote') {
    return new BinderyError('not-supported', `the file system on ${slash(await topOf(disk, path, refusal))} is another machine's`, {
      subject: slash(because),
      hint: "it is updated by the machine that has the disk, with 'bindery -C'; nothing was changed",
    })
  }
  if (refusal === 'locked') {
    return new BinderyError('permission', `${path === because ? '' : `${slash(path)} `}is immutable, and flags cannot be taken away here`, {
      subject: slash(because),
      hint: 'start the machine in single-user mode, or with a lower kern.securelevel(7); nothing was changed',
    })
  }
  const [state, option] = refusal === 'immutable' ? ['immutable', '-i'] : ['append-only', '-a']
  return new BinderyError('permission', path === because ? `is ${state}` : `${slash(path)} is ${state}`, {
    subject: slash(because),
    hint: `'chattr ${option}' lets it be changed; nothing was changed`,
  })
}

/** A bind mount has the device number of what it shows; but what is above it can be written. */
async function topOf(disk: DiskReader, path: RelPath, refusal: Refusal): Promise<RelPath> {
  const chain = [path]
  for (let at = path; at !== rootPath;) chain.push((at = parentPath(at)))
  const refusals = await disk.refusalsOf(chain)
  const above = chain.findIndex((one) => refusals.get(one) !== refusal)
  return (above < 0 ? chain.at(-1) : chain[Math.max(above - 1, 0)]) ?? path
}

function mountPoint(path: RelPath): BinderyError {
  return new BinderyError('conflict', 'is a mount point, and the release has another version', {
    subject: slash(path),
    hint: "unmount it, or leave it out with 'ignore' in bindery.conf; nothing was changed",
  })
}

function slash(path: RelPath): string {
  return path === rootPath ? '/' : `/${showPath(path)}`
}
