import { constants, createZstdCompress, createZstdDecompress, zstdDecompress } from 'node:zlib'
import { byteReader } from '../../base/byte-reader.ts'
import { concatBytes, emptyBytes, release } from '../../base/bytes.ts'
import { sha256Hasher } from '../../base/digest.ts'
import { BinderyError } from '../../base/error.ts'
import { maxFrames } from '../../format/frames.ts'
import { blockHeaderSize, checksumSize, decodeBlockHeader, decodeFrameHeader, maxFrameHeader } from '../../format/zstd-frame.ts'
import { blockPool, blocksOf, inOrder, started } from './blocks.ts'
import { pump } from './pump.ts'
import type { ZstdOptions } from 'node:zlib'
import type { ByteReader } from '../../base/byte-reader.ts'
import type { ByteStream } from '../../base/bytes.ts'
import type { Room } from './blocks.ts'
import type { Frame } from '../../format/frames.ts'
import type { ZstdFrame } from '../../format/zstd-frame.ts'

/** Input bytes of one frame: small enough to fetch for one file, large enough to cost no more than a per cent. */
export const frameInput: number = 4 << 20

/** Frames in work at once, on the runtime's thread pool: what keeps two cores busy while the next bytes are read. */
const framesAtOnce = { encoding: 3, decoding: 2 } as const

/**
 * Independent frames with content size and checksum, each of `frameInput` bytes but the last; one frame for no input.
 * `make` is given the place where the next bytes are needed. With `reuse`, a frame is only good until the next is asked for:
 * until the garbage collector came by, each encoder would be made of fresh pages, and to touch one for the first time costs
 * about as much as compressing what it holds.
 */
export async function* compressZstd(make: (room: Room) => ByteStream, level: number | undefined, reuse: boolean): ByteStream {
  const pool = blockPool(frameInput)
  const idle: FrameEncoder[] = []
  const encode = async (block: Uint8Array): Promise<Encoded> => {
    const encoder = idle.pop() ?? frameEncoder(level)
    const frame = await encoder.encode(block)
    const isLast = !encoder.hasRoom()
    if (isLast) encoder.close()
    else idle.push(encoder)
    pool.give(block)
    return { frame, isLast }
  }
  let empty = true
  try {
    for await (const { frame, isLast } of inOrder(blocksOf(make(pool.room), pool), framesAtOnce.encoding, encode)) {
      empty = false
      yield frame
      if (isLast && reuse) release(frame)
    }
    if (empty) yield (await encode(emptyBytes)).frame
  } finally {
    for (const encoder of idle) encoder.close()
  }
}

/** `isLast`: of its encoder. */
type Encoded = { readonly frame: Uint8Array; readonly isLast: boolean }

/** ZSTD_compressBound: with room for the worst case zstd takes its straight way, and the frame depends on the block alone. */
const frameBound = frameInput + (frameInput >> 8)

/** Of one encoder: three to seven usual frames. More would keep more memory, less cost more codecs and garbage. */
const encoderRoom = 3 * frameBound

/** Makes frames one after the other, as long as there is room for one more worst case. */
type FrameEncoder = { encode(block: Uint8Array): Promise<Uint8Array>; hasRoom(): boolean; close(): void }

function frameEncoder(level: number | undefined): FrameEncoder {
  // @types/node leaves the stream's own options out.
  const options: ZstdOptions & { readonly readableHighWaterMark: number } = {
    // One write is the whole frame, so that its header holds the content size.
    flush: constants.ZSTD_e_end,
    chunkSize: encoderRoom,
    params: { ...parametersOf(level), [constants.ZSTD_c_checksumFlag]: 1 },
    readableHighWaterMark: 2 * frameBound,
  }
  const codec = createZstdCompress(options)
  let room = encoderRoom
  const encode = (block: Uint8Array): Promise<Uint8Array> =>
    new Promise((resolve, reject) => {
      codec.once('error', reject)
      codec.write(block, (error) => {
        if (error) return reject(error)
        codec.off('error', reject)
        const frame = buffered(codec)
        room -= frame.length
        resolve(frame)
      })
    })
  // Closed and never ended: an end would add an empty frame.
  return { encode, hasRoom: () => room >= frameBound, close: () => void codec.destroy() }
}

/** Without a level: 3 with smaller tables. As small as the one frame of `zstd -3`, and two of them fit the caches of two cores. */
function parametersOf(level: number | undefined): Record<number, number> {
  if (level !== undefined) return { [constants.ZSTD_c_compressionLevel]: level }
  return { [constants.ZSTD_c_compressionLevel]: 3, [constants.ZSTD_c_hashLog]: 16, [constants.ZSTD_c_chainLog]: 15 }
}

/** All that a codec has put out; a single read may answer a part of it. */
function buffered(codec: { read(): Uint8Array | null }): Uint8Array {
  const parts: Uint8Array[] = []
  for (let part = codec.read(); part !== null; part = codec.read()) parts.push(part)
  return concatBytes(parts)
}

/** A frame up to this size is decoded in one call, and beside others. */
const smallContent = 8 << 20

