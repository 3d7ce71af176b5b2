import { brotliCompress, constants, zstdCompress, zstdCompressSync } from 'node:zlib'
import { concatBytes, release } from '../../base/bytes.ts'
import { encodeBatchHead, streamNames } from '../../format/delta-batch.ts'
import { largestProgram } from './reader-time.ts'
import type { BatchHead, Codec, StreamHead, StreamName } from '../../format/delta-batch.ts'
import type { RawBatch } from './delta-encode.ts'

/** Compresses the streams of one batch after the other, each with the codec that makes it smallest; the batch is used up by that. */
export type BatchCompressor = (batch: RawBatch) => Promise<CodedBatch>

/** `bytes`: with the head in front. */
export type CodedBatch = { readonly head: BatchHead; readonly bytes: Uint8Array }

export type CodecEffort = {
  readonly zstdLevel: number
  /** Bytes of a delta that are tried with brotli, the small streams of a batch first: of one program, and of a system. */
  readonly brotli: { readonly program: number; readonly system: number }
  /** Brotli's usual way alone, or whatever else may come out smaller. */
  readonly brotliWays: keyof typeof brotliWays
}

type BrotliWay = Readonly<Record<number, number>>

const bestBrotli: BrotliWay = { [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY }
const smallBlocks: BrotliWay = { ...bestBrotli, [constants.BROTLI_PARAM_LGBLOCK]: 16 }

const brotliWays = {
  usual: [bestBrotli],
  all: [
    bestBrotli,
    smallBlocks,
    { ...smallBlocks, [constants.BROTLI_PARAM_MODE]: constants.BROTLI_MODE_FONT },
    { ...smallBlocks, [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY - 1 },
  ],
} as const satisfies Readonly<Record<string, readonly BrotliWay[]>>

/** zstd at level 19 takes half a dozen bytes of memory for each: so many at once, in as many streams. */
const bytesAtOnce = 4 << 20
const streamsAtOnce = 2

/** From here on a quick look says whether a stream can be compressed at all. */
const probedSize = 64 << 10
const hopeless = 0.985

/** Coded by themselves. */
const coded: ReadonlySet<StreamName> = new Set(['images', 'imageChanges'])

/** 16 MiB at most: what the reader grants. */
const brotliWindowBits = { least: 10, most: 24 }

export function batchCompressor(newSize: number, effort: CodecEffort): BatchCompressor {
  let budget = newSize <= largestProgram ? effort.brotli.program : effort.brotli.system
  const forBrotli = (streams: RawBatch['streams']): ReadonlySet<StreamName> => {
    const chosen = new Set<StreamName>()
    const sizes = streamNames.flatMap((name) => (streams[name] === undefined ? [] : [{ name, size: streams[name].length }]))
    for (const { name, size } of sizes.sort((a, b) => a.size - b.size)) {
      if (size > budget) break
      budget -= size
      chosen.add(name)
    }
    return chosen
  }
  const inTurn = limiter()
  return async ({ newSize: size, streams }) => {
    // Decided here, in order, so that the bytes do not depend on which thread is done first.
    const chosen = forBrotli(streams)
    const tasks = streamNames.flatMap((name) => {
      const raw = streams[name]
      if (raw === undefined) return []
      const trials = coded.has(name) || isHopeless(raw) ? [] : trialsOf(effort, chosen.has(name))
      return [inTurn(raw.length, () => compressStream(name, raw, trials))]
    })
    const done = await Promise.all(tasks)
    const head = { newSize: size, streams: done.map((one) => one.head) }
    return { head, bytes: concatBytes([encodeBatchHead(head), ...done.map(({ bytes }) => bytes)]) }
  }
}

/** A codec in one of its ways. */
type Trial = { readonly codec: Exclude<Codec, 'raw'>; compress(bytes: Uint8Array): Promise<Uint8Array> }

function trialsOf({ zstdLevel, brotliWays: ways }: CodecEffort, isWorthBrotli: boolean): readonly Trial[] {
  const zstd = { codec: 'zstd', compress: async (bytes: Uint8Array) => await zstdCompressed(bytes, zstdLevel) } as const
  const brotli = brotliWays[ways].map(
    (way) => ({ codec: 'brotli', compress: async (bytes: Uint8Array) => await brotliCompressed(bytes, way) }) as const,
  )
  return isWorthBrotli ? [zstd, ...brotli] : [zstd]
}

/** Runs what it is given in turn, some of it at the same time: a large stream by itself. */
function limiter(): <T>(bytes: number, work: () => Promise<T>) => Promise<T> {
  const running = { streams: 0, bytes: 0 }
  const waiting: { readonly bytes: number; start(): void }[] = []
  const fits = (bytes: number): boolean =>
    running.streams === 0 || (running.streams < streamsAtOnce && running.bytes + bytes <= bytesAtOnce)
  const startNext = (): void => {
    for (let next = waiting[0]; next !== undefined && fits(next.bytes); next = waiting[0]) {
      waiting.shift()
      running.streams++
      running.bytes += next.bytes
      next.start()
    }
  }
  return async (bytes, work) => {
    await new Promise<void>((start) => {
      waiting.push({ bytes, start })
      startNext()
    })
    try {
      return await work()
    } finally {
      running.streams--
      running.bytes -= bytes
      startNext()
    }
  }
}

type Coded = { readonly head: StreamHead; readonly bytes: Uint8Array }

/** The smallest of raw and what the codecs make; the first of equals. */
async function compressStream(name: StreamName, raw: Uint8Array, trials: readonly Trial[]): Promise<Coded> {
  let best: Coded = { head: { name, codec: 'raw', size: raw.length, codedSize: raw.length }, bytes: raw }
  for (const { codec, compress } of trials) {
    const bytes = await compress(raw)
    // The size of a coded stream takes up to four bytes in the head.
    if (bytes.length + 4 < best.bytes.length) best = { head: { name, codec, size: raw.length, codedSize: bytes.length }, bytes }
  }
  if (best.bytes !== raw) release(raw)
  return best
}

function isHopeless(bytes: Uint8Array): boolean {
  return bytes.length >= probedSize && zstdCompressSync(bytes, zstdOptions(1, bytes.length)).length > bytes.length * hopeless
}

/** Of a stream, by a look that is quick for what it says. */
export function compressedSize(bytes: Uint8Array): number {
  return Math.min(bytes.length, zstdCompressSync(bytes, zstdOptions(bestZstd, bytes.length)).length)
}

const bestZstd = 19

async function zstdCompressed(bytes: Uint8Array, level: number): Promise<Uint8Array> {
  return await promised((done) => zstdCompress(bytes, zstdOptions(level, bytes.length), done))
}

async function brotliCompressed(bytes: Uint8Array, way: BrotliWay): Promise<Uint8Array> {
  return await promised((done) => brotliCompress(bytes, brotliOptions(bytes.length, way), done))
}

/** The size first: else each stream of some bytes gets the tables of eight megabytes, which take 0.2 s to clear. */
function zstdOptions(level: number, size: number): { pledgedSrcSize: number; params: Record<number, number> } {
  const params = { [constants.ZSTD_c_compressionLevel]: level, [constants.ZSTD_c_checksumFlag]: 0 }
  return { pledgedSrcSize: size, params: level === bestZstd && size > wholeTables ? { ...params, ...smallerTables(size) } : params }
}

const wholeTables = 256 << 10

/** The window of the best level. */
const mostWindowBits = 23

/**
 * A tree that holds the last half of the stream at least, and an eighth as many roots, where zstd would have room for all
 * and as many roots: half the memory, or a third, and the result is as small but for a part in a thousand (decision 0084).
 */
function smallerTables(size: number): Record<number, number> {
  const bits = Math.min(mostWindowBits, 32 - Math.clz32(size - 1))
  return { [constants.ZSTD_c_chainLog]: bits, [constants.ZSTD_c_hashLog]: bits - 3 }
}

function brotliOptions(size: number, way: BrotliWay): { params: Record<number, number> } {
  const bits = Math.min(brotliWindowBits.most, Math.max(brotliWindowBits.least, 32 - Math.clz32(size - 1)))
  return {
    params: {
      [constants.BROTLI_PARAM_LGWIN]: bits,
      [constants.BROTLI_PARAM_SIZE_HINT]: size,
      ...way,
    },
  }
}

function promised(start: (done: (error: Error | null, bytes: Uint8Array) => void) => void): Promise<Uint8Array> {
  return new Promise((resolve, reject) => start((error, bytes) => (error === null ? resolve(bytes) : reject(error))))
}
