import { existsSync, lstatSync, realpathSync } from 'node:fs'
import { latin1 } from '../base/bytes.ts'
import { BinderyError } from '../base/error.ts'
import { joinPath, rootPath, showPath } from '../base/path.ts'
import { hostDisk } from './disk.ts'
import { hostPath } from './host-path.ts'
import { hostExec } from './exec.ts'
import { namespacesMissing, startInNamespaces } from './job-namespaces.ts'
import { startMountHolder } from './mount-holder.ts'
import { quoted } from '../base/shell-word.ts'
import { hostMountsOfTree, isPartOfTree } from './mount-table.ts'
import { changesOf } from './overlay-changes.ts'
import { jobRunner } from './sandbox-job.ts'
import { makeScratchFolder } from './scratch-folder.ts'
import type { RelPath } from '../base/path.ts'
import type { Sandbox, SandboxOptions } from '../port/sandbox.ts'
import type { MountHolder } from './mount-holder.ts'
import type { ScratchFolder } from './scratch-folder.ts'

/**
 * Overlays over the file systems of the tree, all in the mount namespace of a holder, below `place`:
 *
 *     before/            the file systems of the tree, and nothing else that is mounted there
 *     after/             the overlays over them
 *     N/upper, N/work    of the Nth overlay
 */
export async function openOverlay(root: string, options: SandboxOptions): Promise<Sandbox> {
  if (process.platform !== 'linux') throw new BinderyError('not-supported', 'overlays are of Linux alone', { subject: root })
  const tree = realpathSync(root)
  const scratch = options.scratch === undefined ? undefined : scratchOutside(tree, options.scratch)
  const holder = startMountHolder(tree)
  const close = async (): Promise<void> => {
    await holder.close()
    await scratch?.close()
  }
  const missing = whatIsMissing()
  try {
    // Once it answers, its mounts are its own: none of them can go while overlays are made.
    await holder.tell(':')
    const points = hostMountsOfTree(tree, holder.pid).inside
    const remarks = await mountOverlays(holder, points, scratch)
    const reason = await missing
    if (reason !== undefined) throw new BinderyError('not-supported', reason)
    return sandboxOver(holder, points, remarks, close)
  } catch (cause) {
    await close()
    const reason = (await missing) ?? (cause instanceof Error ? cause.message : '')
    throw new BinderyError('not-supported', `cannot have an overlay: ${reason}`, { subject: root, cause })
  }
}

async function whatIsMissing(): Promise<string | undefined> {
  const attributes = (await hostExec.has('getfattr')) && (await hostExec.has('setfattr'))
  return attributes ? await namespacesMissing() : 'getfattr and setfattr are not installed'
}

function scratchOutside(tree: string, parent: string): ScratchFolder {
  if (existsSync(parent) && isPartOfTree(tree, realpathSync(parent)))
    throw new BinderyError('not-supported', 'changes of a tree cannot be kept inside of it', { subject: parent })
  return makeScratchFolder(parent)
}

/** Every Linux has it, and no part of a tree is mounted in it. It is hidden in the holder's namespace alone. */
const place = '/sys'

/** Answers the remarks. */
async function mountOverlays(
  holder: MountHolder,
  points: readonly RelPath[],
  scratch: ScratchFolder | undefined,
): Promise<readonly string[]> {
  const numbers = points.map((_, n) => n)
  await holder.tell(
    [
      scratch === undefined
        ? `mount -t tmpfs -o mode=700 tmpfs ${place}`
        : `mount --bind ${quoted(latin1(Buffer.from(scratch.path)))} ${place}`,
      ['mkdir', 'before', 'after', ...numbers.flatMap((n) => [n, `${n}/upper`, `${n}/work`])].join(` ${place}/`),
      ...points.map((point) => `mount -c --bind ${quoted(`./${point}`)} ${quoted(`${place}/before/${point}`)}`),
      `cd ${place}`,
    ].join('\n'),
  )
  await copyAttributes(holder, points)
  const attributes = await holder.tell(
    [
      'setfattr -n user.bindery -v 1 0/work 2>/dev/null || echo none',
      ...points.flatMap((point, n) => [`touch -r ${quoted(`before/${point}`)} ${n}/upper`, overlayAt(point, n)]),
    ].join('\n'),
  )
  return [
    ...(attributes === '' ? [] : ['changed files lose their attributes user.*: there are none where the changes are kept']),
    ...points.flatMap((point, n) => linkRemark(holder, point, n)),
  ]
}

