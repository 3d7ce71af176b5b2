import { BinderyError } from '../../../base/error.ts'
import { parseRelPath, showPath } from '../../../base/path.ts'
import { encodeHeader, endOfArchive, paddingOf } from '../../../format/tar.ts'
import { listMembers } from '../../../format/tar-members.ts'
import type { ByteStream } from '../../../base/bytes.ts'
import type { RelPath } from '../../../base/path.ts'
import type { ByteSource } from '../../../port/source.ts'

/** A plain tar that carries files to the signer and back: what any tar shows, the same bytes for the same files. */
export type Carried = { readonly path: string; readonly size: number; open(): ByteStream }

export async function* packTransport(files: AsyncIterable<Carried> | Iterable<Carried>): ByteStream {
  for await (const { path, size, open } of files) {
    const time = { sec: 0, nsec: 0 }
    yield encodeHeader({ kind: 'file', path: parseRelPath(path) as RelPath, mode: 0o644, uid: 0, gid: 0, size, mtime: time })
    yield* open()
    yield new Uint8Array(paddingOf(size))
  }
  yield endOfArchive
}

/** The files in it by their names, none of them twice. Names are for comparing, not for writing to. Throws `bad-format`. */
export async function openTransport(source: ByteSource): Promise<ReadonlyMap<string, ByteSource>> {
  const members = await listMembers(source)
  const end = members.at(-1)?.end ?? 0
  const rest = await source.read(end, Math.min(source.size, end + endOfArchive.length))
  if (members.length === 0 || rest.length < endOfArchive.length || rest.some((byte) => byte !== 0))
    throw new BinderyError('bad-format', 'is damaged or cut off')
  const files = new Map<string, ByteSource>()
  for (const { path, type, contentStart, contentSize } of members) {
    if (type !== '0' || files.has(path)) throw new BinderyError('bad-format', `holds '${showPath(path)}' as no file, or twice`)
    files.set(path, partOf(source, contentStart, contentSize, path))
  }
  return files
}

function partOf(source: ByteSource, from: number, size: number, label: string): ByteSource {
  return { size, label, read: async (start, end) => await source.read(from + start, from + end) }
}

const chunk = 1 << 20

export async function* bytesOfSource(source: ByteSource, start = 0, end: number = source.size): ByteStream {
  for (let at = start; at < end; at += chunk) yield await source.read(at, Math.min(end, at + chunk))
}

export function carriedBytes(path: string, bytes: Uint8Array): Carried {
  return {
    path,
    size: bytes.length,
    open: async function* () {
      yield bytes
    },
  }
}

export function carriedSource(path: string, source: ByteSource): Carried {
  return { path, size: source.size, open: () => bytesOfSource(source) }
}

/** Small ones alone. */
export async function wholeOf(source: ByteSource, limit: number): Promise<Uint8Array> {
  if (source.size > limit) throw new BinderyError('over-limit', `is larger than ${limit} bytes`, { subject: source.label })
  return await source.read(0, source.size)
}
