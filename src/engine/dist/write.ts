import { concatBytes, emptyBytes } from '../../base/bytes.ts'
import { sha256Hasher } from '../../base/digest.ts'
import { BinderyError } from '../../base/error.ts'
import { showPath } from '../../base/path.ts'
import { encodeNameHeader } from '../../format/dist-name-header.ts'
import { encodeHeader, endOfArchive, paddingOf } from '../../format/tar.ts'
import { distOrder, inDistOrder } from './order.ts'
import type { ByteStream } from '../../base/bytes.ts'
import type { EntryHeader, FileEntry, Manifest } from '../../base/entry.ts'
import type { DistName } from '../../base/name.ts'
import type { RelPath } from '../../base/path.ts'

/** The files among headers of type T. */
export type FileOf<T extends EntryHeader> = Extract<T, { readonly kind: 'file' }>

/**
 * The canonical uncompressed tar: a function of name, manifest and contents, to the byte (doc/spec/dist.md). Content
 * whose size or digest differs from the manifest is `bad-digest`; it has been passed on by then.
 */
export function writeDist(name: DistName, manifest: Manifest, content: (entry: FileEntry) => ByteStream): ByteStream {
  return writeMembers(name, inDistOrder(manifest.entries), (entry) => matching(entry, content(entry)))
}

async function* matching(entry: FileEntry, content: ByteStream): ByteStream {
  const hasher = sha256Hasher()
  for await (const bytes of content) {
    hasher.update(bytes)
    yield bytes
  }
  if (hasher.digest() !== entry.sha256)
    throw new BinderyError('bad-digest', 'is not the file of the manifest', { subject: showPath(entry.path) })
}

/** The same for headers already in dist order, of files whose digests nobody knows yet. */
export async function* writeMembers<T extends EntryHeader>(
  name: DistName,
  headers: readonly T[],
  content: (header: FileOf<T>) => ByteStream,
): ByteStream {
  let before = encodeNameHeader({ name, order: distOrder })
  for (const header of headers) {
    yield joined(before, encodeHeader(header))
    before = emptyBytes
    if (header.kind !== 'file') continue
    let missing = header.size
    for await (const bytes of content(header as FileOf<T>)) {
      missing -= bytes.length
      if (missing < 0) throw wrongSize(header, 'more')
      yield bytes
    }
    if (missing > 0) throw wrongSize(header, 'fewer')
    // Goes with the next header: most files are one piece, and each piece has its price.
    before = endOfArchive.subarray(0, paddingOf(header.size))
  }
  yield joined(before, endOfArchive)
}

function joined(before: Uint8Array, bytes: Uint8Array): Uint8Array {
  return before.length === 0 ? bytes : concatBytes([before, bytes])
}

function wrongSize(header: FileOf<EntryHeader>, what: string): BinderyError {
  return new BinderyError('bad-digest', `has ${what} bytes than the ${header.size} announced`, { subject: showPath(header.path) })
}

/** The size of that tar, from the manifest alone. */
export function distSize(name: DistName, manifest: Manifest): number {
  return layOut(name, manifest).size
}

/** Where each file's content starts in the tar. */
export function fileOffsets(name: DistName, manifest: Manifest): ReadonlyMap<RelPath, number> {
  return layOut(name, manifest).offsets
}

function layOut(name: DistName, manifest: Manifest): { readonly size: number; readonly offsets: ReadonlyMap<RelPath, number> } {
  const offsets = new Map<RelPath, number>()
  let at = encodeNameHeader({ name, order: distOrder }).length
  for (const entry of inDistOrder(manifest.entries)) {
    at += encodeHeader(entry).length
    if (entry.kind !== 'file') continue
    offsets.set(entry.path, at)
    at += entry.size + paddingOf(entry.size)
  }
  return { size: at + endOfArchive.length, offsets }
}
