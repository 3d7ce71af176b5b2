import { removeBelow } from '../../src/engine/client/apply/area-folders.ts'
import { parentPath } from '../../src/base/path.ts'
import { isBinderyError } from '../../src/base/error.ts'
import { collectBytes, oneChunk } from '../../src/base/bytes.ts'
import type { RelPath } from '../../src/base/path.ts'
import type { Disk, DiskWriter } from '../../src/port/disk.ts'

/**
 * A disk on which only what was synced is sure to survive: the log of its changes is replayed onto a fresh disk without
 * those that were neither synced nor lucky. Names survive by a sync of the folder that holds them, contents and
 * attributes by a sync of the file (of what cannot be opened, by one of its folder). What was renamed into another folder has
 * both names until that of the old one is synced, too, as on btrfs. No order among the rest is promised: that is less than any
 * file system of today gives.
 */
export type LoggedDisk = {
  readonly disk: Disk
  /** How many changes there were, and the same tree after a power cut behind the first `count` of them. */
  readonly length: () => number
  /** How many changes there were behind each sync, itself included. */
  readonly syncs: () => readonly number[]
  cut(onto: Disk, count: number, isLucky: () => boolean): Promise<void>
}

type Change = {
  readonly name: string
  readonly args: readonly unknown[]
  /** The folder whose sync makes the name durable. */
  readonly folder: RelPath | undefined
  /** The inode whose sync makes content or attributes durable. */
  readonly inode: bigint | undefined
  /** Links and devices are never opened to be synced. */
  readonly isOpenable: boolean
  readonly kind: 'name' | 'data' | 'sync'
}

const nameOps = new Set(['mkdir', 'symlink', 'link', 'mknod', 'rename', 'unlink', 'rmdir'])
const dataOps = new Set(['append', 'truncate', 'chmod', 'chown', 'setXattrs', 'setFlags'])

export function loggedDisk(inner: Disk): LoggedDisk {
  const log: Change[] = []
  const note = async (name: string, args: readonly unknown[], path: RelPath, kind: Change['kind']): Promise<void> => {
    const stat = await inner.lstat(path)
    const isOpenable = stat?.kind === 'file' || stat?.kind === 'dir'
    log.push({ name, args, folder: parentPath(path), inode: stat?.inode, isOpenable, kind })
  }
  const overrides: Partial<DiskWriter> = {
    create: async (path, content) => {
      const bytes = (await collectBytes(content, Infinity)) as Uint8Array
      const size = await inner.create(path, oneChunk(bytes))
      await note('create', [path], path, 'name')
      await note('append', [path, bytes], path, 'data')
      return size
    },
    clone: async (path, existing) => void (await overrides.create?.(path, inner.read(existing))),
    setTimes: async (times) => {
      await inner.setTimes(times)
      for (const time of times) await note('setTimes', [[time]], time.path, 'data')
    },
    sync: async (path) => await note('sync', [path], path, 'sync'),
  }
  const wrapped = Object.entries(inner).map(([name, call]) => {
    if (!nameOps.has(name) && !dataOps.has(name)) return [name, call]
    return [
      name,
      async (...args: readonly unknown[]): Promise<unknown> => {
        const result = await (call as (...args: readonly unknown[]) => Promise<unknown>)(...args)
        const path = (name === 'rename' ? args[1] : args[0]) as RelPath
        // Which inode was seen says nothing of another disk.
        await note(
          name,
          name === 'chmod' ? args.slice(0, 2) : name === 'chown' ? args.slice(0, 3) : args,
          path,
          nameOps.has(name) ? 'name' : 'data',
        )
        return result
      },
    ]
  })
  const disk = { ...Object.fromEntries(wrapped), ...overrides } as Disk
  const syncs = (): readonly number[] => log.flatMap(({ kind }, i) => (kind === 'sync' ? [i + 1] : []))
  return { disk, length: () => log.length, syncs, cut: async (onto, count, isLucky) => await replay(onto, log.slice(0, count), isLucky) }
}

async function replay(onto: Disk, log: readonly Change[], isLucky: () => boolean): Promise<void> {
  for (const [i, change] of log.entries()) {
    if (change.kind === 'sync' || (!isDurable(log, i) && !isLucky())) continue
    await apply(onto, change)
    const [from, to] = change.args as readonly RelPath[]
    if (change.name !== 'rename' || parentPath(from as RelPath) === change.folder) continue
    if (!isDurable(log, i, parentPath(from as RelPath)) && !isLucky()) await apply(onto, { ...change, name: 'link', args: [from, to] })
  }
}

function isDurable(log: readonly Change[], at: number, folder = log[at]?.folder): boolean {
  const { kind, inode, isOpenable } = log[at] as Change
  return log.some((change, i) => {
    if (i <= at || change.kind !== 'sync') return false
    const isFolder = change.args[0] === folder
    return kind === 'name' ? isFolder : change.inode === inode || (isFolder && !isOpenable)
  })
}

/** What depends on something that was lost is lost, too. */
async function apply(onto: Disk, { name, args }: Change): Promise<void> {
  try {
    // A folder that is gone is gone with all names in it.
    if (name === 'rmdir') await removeBelow(onto, args[0] as RelPath)
    else if (name === 'create') await onto.create(args[0] as RelPath, oneChunk(new Uint8Array(0)))
    else if (name === 'append') await onto.append(args[0] as RelPath, oneChunk(args[1] as Uint8Array))
    else await (onto[name as 'unlink'] as (...args: readonly unknown[]) => Promise<unknown>)(...args)
  } catch (error) {
    if (!isBinderyError(error)) throw error
  }
}
