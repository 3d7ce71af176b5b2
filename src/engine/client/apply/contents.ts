import { sha256Hasher } from '../../../base/digest.ts'
import { BinderyError } from '../../../base/error.ts'
import { showPath } from '../../../base/path.ts'
import { sameMeta } from '../../tree/diff.ts'
import { openDist } from '../../dist/read.ts'
import type { ByteStream } from '../../../base/bytes.ts'
import type { Sha256 } from '../../../base/digest.ts'
import type { Entry, Manifest } from '../../../base/entry.ts'
import type { RelPath } from '../../../base/path.ts'
import type { Verified } from '../../../base/verified.ts'
import type { DistHeader } from '../../dist/read.ts'

/** What a staged file must hold. */
export type Wanted = ReadonlyMap<RelPath, { readonly size: number; readonly sha256: Sha256 }>

/** Gives the content of each wanted path once, in any order; has checked all that it promises when it ends. */
export type Contents = (wanted: Wanted) => AsyncIterable<{ readonly path: RelPath; readonly content: ByteStream }>

/**
 * Contents from a release's tar. The tar is read to its end, where its digest is checked, and every header must be the
 * manifest's entry of that path: what the signed manifest does not name is refused, and never written.
 */
export function distContents(tar: ByteStream, manifest: Verified<Manifest>): Contents {
  return async function* (wanted) {
    const expected = new Map(manifest.value.entries.map((entry) => [entry.path, entry]))
    const dist = await openDist(tar)
    for await (const { header, content } of dist.parts) {
      checkHeader(header, expected.get(header.path))
      expected.delete(header.path)
      if (wanted.has(header.path)) yield { path: header.path, content }
    }
    for (const path of expected.keys())
      throw new BinderyError('hostile', 'is in the manifest, but not in the dist', { subject: showPath(path) })
  }
}

function checkHeader(header: DistHeader, entry: Entry | undefined): void {
  if (entry === undefined) throw new BinderyError('hostile', 'is in the dist, but not in the manifest', { subject: showPath(header.path) })
  if (!isSame(header, entry))
    throw new BinderyError('hostile', 'is not in the dist what the manifest says', { subject: showPath(header.path) })
}

function isSame(header: DistHeader, entry: Entry): boolean {
  if (header.kind !== entry.kind || !sameMeta(header as Entry, entry)) return false
  if (header.kind === 'file') return entry.kind === 'file' && header.size === entry.size
  if (header.kind === 'symlink') return entry.kind === 'symlink' && header.target === entry.target
  if (header.kind === 'hardlink') return entry.kind === 'hardlink' && header.leader === entry.leader
  if (header.kind === 'char' || header.kind === 'block')
    return entry.kind === header.kind && header.major === entry.major && header.minor === entry.minor
  return true
}

/** Passes the bytes on and refuses the end of a content that is not the one wanted; it is the caller's to throw away. */
export async function* checked(content: ByteStream, path: RelPath, want: { readonly size: number; readonly sha256: Sha256 }): ByteStream {
  const hasher = sha256Hasher()
  let size = 0
  for await (const bytes of content) {
    size += bytes.length
    if (size > want.size) break
    hasher.update(bytes)
    yield bytes
  }
  if (size !== want.size || hasher.digest() !== want.sha256) {
    throw new BinderyError('bad-digest', 'is not the file of the manifest', { subject: showPath(path) })
  }
}
