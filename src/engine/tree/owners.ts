import { collectBytes, latin1 } from '../../base/bytes.ts'
import type { RelPath } from '../../base/path.ts'
import type { DiskReader } from '../../port/disk.ts'

/** Names for the numbers of owners, from the tree's own etc/passwd and etc/group: the same on whatever machine it is scanned. */
export type Owners = { user(uid: number): string | undefined; group(gid: number): string | undefined }

/** More than any real system has; a larger file names nobody. */
const maxBytes = 16 << 20

export async function readOwners(disk: DiskReader): Promise<Owners> {
  const users = await readTable(disk, 'etc/passwd' as RelPath)
  const groups = await readTable(disk, 'etc/group' as RelPath)
  return { user: (uid) => users.get(uid), group: (gid) => groups.get(gid) }
}

async function readTable(disk: DiskReader, path: RelPath): Promise<ReadonlyMap<number, string>> {
  const etc = await disk.lstat('etc' as RelPath)
  const stat = etc?.kind === 'dir' ? await disk.lstat(path) : undefined
  if (stat?.kind !== 'file') return new Map()
  const bytes = await collectBytes(disk.read(path), maxBytes)
  return bytes === undefined ? new Map() : parseTable(latin1(bytes))
}

/** `name:password:number:…` lines; the first name of a number counts, as for getpwuid(3). NIS and odd lines name nobody. */
export function parseTable(text: string): ReadonlyMap<number, string> {
  const table = new Map<number, string>()
  for (const line of text.split('\n')) {
    const [name = '', , digits = ''] = line.split(':')
    if (!/^[A-Za-z0-9_][A-Za-z0-9_.$@-]{0,31}$/.test(name) || !/^[0-9]{1,10}$/.test(digits)) continue
    if (!table.has(Number(digits))) table.set(Number(digits), name)
  }
  return table
}
