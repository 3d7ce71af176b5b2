import { constants, brotliDecompressSync, zstdDecompressSync } from 'node:zlib'
import { emptyBytes } from '../../base/bytes.ts'
import { BinderyError } from '../../base/error.ts'
import { decodeBatchHead, maxBatchHeadSize, streamNames } from '../../format/delta-batch.ts'
import { readVarint } from '../../format/varint.ts'
import type { ByteReader } from '../../base/byte-reader.ts'
import type { StreamHead, StreamName } from '../../format/delta-batch.ts'
import type { Cursor } from '../../format/varint.ts'
import type { BatchStreams } from './plain-decode.ts'

export type Batch = { readonly newSize: number; readonly streams: BatchStreams }

/** Larger windows than a writer uses would take memory that the header does not state. */
const zstdWindowLog = 24

/** The next batch with its streams decompressed; undefined behind the last one, which must be the end of the delta. */
export async function readBatch(reader: ByteReader, limit: number): Promise<Batch | undefined> {
  const size = await readHeadSize(reader)
  if (size === 0) return await endOfDelta(reader)
  if (size > maxBatchHeadSize) throw new BinderyError('bad-format', 'a batch of the delta has an endless head')
  const head = decodeBatchHead(await reader.exactly(size), limit)
  const streams: Partial<Record<StreamName, Cursor>> = {}
  for (const stream of head.streams)
    streams[stream.name] = { bytes: decompressStream(stream, await reader.exactly(stream.codedSize)), at: 0 }
  for (const name of streamNames) streams[name] ??= { bytes: emptyBytes, at: 0 }
  return { newSize: head.newSize, streams: streams as BatchStreams }
}

/** A varint, byte by byte: nothing says yet how long it is. */
async function readHeadSize(reader: ByteReader): Promise<number> {
  const first = await reader.exactly(1)
  if ((first[0] as number) < 0x80) return first[0] as number
  const second = await reader.exactly(1)
  return readVarint({ bytes: Uint8Array.of(first[0] as number, second[0] as number), at: 0 })
}

async function endOfDelta(reader: ByteReader): Promise<undefined> {
  if ((await reader.some(1)).length > 0) throw new BinderyError('bad-format', 'the delta goes on behind its end')
  return undefined
}

function decompressStream(stream: StreamHead, coded: Uint8Array): Uint8Array {
  switch (stream.codec) {
    case 'raw':
      return coded
    case 'zstd':
      return exactly(stream, coded, () =>
        zstdDecompressSync(coded, { ...sized(stream), params: { [constants.ZSTD_d_windowLogMax]: zstdWindowLog } }),
      )
    case 'brotli':
      return exactly(stream, coded, () => brotliDecompressSync(coded, sized(stream)))
  }
}

/** One output buffer of the right size; a stream that holds more fails instead of growing. */
function sized({ size }: StreamHead): { chunkSize: number; maxOutputLength: number; info: true } {
  return { chunkSize: Math.max(64, size), maxOutputLength: size, info: true }
}

function exactly({ size, name }: StreamHead, coded: Uint8Array, decompress: () => unknown): Uint8Array {
  try {
    const { buffer, engine } = decompress() as { buffer: Uint8Array; engine: { bytesWritten: number } }
    if (buffer.length === size && engine.bytesWritten === coded.length) return buffer
  } catch (cause) {
    throw new BinderyError('bad-format', `stream '${name}' of a batch of the delta is damaged`, { cause })
  }
  throw new BinderyError('bad-format', `stream '${name}' of a batch of the delta has another size than it says`)
}
