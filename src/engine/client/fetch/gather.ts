import { oneChunk } from '../../../base/bytes.ts'
import { BinderyError } from '../../../base/error.ts'
import { showPath } from '../../../base/path.ts'
import { cachePath, partPath, removeIfThere } from './cache.ts'
import type { ByteStream } from '../../../base/bytes.ts'
import type { Sha256 } from '../../../base/digest.ts'
import type { FileEntry } from '../../../base/entry.ts'
import type { Session } from './session.ts'

/** Contents of single files cut out of a tar into the cache, each known by the digest that the manifest says. */

/** A file that is wanted, and where its content starts in the tar. */
export type Wanted = { readonly entry: FileEntry; readonly offset: number }

/** Bytes of the tar and where they start; in rising order, with gaps where nothing is wanted. */
export type Piece = { readonly at: number; readonly bytes: Uint8Array }

/**
 * `bad-digest` when a file does not come out as its entry says: the tar is not the one of the manifest. What is complete is kept, whatever
 * comes behind it.
 */
export async function gatherFiles(session: Session, wanted: readonly Wanted[], pieces: AsyncIterable<Piece>): Promise<void> {
  const sorted = [...wanted].sort((a, b) => a.offset - b.offset)
  for (const { entry } of sorted) await startFile(session, entry.sha256)
  let first = 0
  for await (const { at, bytes } of pieces) {
    session.signal.throwIfAborted()
    for (let i = first; i < sorted.length && (sorted[i] as Wanted).offset < at + bytes.length; i++) {
      await addSlice(session, sorted[i] as Wanted, at, bytes)
    }
    while (first < sorted.length && endOf(sorted[first] as Wanted) <= at + bytes.length)
      await finishFile(session, (sorted[first++] as Wanted).entry)
    if (first === sorted.length) break
  }
  for (const { entry } of sorted.slice(first)) await finishFile(session, entry)
}

/** The pieces of a whole stream. */
export async function* piecesOf(tar: ByteStream): AsyncIterable<Piece> {
  let at = 0
  for await (const bytes of tar) {
    yield { at, bytes }
    at += bytes.length
  }
}

function endOf({ entry, offset }: Wanted): number {
  return offset + entry.size
}

async function startFile({ disk }: Session, sha256: Sha256): Promise<void> {
  await removeIfThere(disk, partPath(sha256))
  await disk.create(partPath(sha256), oneChunk(new Uint8Array(0)))
}

async function addSlice({ disk }: Session, wanted: Wanted, at: number, bytes: Uint8Array): Promise<void> {
  const slice = bytes.subarray(Math.max(0, wanted.offset - at), Math.max(0, endOf(wanted) - at))
  if (slice.length > 0) await disk.append(partPath(wanted.entry.sha256), oneChunk(slice))
}

async function finishFile({ disk }: Session, entry: FileEntry): Promise<void> {
  const part = partPath(entry.sha256)
  const found = await disk.digest(part)
  if (found.size !== entry.size || found.sha256 !== entry.sha256) {
    await disk.unlink(part)
    throw new BinderyError('bad-digest', 'is not the file of the manifest', { subject: showPath(entry.path) })
  }
  await disk.rename(part, cachePath(entry.sha256))
}

/** One entry for each content: names that share it need it once. */
export function distinctContents(entries: readonly FileEntry[]): readonly FileEntry[] {
  return [...new Map(entries.map((entry) => [entry.sha256, entry])).values()]
}
