import { brotliCompressSync, zstdCompressSync } from 'node:zlib'
import { concatBytes, emptyBytes } from '../../src/base/bytes.ts'
import { joinDelta, openDelta, varint, withStreams } from '../../test/helpers/delta-parts.ts'
import type { BadMaker } from './bad.ts'

const more = (bytes: Uint8Array): Uint8Array => concatBytes([bytes, Uint8Array.of(1)])

/** What is behind the front, up to plain matching. */
export function badBatches(maker: BadMaker): void {
  badEnds(maker)
  badHeads(maker)
  badStreams(maker)
  badRuns(maker)
  badCodecs(maker)
}

function badEnds({ whole, sampleOf }: BadMaker): void {
  const fox = sampleOf('fox')
  const parts = openDelta(fox.delta)
  whole('cut-front', 'fox', 'it ends within its front', fox.delta.subarray(0, 60))
  whole('cut-head', 'fox', 'it ends within the head of a batch', fox.delta.subarray(0, 104))
  whole('cut-stream', 'fox', 'it ends within a stream', fox.delta.subarray(0, 120))
  whole('cut-end', 'fox', 'it has no end', fox.delta.subarray(0, -1))
  whole('goes-on', 'fox', 'it goes on behind its end', concatBytes([fox.delta, Uint8Array.of(0)]))
  whole(
    'endless-head',
    'fox',
    'a head of 1025 bytes',
    joinDelta({ ...parts, batches: [], end: concatBytes([varint(1025), new Uint8Array(1025)]) }),
  )
  whole('old', 'fox', 'a good delta, another old side', fox.delta, fox.next)
}

function badHeads({ whole, batch, stream, sampleOf }: BadMaker): void {
  const parts = openDelta(sampleOf('fox').delta)
  batch('batch-of-none', 'fox', 'a batch that makes nothing', (batch) => ({ ...batch, newSize: 0 }))
  batch('batch-too-large', 'fox', 'a batch that makes more than the new side has', (batch) => ({ ...batch, newSize: 53 }))
  batch('stream-later', 'fox', 'a stream of a later version', ({ newSize, streams }) => ({
    newSize,
    streams: [...streams, { number: 10, codec: 0, size: 1, coded: Uint8Array.of(0) }],
  }))
  whole('batch-left', 'fox', 'a second batch where all is made', joinDelta({ ...parts, batches: [...parts.batches, ...parts.batches] }))
  whole('batch-missing', 'fox', 'no batch where there is something to make', joinDelta({ ...parts, batches: [] }))
  stream('literals-dense', 'fox', 'more literals than new bytes', 'literals', () => new Uint8Array(53))
  batch('codec', 'fox', 'a codec of a later version', ({ newSize, streams }) => ({
    newSize,
    streams: streams.map((one) => ({ ...one, codec: 3 })),
  }))
  batch('zstd-size', 'fox', 'a zstd stream of another size', (batch) => {
    const bytes = zstdCompressSync(new Uint8Array(50))
    return {
      ...batch,
      streams: batch.streams.map((one) => (one.number === 6 ? { ...one, codec: 1, size: 49, coded: bytes } : one)),
    }
  })
}

function badStreams({ stream }: BadMaker): void {
  for (const name of ['copies', 'literalRuns', 'seeks', 'gaps', 'residuals', 'literals'] as const) {
    stream(`${name}-missing`, 'fox', `no ${name}`, name, () => emptyBytes)
    stream(`${name}-left`, 'fox', `${name} that nobody takes`, name, more)
  }
}

function badRuns({ batch, stream }: BadMaker): void {
  batch('run-empty', 'fox', 'a run of nothing', (batch) =>
    withStreams(batch, { copies: varint(0, 43), literalRuns: varint(0, 9), seeks: varint(0, 0) }),
  )
  stream('run-long', 'fox', 'a run that is longer than its section', 'copies', () => varint(44))
  stream('seek-before', 'fox', 'a copy from before the old side', 'seeks', () => varint(1))
  stream('seek-behind', 'fox', 'a copy that ends behind the old side', 'seeks', () => varint(6))
  batch('gap-far', 'fox', 'a gap that is not reached', (batch) => withStreams(batch, { gaps: varint(43), residuals: emptyBytes }))
  stream('residual-large', 'fox', 'a residual of 2^31', 'residuals', () => varint(2 ** 32))
  stream('residual-other', 'fox', 'another residual: the digest finds it', 'residuals', () => varint(2))
}

function badCodecs({ batch }: BadMaker): void {
  for (const [codec, compress] of [
    [1, zstdCompressSync],
    [2, brotliCompressSync],
  ] as const) {
    const coded = new Uint8Array(compress(new Uint8Array(50)))
    batch(`codec-${codec}-behind`, 'fox', 'something behind the frame or stream', ({ newSize, streams }) => ({
      newSize,
      streams: streams.map((one) => (one.number === 6 ? { ...one, codec, size: 50, coded: concatBytes([coded, Uint8Array.of(0)]) } : one)),
    }))
    batch(`codec-${codec}-damaged`, 'fox', 'a stream that is damaged', ({ newSize, streams }) => ({
      newSize,
      streams: streams.map((one) => (one.number === 6 ? { ...one, codec, size: 50, coded: coded.map((byte) => byte ^ 0x55) } : one)),
    }))
  }
}
