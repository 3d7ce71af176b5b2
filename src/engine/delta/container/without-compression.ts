import { concatBytes, emptyBytes, fromLatin1 } from '../../../base/bytes.ts'
import { arHeaderSize, readAr, renamedHeader } from '../../../format/ar.ts'
import { storedZip } from '../../../format/zip-stored.ts'
import { kindOfContainer } from './kind.ts'
import { needsXz, unpack } from './methods.ts'
import type { LoadXz } from '../../../port/xz.ts'
import type { Method } from '../../../format/container-delta.ts'

/**
 * A container with the same contents in the same order, none of them compressed: a .tgz becomes a .tar, a Debian package one with
 * `data.tar`, a zip archive one whose entries are stored. What is in tars stays as it is. What cannot be unpacked stays, too.
 */
export async function withoutCompression(bytes: Uint8Array, loadXz: LoadXz, signal: AbortSignal | undefined): Promise<Uint8Array> {
  let plain = bytes
  for (let depth = 0; depth < mostLayers; depth++) {
    signal?.throwIfAborted()
    const kind = kindOfContainer(plain)
    if (kind === 'ar') return await plainAr(plain, loadXz, signal)
    if (kind === 'zip') return storedZip(plain, (content, size) => unpack('deflate', content, { limit: size }, { xz: undefined })) ?? plain
    if (kind === 'tar' || kind === 'other') return plain
    const content = await unpacked(kind, plain, loadXz)
    if (content === undefined) return plain
    plain = content
  }
  return plain
}

const mostLayers = 4
const mostContent = 512 << 20

async function unpacked(method: Method, bytes: Uint8Array, loadXz: LoadXz): Promise<Uint8Array | undefined> {
  return unpack(method, bytes, { limit: mostContent }, { xz: needsXz(method) ? await loadXz() : undefined })
}

const packedSuffix = /\.(?:gz|xz|bz2|zst|lzma)$/

async function plainAr(bytes: Uint8Array, loadXz: LoadXz, signal: AbortSignal | undefined): Promise<Uint8Array> {
  const members = readAr(bytes)
  if (members === undefined) return bytes
  const parts: Uint8Array[] = []
  let at = 0
  for (const { kind, name, content } of members) {
    const start = content.byteOffset - bytes.byteOffset
    const plain = kind === 'file' && packedSuffix.test(name) ? await withoutCompression(content, loadXz, signal) : content
    const header =
      plain === content
        ? undefined
        : renamedHeader(bytes.subarray(start - arHeaderSize, start), name.replace(packedSuffix, ''), plain.length)
    if (header === undefined) parts.push(bytes.subarray(at, start), content)
    else parts.push(bytes.subarray(at, start - arHeaderSize), header, plain)
    at = start + content.length
    // Members begin at even places: what fills up belongs to the content that was there.
    if (content.length % 2 === 1 && at < bytes.length) at++
    parts.push((header === undefined ? content : plain).length % 2 === 1 ? fromLatin1('\n') : emptyBytes)
  }
  return concatBytes([...parts, bytes.subarray(at)])
}