/** Any number of frames, of any size; skippable ones are left out. `reuse`: see `decompress`. */
export async function* decompressZstd(stream: ByteStream, reuse: boolean): ByteStream {
  const reader = byteReader(stream, 'the zstd data')
  const running: Promise<Uint8Array>[] = []
  try {
    for await (const frame of framesOf(reader)) {
      const whole = await collectSmall(frame)
      if (whole.kind === 'small') running.push(started(decodeOwn(whole.bytes, whole.size)))
      while (running.length >= (whole.kind === 'small' ? framesAtOnce.decoding : 1))
        yield* handedOut(running.shift() as Promise<Uint8Array>, reuse)
      if (whole.kind === 'large') yield* pump(createZstdDecompress({ chunkSize: largeChunk }), blocksOf(whole.bytes, blockPool(largeChunk)))
    }
    for (const content of running) yield* handedOut(content, reuse)
  } finally {
    await reader.close()
  }
}

/** Of a copy that nobody else has. */
async function decodeOwn(frame: Uint8Array, size: number): Promise<Uint8Array> {
  const content = await decodeFrame(frame, size)
  release(frame)
  return content
}

async function* handedOut(decoded: Promise<Uint8Array>, reuse: boolean): ByteStream {
  const content = await decoded
  yield content
  if (reuse) release(content)
}

const largeChunk = 256 << 10

type Collected =
  | { readonly kind: 'small'; readonly bytes: Uint8Array; readonly size: number }
  | { readonly kind: 'large'; readonly bytes: ByteStream }

async function collectSmall({ header, bytes }: FrameStream): Promise<Collected> {
  const size = header.contentSize
  if (size === undefined || size > smallContent) return { kind: 'large', bytes }
  const chunks = bytes[Symbol.asyncIterator]()
  const parts: Uint8Array[] = []
  let collected = 0
  // A frame of more than its content and one header per few bytes of it is legal, and never kept in memory.
  while (collected <= 2 * size + 1024) {
    const next = await chunks.next()
    if (next.done === true) return { kind: 'small', bytes: concatBytes(parts), size }
    parts.push(next.value)
    collected += next.value.length
  }
  return { kind: 'large', bytes: resumed(parts, chunks) }
}

async function* resumed(parts: readonly Uint8Array[], rest: AsyncIterator<Uint8Array>): ByteStream {
  yield* parts
  for (let next = await rest.next(); next.done !== true; next = await rest.next()) yield next.value
}

function decodeFrame(frame: Uint8Array, size: number): Promise<Uint8Array> {
  return new Promise((resolve, reject) =>
    // One byte more than the content, so that the first call sees the end.
    zstdDecompress(frame, { chunkSize: Math.max(size + 1, 64), maxOutputLength: size + 1 }, (cause, content) => {
      if (cause !== null) reject(new BinderyError('bad-format', 'zstd: a frame is damaged', { cause }))
      else if (content.length !== size) reject(new BinderyError('bad-format', 'zstd: a frame is not as long as it says'))
      else resolve(content)
    }),
  )
}

type FrameStream = { readonly header: ZstdFrame; readonly offset: number; readonly bytes: ByteStream }

/** Each frame's compressed bytes must be read to their end before the next frame comes. */
async function* framesOf(reader: ByteReader): AsyncGenerator<FrameStream> {
  for (;;) {
    const start = await reader.peek(maxFrameHeader)
    if (start.length === 0) return
    const header = decodeFrameHeader(start)
    if (header.kind === 'frame') yield { header, offset: reader.position(), bytes: frameBytes(reader, header) }
    else await skip(reader, header.headerSize + header.size)
  }
}

async function* frameBytes(reader: ByteReader, header: ZstdFrame): ByteStream {
  yield await reader.exactly(header.headerSize)
  for (let last = false; !last;) {
    const start = await reader.exactly(blockHeaderSize)
    yield start
    const block = decodeBlockHeader(start)
    if (block.size > 0) yield await reader.exactly(block.size)
    last = block.last
  }
  if (header.hasChecksum) yield await reader.exactly(checksumSize)
}

async function skip(reader: ByteReader, count: number): Promise<void> {
  const end = reader.position() + count
  for await (const _ of reader.stream(count)) continue
  if (reader.position() < end) throw new BinderyError('bad-format', 'the zstd data ends too early')
}

/** Where the frames lie, each with its digest. A frame that does not tell its size is decoded to find out. */
export async function listZstdFrames(stream: ByteStream): Promise<readonly Frame[]> {
  const reader = byteReader(stream, 'the zstd data')
  const frames: Frame[] = []
  let start = 0
  try {
    for await (const frame of framesOf(reader)) {
      const listed = await listFrame(reader, frame, start)
      if (frames.length >= maxFrames) throw new BinderyError('over-limit', `more than ${maxFrames} zstd frames`)
      frames.push(listed)
      start += listed.length
    }
  } finally {
    await reader.close()
  }
  return frames
}

async function listFrame(reader: ByteReader, { header, offset, bytes }: FrameStream, start: number): Promise<Frame> {
  const hasher = sha256Hasher()
  const hashed = hashing(bytes, hasher.update)
  let length = header.contentSize
  if (length === undefined) {
    length = 0
    for await (const content of pump(createZstdDecompress({ chunkSize: largeChunk }), blocksOf(hashed, blockPool(largeChunk))))
      length += content.length
  } else for await (const _ of hashed) continue
  return { offset, size: reader.position() - offset, sha256: hasher.digest(), start, length }
}

async function* hashing(stream: ByteStream, update: (bytes: Uint8Array) => void): ByteStream {
  for await (const bytes of stream) {
    update(bytes)
    yield bytes
  }
}
