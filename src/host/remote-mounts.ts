import { latin1 } from '../base/bytes.ts'
import { isBinderyError } from '../base/error.ts'
import { rootPath } from '../base/path.ts'
import { hasFlags } from './disk-flags.ts'
import { parseMounts, typeAt } from './mount-table.ts'
import type { RelPath } from '../base/path.ts'
import type { Exec } from '../port/exec.ts'
import type { Mount } from './mount-table.ts'

/**
 * File systems of other machines. A rename that is sent twice fails the second time, a file that is open elsewhere leaves another
 * behind in its folder, what is synced here is not so there, and other machines run what is being replaced.
 */
const remoteTypes = /^(?:nfs[234]?|cifs|smb3|smbfs|afs|coda|ceph|glusterfs|lustre|fuse\.(?:sshfs|glusterfs|s3fs|rclone|davfs2?))$/

/** Those of `paths` that lie on one; `root` is an absolute path without links. */
export function remoteAmong(mounts: readonly Mount[], root: string, paths: readonly RelPath[]): readonly RelPath[] {
  if (!mounts.some(({ type }) => remoteTypes.test(type))) return []
  const prefix = root === '/' ? '' : root
  return paths.filter((path) => remoteTypes.test(typeAt(mounts, path === rootPath ? root : `${prefix}/${path}`) ?? ''))
}

/** `readText` is that of Linux's /proc; the BSDs have mount(8). Empty where neither tells. */
export async function systemMounts(platform: string, exec: Exec, readText: (file: string) => Promise<string>): Promise<readonly Mount[]> {
  if (platform === 'linux') return parseMounts(await readText('/proc/self/mountinfo').catch(() => ''))
  if (!hasFlags(platform)) return []
  return parseMountLines((await printedBy(exec, '/sbin/mount')) ?? '')
}

/** Undefined where the program is not there, or has failed. */
export async function printedBy(exec: Exec, program: string, words: readonly string[] = []): Promise<string | undefined> {
  try {
    const { status, stdout } = await exec.run(program, words)
    return status === 0 ? latin1(stdout) : undefined
  } catch (error) {
    if (isBinderyError(error, 'not-found')) return undefined
    throw error
  }
}

/** `/dev/sd0a on / type ffs (local)` of OpenBSD and NetBSD, `host:/usr on /usr (nfs, read-only)` of the others; oldest first. */
export function parseMountLines(text: string): readonly Mount[] {
  const lines = text.split('\n').flatMap((line) => {
    const [, point, word, options = ''] = /^.* on (\/.*?)(?: type (\S+))? \((.*)\)$/.exec(line) ?? []
    return point === undefined ? [] : [{ point, type: word ?? options.split(',')[0] ?? '' }]
  })
  const parentOf = (point: string, from: number): number =>
    lines.findLastIndex((line, i) => i < from && (line.point === '/' || point === line.point || point.startsWith(`${line.point}/`)))
  return lines.map(({ point, type }, i) => ({ id: String(i), parent: String(parentOf(point, i)), point, type }))
}
