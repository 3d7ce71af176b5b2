import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { lstatSync, readFileSync, readdirSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'

/** Digests of all that could be seen of a tree: without the client's state, and with it. What has the same one needs to be looked at once. */
export type Fingerprint = { readonly tree: string; readonly machine: string }

/** Names, kinds, contents, attributes, times, and which names are one file. */
export function fingerprintOf(root: string): Fingerprint {
  const names = readdirSync(root, { recursive: true, encoding: 'latin1' }).sort()
  const first = new Map<bigint, string>()
  const xattrs = xattrsIn(root)
  const part = (isOfState: boolean): string => {
    const hash = createHash('sha256')
    for (const name of ['', ...names]) if (isState(name) === isOfState) addPath(hash, root, name, first)
    return hash.update(xattrs.filter((block) => isState(block.slice('# file: '.length)) === isOfState).join('\n')).digest('hex')
  }
  const tree = part(false)
  return { tree, machine: tree + part(true) }
}

function isState(name: string): boolean {
  return /^var\/db\/bindery(?:[/\n]|$)/.test(name)
}

/** `first`: of each file the first of its names. The size of a folder is the file system's own matter. */
function addPath(hash: ReturnType<typeof createHash>, root: string, name: string, first: Map<bigint, string>): void {
  const path = join(root, name)
  const stat = lstatSync(path, { bigint: true })
  const twin = stat.isDirectory() ? undefined : first.get(stat.ino)
  if (twin === undefined) first.set(stat.ino, name)
  hash.update(`${[name, stat.mode, stat.uid, stat.gid, stat.rdev, stat.mtimeNs, twin ?? name].join('\0')}\0`)
  if (stat.isFile() && twin === undefined) hash.update(`${stat.size}\0`).update(readFileSync(path))
  if (stat.isSymbolicLink()) hash.update(readlinkSync(path, 'latin1'))
}

function xattrsIn(root: string): readonly string[] {
  const text = execFileSync('getfattr', ['-dRhP', '-m', '-', '.'], { cwd: root, encoding: 'latin1', maxBuffer: 1 << 26 })
  const blocks = text.split('\n\n').map((block) => block.split('\n').sort().join('\n'))
  return blocks.sort()
}
