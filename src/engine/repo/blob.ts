import { collectBytes, oneChunk } from '../../base/bytes.ts'
import { digestStream, sha256, sha256Hasher } from '../../base/digest.ts'
import { BinderyError } from '../../base/error.ts'
import { decodePieces, encodePieces, pieceHasher, pieceSizeOf } from '../../format/pieces.ts'
import { blobKey } from './layout.ts'
import type { ByteStream } from '../../base/bytes.ts'
import type { Sha256 } from '../../base/digest.ts'
import type { Pieces } from '../../format/pieces.ts'
import type { JsonObject } from '../../format/strict-json.ts'
import type { TargetFile } from '../../format/tuf.ts'
import type { ByteSource } from '../../port/source.ts'
import type { Store } from '../../port/store.ts'

/** The bytes of a target, on their way into a repository. */
export type Blob = {
  readonly target: string
  readonly size: number
  readonly sha256: Sha256
  /** Of what is large. */
  readonly pieces?: Pieces | undefined
  open(): ByteStream
}

export function blobOfBytes(target: string, bytes: Uint8Array): Blob {
  return { target, size: bytes.length, sha256: sha256(bytes), open: () => oneChunk(bytes) }
}

export async function blobOfSource(target: string, source: ByteSource): Promise<Blob> {
  return { target, ...(await measure(sourceStream(source), source.size)), open: () => sourceStream(source) }
}

type Measured = { readonly size: number; readonly sha256: Sha256; readonly pieces: Pieces | undefined }

/** Of a stream of so many bytes, in pieces of `size`, if in any. */
export async function measure(stream: ByteStream, length: number, size = pieceSizeOf(length)): Promise<Measured> {
  if (size === undefined) return { ...(await digestStream(stream)), pieces: undefined }
  const hasher = pieceHasher(size)
  const digests: string[] = []
  async function* passed(): ByteStream {
    for await (const bytes of stream) {
      digests.push(...hasher.update(bytes))
      yield bytes
    }
  }
  const measured = await digestStream(passed())
  return { ...measured, pieces: { size, digests: [...digests, ...hasher.end()] } }
}

const chunkSize = 1 << 20

export async function* sourceStream(source: ByteSource): ByteStream {
  for (let at = 0; at < source.size; at += chunkSize) yield await source.read(at, Math.min(at + chunkSize, source.size))
}

/** A blob is named by its digest and put as a whole: one that is there, from a publish that failed later, is used again. */
export async function putBlob(store: Store, blob: Blob): Promise<void> {
  const key = blobKey(blob.target, blob.sha256)
  if ((await store.size(key)) !== blob.size) await store.put(key, checked(key, blob))
}

/** A file may change between being measured and being copied; what then arrives must not get the name. */
async function* checked(key: string, blob: Blob): ByteStream {
  const hasher = sha256Hasher()
  for await (const bytes of blob.open()) {
    hasher.update(bytes)
    yield bytes
  }
  if (hasher.digest() !== blob.sha256) throw new BinderyError('bad-digest', 'has changed while it was copied', { subject: key })
}

export function targetOf(blob: Blob, said?: JsonObject): TargetFile {
  const custom = blob.pieces === undefined ? said : { ...encodePieces(blob.pieces), ...said }
  return { length: blob.size, hashes: { sha256: blob.sha256 }, ...(custom === undefined ? {} : { custom }) }
}

/** Size and digest of what is served for a target, and whether its pieces are those that are signed. */
export async function measureTarget(
  stream: ByteStream,
  path: string,
  { length, custom }: TargetFile,
): Promise<{ readonly size: number; readonly sha256: Sha256; readonly hasPieces: boolean }> {
  const signed = decodePieces(path, length, custom)
  if (signed === undefined) return { ...(await digestStream(stream)), hasPieces: true }
  const { size, sha256, pieces } = await measure(stream, length, signed.size)
  return { size, sha256, hasPieces: pieces?.digests.join() === signed.digests.join() }
}

/** Our own targets always have a sha256. */
export function digestOf(target: string, file: TargetFile): Sha256 {
  const digest = file.hashes['sha256']
  if (digest === undefined) throw new BinderyError('not-supported', 'has no sha256', { subject: target })
  return digest as Sha256
}

/** A small target, verified. `bad-digest`, `not-found`, `over-limit`. */
export async function readTarget(store: Store, target: string, file: TargetFile, limit: number): Promise<Uint8Array> {
  const key = blobKey(target, digestOf(target, file))
  if (file.length > limit) throw new BinderyError('over-limit', `has ${file.length} bytes, more than ${limit}`, { subject: key })
  await mustBeThere(store, key)
  const bytes = await collectBytes(store.stream(key), file.length)
  if (bytes === undefined || bytes.length !== file.length || sha256(bytes) !== digestOf(target, file)) throw damaged(key)
  return bytes
}

/** A target of any size: read once to check it, so that nothing unverified is decompressed, then given out. */
export async function openTarget(store: Store, target: string, file: TargetFile): Promise<ByteStream> {
  const key = blobKey(target, digestOf(target, file))
  await mustBeThere(store, key)
  const found = await digestStream(store.stream(key))
  if (found.size !== file.length || found.sha256 !== digestOf(target, file)) throw damaged(key)
  return store.stream(key)
}

/** By its key, as everything about a repository's files is told. */
async function mustBeThere(store: Store, key: string): Promise<void> {
  if ((await store.size(key)) === undefined) throw new BinderyError('not-found', 'is missing', { subject: key })
}

function damaged(key: string): BinderyError {
  return new BinderyError('bad-digest', 'is not what the metadata says', {
    subject: key,
    hint: "'bindery fsck' finds everything that is damaged",
  })
}