/** The root of an overlay shows the attributes of its upper directory. */
async function copyAttributes(holder: MountHolder, points: readonly RelPath[]): Promise<void> {
  const before = hostDisk(`${holder.folder}/before`)
  const xattrs = await before.xattrsOf(points)
  for (const [n, point] of points.entries()) {
    const upper = hostDisk(`${holder.folder}/${n}/upper`)
    const stat = await before.lstat(point)
    await upper.chown(rootPath, stat?.uid ?? 0, stat?.gid ?? 0)
    await upper.chmod(rootPath, stat?.mode ?? 0o755)
    if (xattrs.has(point)) await upper.setXattrs(rootPath, xattrs.get(point) ?? new Map())
  }
}

/** The lower directory is named by standing in it: there is no way to write every path into the options. */
function overlayAt(point: RelPath, n: number): string {
  const options = `lowerdir=.,upperdir=${place}/${n}/upper,workdir=${place}/${n}/work,index=on,redirect_dir=on,metacopy=off`
  const mount = `(cd ${quoted(`before/${point}`)} && mount -t overlay -o ${options} overlay ${quoted(`${place}/after/${point}`)})`
  const refused = `the kernel mounts none over ${point === rootPath ? 'its file system' : point}, with the changes kept where they are`
  return `${mount} || { echo ${quoted(refused)} >&2; exit 1; }`
}

/** The kernel does without an index where a file system cannot name its inodes (an overlay, for one). */
function linkRemark(holder: MountHolder, point: RelPath, n: number): readonly string[] {
  if (existsSync(`${holder.folder}/${n}/work/index`)) return []
  const where = point === rootPath ? 'this file system' : `the file system at ${showPath(point)}`
  return [`over ${where}, a file with several names that is written through one of them is no longer one with the others`]
}

function sandboxOver(holder: MountHolder, points: readonly RelPath[], remarks: readonly string[], release: () => Promise<void>): Sandbox {
  const openedAt = BigInt(Date.now()) * 1_000_000n + 999_999n
  const before = `${holder.folder}/before`
  const after = `${holder.folder}/after`
  const jobs = jobRunner((job) => startInNamespaces({ holder: holder.pid, root: `${place}/after`, folder: job.folder ?? '/' }, job))
  let closing: Promise<void> | undefined
  return {
    kind: 'overlay',
    before: hostDisk(before),
    after: hostDisk(after),
    remarks,
    outside: [],
    run: jobs.run,
    touched: async () => {
      const touched = new Set<RelPath>()
      for (const [n, point] of points.entries()) {
        const folders = { lower: `${before}/${point}`, upper: `${holder.folder}/${n}/upper`, merged: `${after}/${point}` }
        for (const path of await changesOf(folders)) touched.add(path === rootPath ? point : joinPath(point, path))
      }
      refuseChanges(before, touched, openedAt)
      return [...touched]
    },
    close: async () => await (closing ??= jobs.close().then(release)),
  }
}

/**
 * Files alone: a directory's time is also that of any name that comes or goes in it, and two may make names in one
 * directory. A time yet to come says nothing but that the clock was set.
 */
function refuseChanges(before: string, touched: ReadonlySet<RelPath>, openedAt: bigint): void {
  const now = BigInt(Date.now()) * 1_000_000n
  for (const path of touched) {
    const stat = changeOf(before, path)
    if (stat === undefined || stat <= openedAt || stat > now) continue
    throw new BinderyError('conflict', 'was changed by others while commands ran', { subject: showPath(path) })
  }
}

function changeOf(root: string, path: RelPath): bigint | undefined {
  try {
    const stat = lstatSync(hostPath(root, path), { bigint: true, throwIfNoEntry: false })
    return stat === undefined || stat.isDirectory() ? undefined : stat.ctimeNs
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOTDIR') return undefined
    throw error
  }
}
