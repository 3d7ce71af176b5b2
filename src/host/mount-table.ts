import { lstatSync, readFileSync } from 'node:fs'
import { relative } from 'node:path'
import { latin1 } from '../base/bytes.ts'
import { isWithin, parseRelPath, pathFromText, rootPath } from '../base/path.ts'
import { hostPath } from './host-path.ts'
import type { RelPath } from '../base/path.ts'

/** What proc_pid_mountinfo(5) says of one mount. `point` is an absolute path of the system, bytes as latin1. */
export type Mount = { readonly id: string; readonly parent: string; readonly point: string; readonly type: string }

/**
 * Of the tree at `root`, which has no links in its path, as the process `pid` sees it. Only Linux tells: elsewhere all
 * counts as one file system.
 */
export function hostMountsOfTree(root: string, pid: number = process.pid): MountsOfTree {
  if (process.platform !== 'linux') return { inside: [rootPath], outside: [] }
  return mountsOfTree(parseMounts(readFileSync(`/proc/${pid}/mountinfo`, 'latin1')), latin1(Buffer.from(root)), (path) => {
    return lstatSync(hostPath(root, path), { throwIfNoEntry: false })?.isDirectory() === true
  })
}

/** Whether what is in a folder is part of the tree; both are paths without links. */
export function isPartOfTree(root: string, folder: string): boolean {
  const below = relative(root, folder)
  const path = below === '' ? rootPath : pathFromText(below)
  return path !== undefined && !hostMountsOfTree(root).outside.some((top) => isWithin(path, top))
}

export function parseMounts(text: string): readonly Mount[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [id = '', parent = '', , , point = ''] = line.split(' ')
      // A variable number of optional fields ends at the dash.
      const type = line.slice(line.indexOf(' - ') + 3).split(' ')[0] ?? ''
      return { id, parent, point: point.replaceAll(/\\([0-7]{3})/g, unescaped), type }
    })
}

function unescaped(_: string, octal: string): string {
  return String.fromCharCode(parseInt(octal, 8))
}

/** Mount points: of what is part of a tree, parents first and `.` before all, and of what is not, with all below it. */
export type MountsOfTree = { readonly inside: readonly RelPath[]; readonly outside: readonly RelPath[] }

/**
 * `root` is an absolute path without links. Outside are
 *
 * - what the kernel makes (proc, sysfs, devices, control groups…): it has no content of its own;
 * - all mounts in dev, proc, sys and run, which begin anew at each boot, a tmpfs as well;
 * - what automount has not mounted yet;
 * - mounts on single files, as containers have them: below lies the tree's own file.
 */
export function mountsOfTree(mounts: readonly Mount[], root: string, isDirectory: (path: RelPath) => boolean): MountsOfTree {
  const prefix = root === '/' ? '/' : `${root}/`
  const inside: RelPath[] = [rootPath]
  const outside: RelPath[] = []
  for (const { point, type } of visible(mounts)) {
    const path = point.startsWith(prefix) ? parseRelPath(point.slice(prefix.length)) : undefined
    if (path === undefined || outside.some((top) => isWithin(path, top) && path !== top)) continue
    if (madeByKernel.has(type) || bootedAnew.test(path) || !isDirectory(path)) outside.push(path)
    else inside.push(path)
  }
  return { inside, outside }
}

const bootedAnew = /^(?:dev|proc|sys|run|var\/run)(?:\/|$)/

const madeByKernel: ReadonlySet<string> = new Set(
  (
    'autofs binder binfmt_misc bpf cgroup cgroup2 configfs debugfs devpts devtmpfs efivarfs fusectl hugetlbfs mqueue nsfs ' +
    'proc pstore rpc_pipefs securityfs selinuxfs smackfs sysfs tracefs'
  ).split(' '),
)

/** What an absolute path without links lies on; undefined without a mount of `/`. */
export function typeAt(mounts: readonly Mount[], path: string): string | undefined {
  const above = visible(mounts).filter(({ point }) => point === '/' || path === point || path.startsWith(`${point}/`))
  return above.sort((a, b) => a.point.length - b.point.length).at(-1)?.type
}

/** The mounts that a path can lead to: those on top, and not hidden by one that came to a directory above them later. */
function visible(mounts: readonly Mount[]): readonly Mount[] {
  const top = new Map<string, Mount>()
  const points = [...new Set(mounts.map((mount) => mount.point))].sort((a, b) => a.length - b.length || (a < b ? -1 : 1))
  for (const point of points) {
    const here = mounts.filter((mount) => mount.point === point)
    let current = point === '/' ? undefined : mountAbove(top, point)
    const above = current
    const left = new Set(here)
    for (let next = firstOf(here, current); next !== undefined; next = nextOf(left, current)) {
      left.delete(next)
      current = next
    }
    if (current !== undefined && current !== above) top.set(point, current)
  }
  return [...top.values()]
}

/** Of those that are left, so that a mount that is its own parent is passed once. Their order tells nothing: mounts can be moved. */
function nextOf(left: ReadonlySet<Mount>, current: Mount): Mount | undefined {
  return [...left].find((mount) => mount.parent === current.id)
}

/** The lowest mount of `/` has a parent that is not ours to see. */
function firstOf(here: readonly Mount[], above: Mount | undefined): Mount | undefined {
  if (above !== undefined) return here.find((mount) => mount.parent === above.id)
  return here.find((mount) => !here.some((other) => other !== mount && other.id === mount.parent))
}

function mountAbove(top: ReadonlyMap<string, Mount>, point: string): Mount | undefined {
  for (let end = point.lastIndexOf('/'); end > 0; end = point.lastIndexOf('/', end - 1)) {
    const mount = top.get(point.slice(0, end))
    if (mount !== undefined) return mount
  }
  return top.get('/')
}
