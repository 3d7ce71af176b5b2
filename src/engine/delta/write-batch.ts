import { brotliCompress, constants, zstdCompress, zstdCompressSync } from 'node:zlib'
import { concatBytes } from '../../base/bytes.ts'
import { encodeBatchHead, streamNames } from '../../format/delta-batch.ts'
import { largestProgram } from './reader-time.ts'
import type { Codec, StreamHead, StreamName } from '../../format/delta-batch.ts'
import type { RawBatch } from './delta-encode.ts'

/** Compresses the streams of one batch after the other, each with the codec that makes it smallest. */
export type BatchCompressor = (batch: RawBatch) => Promise<Uint8Array>

/**
 * brotli at its best takes ten times as long as zstd at its best for a twentieth less. So many bytes of a delta are worth
 * it, the small streams of a batch first: single programs get it all through.
 */
const brotliBudgets = { program: 3 << 20, system: 512 << 10 }

/** zstd at level 19 takes a hundred megabytes for a stream of eight. */
const atOnce = 2

/** From here on a quick look says whether a stream can be compressed at all. */
const probedSize = 64 << 10
const hopeless = 0.985

/** Coded by themselves. */
const coded: ReadonlySet<StreamName> = new Set(['images', 'imageChanges'])

const zstdLevel = 19
/** 16 MiB at most: what the reader grants. */
const brotliWindowBits = { least: 10, most: 24 }

export function batchCompressor(newSize: number): BatchCompressor {
  let budget = newSize <= largestProgram ? brotliBudgets.program : brotliBudgets.system
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
  const inTurn = limiter(atOnce)
  return async ({ newSize: size, streams }) => {
    // Decided here, in order, so that the bytes do not depend on which thread is done first.
    const chosen = forBrotli(streams)
    const tasks = streamNames.flatMap((name) => {
      const raw = streams[name]
      if (raw === undefined) return []
      const trials: Trials = coded.has(name) || isHopeless(raw) ? [] : chosen.has(name) ? ['zstd', 'brotli'] : ['zstd']
      return [inTurn(() => compressStream(name, raw, trials))]
    })
    const done = await Promise.all(tasks)
    return concatBytes([encodeBatchHead({ newSize: size, streams: done.map(({ head }) => head) }), ...done.map(({ bytes }) => bytes)])
  }
}

type Trials = readonly Exclude<Codec, 'raw'>[]

/** Runs what it is given, at most `most` at a time. */
function limiter(most: number): <T>(work: () => Promise<T>) => Promise<T> {
  let running = 0
  const waiting: (() => void)[] = []
  return async (work) => {
    if (running === most) await new Promise<void>((resolve) => waiting.push(resolve))
    else running++
    try {
      return await work()
    } finally {
      const next = waiting.shift()
      if (next === undefined) running--
      else next()
    }
  }
}

type Coded = { readonly head: StreamHead; readonly bytes: Uint8Array }

/** The smallest of raw and what the codecs make; the first of equals. */
async function compressStream(name: StreamName, raw: Uint8Array, trials: Trials): Promise<Coded> {
  let best: Coded = { head: { name, codec: 'raw', size: raw.length, codedSize: raw.length }, bytes: raw }
  for (const codec of trials) {
    const bytes = await compressors[codec](raw)
    // The size of a coded stream takes up to four bytes in the head.
    if (bytes.length + 4 < best.bytes.length) best = { head: { name, codec, size: raw.length, codedSize: bytes.length }, bytes }
  }
  return best
}

function isHopeless(bytes: Uint8Array): boolean {
  return bytes.length >= probedSize && zstdCompressSync(bytes, zstdOptions(1, bytes.length)).length > bytes.length * hopeless
}

const compressors: Readonly<Record<Exclude<Codec, 'raw'>, (bytes: Uint8Array) => Promise<Uint8Array>>> = {
  zstd: (bytes) => promised((done) => zstdCompress(bytes, zstdOptions(zstdLevel, bytes.length), done)),
  brotli: (bytes) => promised((done) => brotliCompress(bytes, brotliOptions(bytes.length), done)),
}

/** The size first: else each stream of some bytes gets the tables of eight megabytes, which take 0.2 s to clear. */
function zstdOptions(level: number, size: number): { pledgedSrcSize: number; params: Record<number, number> } {
  return { pledgedSrcSize: size, params: { [constants.ZSTD_c_compressionLevel]: level, [constants.ZSTD_c_checksumFlag]: 0 } }
}

function brotliOptions(size: number): { params: Record<number, number> } {
  const bits = Math.min(brotliWindowBits.most, Math.max(brotliWindowBits.least, 32 - Math.clz32(size - 1)))
  return {
    params: {
      [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY,
      [constants.BROTLI_PARAM_LGWIN]: bits,
      [constants.BROTLI_PARAM_SIZE_HINT]: size,
    },
  }
}

function promised(start: (done: (error: Error | null, bytes: Uint8Array) => void) => void): Promise<Uint8Array> {
  return new Promise((resolve, reject) => start((error, bytes) => (error === null ? resolve(bytes) : reject(error))))
}
