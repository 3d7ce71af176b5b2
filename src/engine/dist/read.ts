import { byteReader } from '../../base/byte-reader.ts'
import { concatBytes } from '../../base/bytes.ts'
import { sha256Hasher } from '../../base/digest.ts'
import { BinderyError } from '../../base/error.ts'
import { comparePaths, showPath } from '../../base/path.ts'
import { decodeNameHeader, nameHeaderSize, newer } from '../../format/dist-name-header.ts'
import { blockSize, paddingOf } from '../../format/tar.ts'
import { decodeHeader, extensionSize } from '../../format/tar-decode.ts'
import { distOrder, memberChecker } from './order.ts'
import type { ByteReader } from '../../base/byte-reader.ts'
import type { ByteStream } from '../../base/bytes.ts'
import type { Hasher, Sha256 } from '../../base/digest.ts'
import type { Entry, EntryHeader, Manifest } from '../../base/entry.ts'
import type { DistName } from '../../base/name.ts'

/** What a member's header says: everything but the digest of a file. */
export type DistHeader = EntryHeader

/** `content` is empty for all but files. What was not read of it is skipped before the next part comes. */
export type DistPart = { readonly header: DistHeader; readonly content: ByteStream }

export type DistReader = { readonly name: DistName; readonly parts: AsyncIterable<DistPart> }

/**
 * Strict: what `writeDist` would not have written is `bad-format` or `hostile` (`over-limit` past the spec's limits).
 * A part comes when its header has passed every check; the tar's end is judged only behind the last part, so nothing
 * may be put in place before the parts have ended.
 */
export async function openDist(tar: ByteStream): Promise<DistReader> {
  const reader = byteReader(tar, 'the dist')
  try {
    const { name, order } = decodeNameHeader(await reader.upTo(nameHeaderSize))
    if (order !== distOrder) throw newer(`order ${order}`)
    return { name, parts: readParts(reader) }
  } catch (error) {
    await reader.close()
    throw error
  }
}

async function* readParts(reader: ByteReader): AsyncGenerator<DistPart> {
  const checker = memberChecker()
  try {
    for (;;) {
      const blocks = await readHeaderBlocks(reader)
      if (blocks === undefined) {
        checker.end()
        return await checkEnd(reader)
      }
      const header = decodeHeader(blocks)
      checker.add(header)
      yield* readPart(reader, header)
    }
  } finally {
    await reader.close()
  }
}

/** Undefined at the first block of zeros. */
async function readHeaderBlocks(reader: ByteReader): Promise<Uint8Array | undefined> {
  const first = await reader.exactly(blockSize)
  if (isZero(first)) return undefined
  const parts = [first]
  // At most three extensions can be canonical; more would only be collected to be refused.
  for (let size = extensionSize(first); size !== undefined; size = extensionSize(parts.at(-1) as Uint8Array)) {
    if (parts.length > 6) throw new BinderyError('bad-format', 'too many extension headers for one member', { subject: 'tar' })
    parts.push(await reader.exactly(size), await reader.exactly(blockSize))
  }
  return concatBytes(parts)
}

async function* readPart(reader: ByteReader, header: DistHeader): AsyncGenerator<DistPart> {
  const size = header.kind === 'file' ? header.size : 0
  const end = reader.position() + size
  yield { header, content: contentUntil(reader, end) }
  for await (const _ of contentUntil(reader, end)) continue
  const padding = await reader.exactly(paddingOf(size))
  if (!isZero(padding)) throw new BinderyError('bad-format', 'has bytes in its padding', { subject: showPath(header.path) })
}

/** Ends where the content does, and at once for a part that the reader has left. */
async function* contentUntil(reader: ByteReader, end: number): ByteStream {
  while (reader.position() < end) {
    const bytes = await reader.some(end - reader.position())
    if (bytes.length === 0) throw new BinderyError('bad-format', `the dist ends too early, at byte ${reader.position()}`)
    yield bytes
  }
}

async function checkEnd(reader: ByteReader): Promise<void> {
  if (!isZero(await reader.exactly(blockSize))) throw new BinderyError('bad-format', 'the dist has a lone block of zeros')
  // A second archive behind the first: some tools read on, others stop.
  if ((await reader.some(1)).length > 0) throw new BinderyError('hostile', 'there are bytes behind the end of the dist')
}

function isZero(bytes: Uint8Array): boolean {
  for (const byte of bytes) if (byte !== 0) return false
  return true
}

export type DistDescription = {
  readonly name: DistName
  readonly manifest: Manifest
  /** The dist's identity: digest and size of the uncompressed tar. */
  readonly tar: { readonly sha256: Sha256; readonly size: number }
}

/** A whole dist described, with the identity of its tar. */
export async function describeDist(tar: ByteStream): Promise<DistDescription> {
  const whole = sha256Hasher()
  const measure = { size: 0 }
  const { name, parts } = await openDist(measured(tar, whole, measure))
  const entries: Entry[] = []
  for await (const part of parts) entries.push(await entryOf(part))
  entries.sort((a, b) => comparePaths(a.path, b.path))
  return { name, manifest: { entries }, tar: { sha256: whole.digest(), size: measure.size } }
}

async function* measured(stream: ByteStream, hasher: Hasher, measure: { size: number }): ByteStream {
  for await (const bytes of stream) {
    hasher.update(bytes)
    measure.size += bytes.length
    yield bytes
  }
}

async function entryOf({ header, content }: DistPart): Promise<Entry> {
  if (header.kind !== 'file') return header
  const hasher = sha256Hasher()
  for await (const bytes of content) hasher.update(bytes)
  return { ...header, sha256: hasher.digest() }
}
