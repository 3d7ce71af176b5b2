import { joinPath } from '../../../base/path.ts'
import { compress } from '../../dist/wire.ts'
import { decodeLines, encodeLines } from '../../../format/lines.ts'
import { isBinderyError } from '../../../base/error.ts'
import { readStateFile, statePaths, writeStateFile } from '../state.ts'
import type { ByteStream } from '../../../base/bytes.ts'
import type { Sha256 } from '../../../base/digest.ts'
import type { RelPath } from '../../../base/path.ts'
import type { Disk, DiskReader } from '../../../port/disk.ts'
import type { LinesFormat } from '../../../format/lines.ts'

/** `cache/`: complete files by their digest, `*.part` while they are incomplete, `*.from` to resume those. */

export function cachePath(sha256: Sha256): RelPath {
  return joinPath(statePaths.cache, sha256)
}

export function partPath(sha256: Sha256): RelPath {
  return joinPath(statePaths.cache, `${sha256}.part`)
}

function originPath(sha256: Sha256): RelPath {
  return joinPath(statePaths.cache, `${sha256}.from`)
}

/** What the first bytes of a part came from: with `If-Range`, a server only goes on with the same version. */
export type PartOrigin = { readonly url: string; readonly validator: string }

const originFormat: LinesFormat = { firstLine: 'bindery-part 1', maxBytes: 8192, maxLines: 2 }

export async function readPartOrigin(disk: Disk, sha256: Sha256): Promise<PartOrigin | undefined> {
  try {
    const bytes = await readStateFile(disk, originPath(sha256), originFormat.maxBytes)
    const [url, validator] = bytes === undefined ? [] : decodeLines(originFormat, bytes)
    return url === undefined || validator === undefined ? undefined : { url: url.value, validator: validator.value }
  } catch (error) {
    // Only a help for resuming: without it the digest still decides.
    if (isBinderyError(error, 'bad-format') || isBinderyError(error, 'over-limit')) return undefined
    throw error
  }
}

export async function writePartOrigin(disk: Disk, sha256: Sha256, { url, validator }: PartOrigin): Promise<void> {
  const lines = [
    { key: 'url', value: url },
    { key: 'validator', value: validator },
  ]
  await writeStateFile(disk, originPath(sha256), encodeLines(originFormat, lines))
}

export async function discardPart(disk: Disk, sha256: Sha256): Promise<void> {
  for (const path of [partPath(sha256), originPath(sha256)]) await removeIfThere(disk, path)
}

export async function removeIfThere(disk: Disk, path: RelPath): Promise<void> {
  if ((await disk.lstat(path)) !== undefined) await disk.unlink(path)
}

export type CachedFile = { readonly path: RelPath; readonly size: number; readonly sha256: Sha256 }

/** Compresses what was made here; `name` is the file's until its digest is known. */
export async function packIntoCache(disk: Disk, name: string, content: ByteStream): Promise<CachedFile> {
  const aside = joinPath(statePaths.cache, name)
  await removeIfThere(disk, aside)
  await disk.create(aside, compress(content, 'zstd'))
  const packed = await disk.digest(aside)
  await disk.sync(aside)
  await disk.rename(aside, cachePath(packed.sha256))
  return { path: cachePath(packed.sha256), ...packed }
}

/** How many bytes of each file are here, complete or not; nothing has been verified. */
export async function cachedSizes(disk: DiskReader): Promise<ReadonlyMap<Sha256, number>> {
  const sizes = new Map<Sha256, number>()
  for (const name of await disk.readdir(statePaths.cache)) {
    if (!/^[0-9a-f]{64}(?:\.part)?$/.test(name)) continue
    const stat = await disk.lstat(joinPath(statePaths.cache, name))
    if (stat?.kind === 'file') sizes.set(name.slice(0, 64) as Sha256, stat.size)
  }
  return sizes
}

/** Removes what the coming steps do not need: other downloads, and parts of downloads that nobody will resume. */
export async function sweepCache(disk: Disk, keep: ReadonlySet<Sha256>): Promise<void> {
  if ((await disk.lstat(statePaths.cache)) === undefined) return
  for (const name of await disk.readdir(statePaths.cache)) {
    const digest = name.slice(0, 64) as Sha256
    if (!keep.has(digest)) await disk.unlink(joinPath(statePaths.cache, name))
  }
}
