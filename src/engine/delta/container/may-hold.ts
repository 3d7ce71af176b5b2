import { listMembers } from '../../../format/tar-members.ts'
import { endsAsZip, zipEndSize } from '../../../format/zip.ts'
import { isOpenedInTar } from './archives.ts'
import { containerStartSize, kindOfContainer } from './kind.ts'
import type { ByteSource } from '../../../port/source.ts'

/** Whether there is anything to open: looked at before all of a large tar is read for it. */
export async function mayHoldContainers(source: ByteSource): Promise<boolean> {
  const kind = kindOfContainer(await source.read(0, Math.min(containerStartSize, source.size)))
  if (kind === 'other') return endsAsZip(await source.read(Math.max(0, source.size - zipEndSize), source.size))
  if (kind !== 'tar') return true
  for (const { path, contentStart, contentSize } of await listMembers(source)) {
    if (isOpenedInTar(path, await source.read(contentStart, contentStart + Math.min(contentSize, containerStartSize)))) return true
  }
  return false
}
