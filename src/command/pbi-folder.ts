import { collectBytes } from '../base/bytes.ts'
import { BinderyError } from '../base/error.ts'
import { rootPath } from '../base/path.ts'
import { readTree } from '../engine/pkg/tree.ts'
import { hostDisk } from '../host/disk.ts'
import { pbiPlaces } from './pbi-extract.ts'
import type { RelPath } from '../base/path.ts'
import type { PbiContents } from '../engine/pkg/pbi-pack.ts'
import type { FileTree } from '../engine/pkg/tree.ts'
import type { DiskReader } from '../port/disk.ts'

const mostIcon = 64 << 20

/** What `pbi extract` made, or somebody by hand. */
export async function readPbiFolder(folder: string): Promise<PbiContents> {
  const disk = hostDisk(folder)
  const [header, payload] = [await partOf(disk, folder, 'header'), await partOf(disk, folder, 'payload')]
  const icons = (await disk.readdir(rootPath)).filter((name) => /^icon(?:\.|$)/.test(name))
  if (icons.length > 1) throw new BinderyError('usage', `has several icons: ${icons.join(', ')}`, { subject: folder })
  const icon = icons[0] === undefined ? undefined : await collectBytes(disk.read(icons[0] as RelPath), mostIcon)
  return { header, icon, payload }
}

async function partOf(disk: DiskReader, folder: string, name: keyof typeof pbiPlaces): Promise<FileTree> {
  if ((await disk.lstat(name as RelPath))?.kind === 'dir') return await readTree(disk, name as RelPath)
  throw new BinderyError('not-found', `has no folder '${pbiPlaces[name]}'`, {
    subject: folder,
    hint: "a folder as 'pbi extract' makes it has header/, payload/ and an icon",
  })
}

/** An installed PBI, and its header in PC-BSD's database. */
export async function readInstalled(folder: string, header: string): Promise<Omit<PbiContents, 'icon'>> {
  return { header: await readTree(hostDisk(header), rootPath), payload: await readTree(hostDisk(folder), rootPath) }
}
