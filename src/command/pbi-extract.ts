import { about } from '../base/about.ts'
import { oneChunk } from '../base/bytes.ts'
import { parseRelPath, rootPath } from '../base/path.ts'
import { refuseLinksOut } from '../engine/pkg/links.ts'
import { iconName, payloadOf, valueOf } from '../engine/pkg/pbi.ts'
import { writeTree } from '../engine/pkg/tree.ts'
import { hostDisk } from '../host/disk.ts'
import { loadLiblzma } from '../host/liblzma.ts'
import { refuseExisting } from '../host/new-file.ts'
import { writeNewFolder } from '../host/new-folder.ts'
import { openTrusted } from './pbi-input.ts'
import type { RelPath } from '../base/path.ts'
import type { PbiContents } from '../engine/pkg/pbi-pack.ts'
import type { FileTree } from '../engine/pkg/tree.ts'
import type { Context, Input } from './command.ts'

/** As a folder has them; whatever begins with `icon` is the icon. */
export const pbiPlaces = { header: 'header', payload: 'payload' } as const

export async function extractPbi(context: Context, input: Input): Promise<void> {
  const file = input.operands[1] as string
  const folder = input.required('output')
  await refuseExisting(folder)
  const pbi = await openTrusted(context, input, file)
  if (pbi.sum === 'absent') context.say(`${file}: tells no sum of its payload, which is taken as it is`)
  const payload = await about(file, async () => {
    const tree = await payloadOf(pbi, loadLiblzma)
    await refuseOutside(input, pbi.header, tree)
    return tree
  })
  await writePbiFolder(context, folder, { ...pbi, payload })
}

export async function refuseOutside(input: Input, header: FileTree, payload: FileTree): Promise<void> {
  refuseLinksOut(header, undefined)
  if (!input.flag('links-out')) refuseLinksOut(payload, await valueOf(header, 'pbi_defaultpath'))
}

type Folder = PbiContents & { readonly program?: Uint8Array | undefined }

export async function writePbiFolder(context: Context, folder: string, contents: Folder): Promise<void> {
  context.signal.throwIfAborted()
  await writeNewFolder(folder, async (aside) => {
    const disk = hostDisk(aside)
    await writeTree(disk, pbiPlaces.header as RelPath, contents.header)
    await writeTree(disk, pbiPlaces.payload as RelPath, contents.payload)
    for (const [name, bytes] of [
      [iconName(contents), contents.icon],
      ['program', contents.program],
    ] as const) {
      if (bytes === undefined || bytes.length === 0) continue
      await disk.create(parseRelPath(name) as RelPath, oneChunk(bytes.slice()))
      await disk.chmod(name as RelPath, 0o644)
    }
    await disk.chmod(rootPath, 0o755)
  })
}
