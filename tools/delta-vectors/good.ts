import { brotliCompressSync, zstdCompressSync } from 'node:zlib'
import { concatBytes, emptyBytes, utf8 } from '../../src/base/bytes.ts'
import { streamNames } from '../../src/format/delta-batch.ts'
import { joinDelta, openDelta, streamOf, varint, withDigestsOf, withStreams } from '../../test/helpers/delta-parts.ts'
import type { StreamName } from '../../src/format/delta-batch.ts'
import type { BatchParts, Fields } from '../../test/helpers/delta-parts.ts'
import type { Sample } from '../../test/helpers/delta-samples.ts'
import type { SampleOf } from './bad.ts'

/** Deltas that are good, and that our writer would not make so. */
export function otherGood(sampleOf: SampleOf): readonly Sample[] {
  return [withNames(sampleOf('fox')), withWholeDigests(sampleOf('page')), withCodec(sampleOf, 1), withCodec(sampleOf, 2)]
}

const named = (name: string): Uint8Array => concatBytes([Uint8Array.of(name.length), utf8(name)])

function withNames(fox: Sample): Sample {
  const parts = openDelta(fox.delta)
  const names = { oldName: named('base-1.0-20260101-amd64'), newName: named('b') }
  return { ...fox, name: 'names', what: 'names of both sides', delta: joinDelta({ ...parts, fields: { ...parts.fields, ...names } }) }
}

function withWholeDigests(page: Sample): Sample {
  const parts = openDelta(page.delta)
  const fields = { ...parts.fields, blockSize: Uint8Array.of(12), digestSize: Uint8Array.of(32) }
  const blocksOf = (side: Uint8Array): Fields['newBlocks'] => withDigestsOf({ ...parts, fields }, side).fields.newBlocks
  const delta = joinDelta({ ...parts, fields: { ...fields, oldBlocks: blocksOf(page.old), newBlocks: blocksOf(page.next) } })
  return { ...page, name: 'digests', what: 'digests of 32 bytes, of blocks of 4096', delta }
}

/** All literals, 1 through zstd, 2 through brotli. */
function withCodec(sampleOf: SampleOf, codec: 1 | 2): Sample {
  const next = concatBytes([sampleOf('page').old, sampleOf('page').old.map((byte) => (byte === 0x61 ? 0x65 : byte))])
  const streams = { copies: varint(0), literalRuns: varint(next.length), seeks: varint(0), literals: next }
  const batch = recoded(withStreams({ newSize: next.length, streams: [] }, streams), codec)
  const name = codec === 1 ? 'zstd' : 'brotli'
  const delta = joinDelta(withDigestsOf({ ...openDelta(sampleOf('all-new').delta), batches: [batch] }, next))
  return { name, what: `literals as a stream of ${name}`, old: emptyBytes, next, delta }
}

function recoded(batch: BatchParts, codec: 1 | 2): BatchParts {
  const streams = batch.streams.map((stream) => {
    const bytes = streamOf(batch, streamNames[stream.number] as StreamName)
    const coded = new Uint8Array(codec === 1 ? zstdCompressSync(bytes) : brotliCompressSync(bytes))
    return coded.length < bytes.length ? { ...stream, codec, coded } : stream
  })
  return { ...batch, streams }
}
