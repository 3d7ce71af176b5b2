import { createGunzip, createGzip } from 'node:zlib'
import { byteReader } from '../../base/byte-reader.ts'
import { latin1, released } from '../../base/bytes.ts'
import { BinderyError } from '../../base/error.ts'
import { isZstd } from '../../format/zstd-frame.ts'
import { blockPool, blocksOf } from './blocks.ts'
import { pump } from './pump.ts'
import { compressZstd, decompressZstd, listZstdFrames } from './zstd.ts'
import type { ByteStream } from '../../base/bytes.ts'
import type { Frame } from '../../format/frames.ts'
import type { Room } from './blocks.ts'

export type { Frame } from '../../format/frames.ts'

/** How a dist travels. The identity of a dist is that of its uncompressed bytes; the codec is only wrapping. */
export type WireCodec = 'none' | 'zstd' | 'gzip'

/** `none` has no levels. */
export const wireLevels = { zstd: { least: 1, most: 22 }, gzip: { least: 1, most: 9 } } as const

const usualGzipLevel = 6

export const wireSuffix: Readonly<Record<WireCodec, string>> = { none: '', zstd: '.zst', gzip: '.gz' }

/** Enough to tell every codec by its magic. */
export const magicSize = 10

/** Few calls into the codec, small buffers. */
const chunkSize = 256 << 10

/**
 * zstd: independent frames of 4 MiB of input each, so that single files can be fetched by range; `zstd -d` reads them
 * as one stream. gzip: one member without name and time. Same input, level and library: same bytes.
 */
export function compress(stream: ByteStream, codec: WireCodec, level?: number): ByteStream {
  return wrap(() => stream, codec, level, false)
}

/**
 * The same for a stream that can put its pieces where they are needed: what it writes into `room()` is not copied. What comes
 * out is only good until the next piece is asked for.
 */
export function compressFrom(make: (room: Room) => ByteStream, codec: WireCodec, level?: number): ByteStream {
  return wrap(make, codec, level, true)
}

function wrap(make: (room: Room) => ByteStream, codec: WireCodec, level: number | undefined, reuse: boolean): ByteStream {
  switch (codec) {
    case 'none': {
      const scratch = new Uint8Array(chunkSize)
      return make(() => scratch)
    }
    case 'zstd':
      return compressZstd(make, level, reuse)
    case 'gzip': {
      const pool = blockPool(chunkSize)
      return anonymous(pump(createGzip({ level: level ?? usualGzipLevel, chunkSize }), blocksOf(make(pool.room), pool)))
    }
  }
}

/** RFC 1952, 2.3.1: the tenth byte names the operating system; 255 is "unknown", the same everywhere. */
async function* anonymous(gzip: ByteStream): ByteStream {
  const reader = byteReader(gzip, 'the gzip data')
  const header = Uint8Array.from(await reader.exactly(10))
  header[9] = 255
  yield header
  yield* reader.stream(Infinity)
}

/**
 * By magic: zstd (any number of frames), gzip (any number of members, zeros behind them), anything else as it is; other
 * compressions are `not-supported`. `limit` caps the bytes that come out (`over-limit`). Memory is bounded, by 128 MiB
 * where a zstd frame was made with `--long`. `reuse`: the stream gives its chunks away, and the caller is done with one when it
 * asks for the next.
 */
export function decompress(stream: ByteStream, limit?: number, options: { readonly reuse?: boolean } = {}): ByteStream {
  const content = byMagic(stream, options.reuse ?? false)
  return limit === undefined ? content : capped(content, limit)
}

async function* byMagic(stream: ByteStream, reuse: boolean): ByteStream {
  const reader = byteReader(stream, 'the input')
  try {
    const codec = wireCodecOf(await reader.peek(magicSize))
    const whole = reader.stream(Infinity)
    if (codec === 'zstd') yield* decompressZstd(whole, reuse)
    else if (codec === 'gzip') yield* pump(createGunzip({ chunkSize }), blocksOf(whole, blockPool(chunkSize)))
    else yield* reuse ? released(whole) : whole
  } finally {
    await reader.close()
  }
}

/** What `decompress` takes these first bytes of a file for; `not-supported` for compressions that it does not read. */
export function wireCodecOf(start: Uint8Array): WireCodec {
  refuseOthers(start)
  if (isZstd(start)) return 'zstd'
  return start[0] === 0x1f && start[1] === 0x8b ? 'gzip' : 'none'
}

/** Long magics: an uncompressed tar starts with a file's name. */
const others = [
  { name: 'xz', tool: 'xz', magic: /^\xfd7zXZ\0/ },
  { name: 'bzip2', tool: 'bzip2', magic: /^BZh[1-9](?:1AY&SY|\x17rE8P\x90)/ },
  { name: 'compress', tool: 'gzip', magic: /^\x1f\x9d/ },
  { name: 'lz4', tool: 'lz4', magic: /^\x04"M\x18/ },
  { name: 'lzip', tool: 'lzip', magic: /^LZIP\x01/ },
] as const

function refuseOthers(start: Uint8Array): void {
  const text = latin1(start)
  const other = others.find(({ magic }) => magic.test(text))
  if (other === undefined) return
  throw new BinderyError('not-supported', `is compressed with ${other.name}, which bindery does not read`, {
    hint: `pipe it through ${other.tool} -dc`,
  })
}

async function* capped(stream: ByteStream, limit: number): ByteStream {
  let size = 0
  for await (const bytes of stream) {
    size += bytes.length
    if (size > limit) throw new BinderyError('over-limit', `holds more than the ${limit} bytes expected`)
    yield bytes
  }
}

/** Where the frames of a zstd stream lie, each with its digest, and which bytes of the tar they hold. */
export async function listFrames(zstd: ByteStream): Promise<readonly Frame[]> {
  return await listZstdFrames(zstd)
}
