import { inflateRawSync, zstdDecompressSync } from 'node:zlib'
import { BinderyError, isBinderyError, unreachable } from '../../../base/error.ts'
import { bunzip2 } from '../../../format/bzip2-decode.ts'
import { gzipContent } from '../gzip/content.ts'
import { gzipMemory } from '../gzip/section.ts'
import { closeBzip2, openBzip2 } from './bzip2.ts'
import { closeDeflate, closeGzipFile, openDeflate, openGzipFile } from './deflate.ts'
import { closeSignedGzip, openSignedGzip } from './signed-gzip.ts'
import { closeXz, openXz, xzMemory } from './xz.ts'
import type { Method } from '../../../format/container-delta.ts'
import type { ContainerTools } from './tools.ts'

/** What each method of packing takes: content out of bytes, a recipe besides, and the bytes again. */

export function needsXz(method: Method): boolean {
  return method === 'xz' || method === 'lzma'
}

/** The content; undefined where the bytes are damaged, or hold more than `limit` bytes. `expected`: how many it will be, if known. */
export function unpack(
  method: Method,
  bytes: Uint8Array,
  { limit, expected = firstGuess }: { readonly limit: number; readonly expected?: number },
  { xz }: ContainerTools,
): Uint8Array | undefined {
  switch (method) {
    case 'gzip':
    case 'signed gzip':
      return gzipContent(bytes, limit, expected)
    case 'deflate':
      return inflated(bytes, limit, expected)
    case 'xz':
    case 'lzma':
      return xz?.decompress(bytes, limit)
    case 'bzip2':
      return attempt(() => bunzip2(bytes, limit))
    case 'zstd':
      return attempt(() => zstdDecompressSync(bytes, { maxOutputLength: Math.max(1, limit) }))
    default:
      return unreachable(method)
  }
}

const firstGuess = 256 << 10

function inflated(bytes: Uint8Array, limit: number, expected: number): Uint8Array | undefined {
  return attempt(() => {
    const room = { chunkSize: Math.max(64, Math.min(limit, expected) + 1), maxOutputLength: Math.max(1, limit), info: true }
    const { buffer, engine } = inflateRawSync(bytes, room) as unknown as { buffer: Uint8Array; engine: { bytesWritten: number } }
    return engine.bytesWritten === bytes.length && buffer.length <= limit ? buffer : undefined
  })
}

/** Whatever a codec finds wrong with the bytes, they are not opened. */
function attempt(work: () => Uint8Array | undefined): Uint8Array | undefined {
  try {
    return work()
  } catch (error) {
    if (isBinderyError(error) || (error instanceof Error && 'code' in error)) return undefined
    throw error
  }
}

/** `by`: the compressor and its setting, for a person. */
export type Opened = { readonly content: Uint8Array; readonly recipe: Uint8Array; readonly by: string }

/** Undefined where the bytes cannot be made again from a content that says less than they do. */
export function openPacked(method: Method, bytes: Uint8Array, content: Uint8Array, { xz }: ContainerTools): Opened | undefined {
  switch (method) {
    case 'gzip':
      return openGzipFile(bytes, content.length)
    case 'signed gzip':
      return openSignedGzip(bytes, content.length)
    case 'deflate':
      return openDeflate(bytes, content)
    case 'xz':
      return xz && openXz(bytes, content, xz)
    case 'bzip2':
      return openBzip2(bytes, content)
    // Their encoders are not to be had, or make other bytes with every release (doc/decisions/0119).
    case 'lzma':
    case 'zstd':
      return undefined
    default:
      return unreachable(method)
  }
}

/** The bytes again, at most `size` of them. */
export function closePacked(method: Method, content: Uint8Array, recipe: Uint8Array, size: number, { xz }: ContainerTools): Uint8Array {
  switch (method) {
    case 'gzip':
      return closeGzipFile(content, recipe, size)
    case 'signed gzip':
      return closeSignedGzip(content, recipe, size)
    case 'deflate':
      return closeDeflate(content, recipe, size)
    case 'xz':
      if (xz === undefined) throw new BinderyError('not-supported', 'the delta makes an xz file, and liblzma is not here')
      return closeXz(content, recipe, size, xz)
    case 'bzip2':
      return closeBzip2(content, recipe)
    case 'lzma':
    case 'zstd':
      throw new BinderyError('bad-format', `the delta makes a piece by ${method}, which nobody can make again`)
    default:
      return unreachable(method)
  }
}

/** The largest dictionary that a decoder is granted, and what stands beside it. */
export const xzDecoderMemory: number = 72 << 20

/** What opening a piece takes, its bytes and its content included. */
export function unpackMemory(method: Method, size: number, contentSize: number): number {
  const codec = needsXz(method) ? xzDecoderMemory : method === 'zstd' ? zstdMemory : smallCodec
  return size + contentSize + codec
}

/** What closing one takes. */
export function packMemory(method: Method, contentSize: number, size: number, recipe: Uint8Array): number {
  switch (method) {
    case 'gzip':
    case 'signed gzip':
    case 'deflate':
      return gzipMemory(0, contentSize, size)
    case 'xz':
      return contentSize + 3 * size + xzMemory(recipe)
    default:
      return contentSize + 2 * size + bzip2Memory
  }
}

const smallCodec = 4 << 20
const zstdMemory = 128 << 20
/** A block, its suffix array twice over, its symbols. */
const bzip2Memory = 24 << 20
