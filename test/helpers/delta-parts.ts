import assert from 'node:assert/strict'
import { brotliDecompressSync, crc32, zstdDecompressSync } from 'node:zlib'
import { concatBytes } from '../../src/base/bytes.ts'
import { sha256 } from '../../src/base/digest.ts'
import { streamNames } from '../../src/format/delta-batch.ts'
import { byteWriter, readByte, readBytes, readVarint } from '../../src/format/varint.ts'
import type { StreamName } from '../../src/format/delta-batch.ts'
import type { Cursor } from '../../src/format/varint.ts'

/** Deltas taken apart and put together again, with anything in their place. */

/** As they stand; `retained` with its count, names with their lengths. */
export const fieldNames = [
  'magic',
  'version',
  'headerLength',
  'flags',
  'oldName',
  'newName',
  'oldSize',
  'oldDigest',
  'newSize',
  'newDigest',
  'blockSize',
  'digestSize',
  'window',
  'batchLimit',
  'codingMemory',
  'retained',
  'oldBlocks',
  'newBlocks',
  'checksum',
] as const

export type FieldName = (typeof fieldNames)[number]
export type Fields = Readonly<Record<FieldName, Uint8Array>>
/** `number`: its bit in the head. `size`: as the head says. */
export type StreamParts = { readonly number: number; readonly codec: number; readonly size: number; readonly coded: Uint8Array }
export type BatchParts = { readonly newSize: number; readonly streams: readonly StreamParts[] }
/** `end`: what stands behind the batches. */
export type DeltaParts = { readonly fields: Fields; readonly batches: readonly BatchParts[]; readonly end: Uint8Array }

export function varint(...values: readonly number[]): Uint8Array {
  const out = byteWriter()
  for (const value of values) out.varint(value)
  return out.take()
}

/** Of a good delta. */
export function openDelta(delta: Uint8Array): DeltaParts {
  const cursor: Cursor = { bytes: delta, at: 0 }
  const fields: Partial<Record<FieldName, Uint8Array>> = {}
  const numbers: Partial<Record<FieldName, number>> = {}
  const take = (name: FieldName, read: () => void): void => {
    const start = cursor.at
    read()
    fields[name] = delta.slice(start, cursor.at)
  }
  const bytes = (name: FieldName, count: number): void => take(name, () => readBytes(cursor, count))
  const number = (name: FieldName): void => take(name, () => (numbers[name] = readVarint(cursor)))
  bytes('magic', 8)
  bytes('version', 1)
  bytes('headerLength', 2)
  number('flags')
  for (const name of ['oldName', 'newName'] as const) take(name, () => readBytes(cursor, readByte(cursor)))
  for (const side of ['old', 'new'] as const) {
    number(`${side}Size`)
    bytes(`${side}Digest`, 32)
  }
  for (const name of ['blockSize', 'digestSize'] as const) take(name, () => (numbers[name] = readByte(cursor)))
  for (const name of ['window', 'batchLimit', 'codingMemory'] as const) number(name)
  take('retained', () => {
    for (let left = 2 * readVarint(cursor); left > 0; left--) readVarint(cursor)
  })
  for (const side of ['old', 'new'] as const) {
    const count = Math.ceil((numbers[`${side}Size`] as number) / 2 ** (numbers.blockSize as number))
    bytes(`${side}Blocks`, (numbers.digestSize as number) * Math.max(0, count - 1))
  }
  bytes('checksum', 4)
  const batches: BatchParts[] = []
  for (let size = readVarint(cursor); size > 0; size = readVarint(cursor)) batches.push(openBatch(cursor))
  assert.equal(cursor.at, delta.length)
  return { fields: fields as Fields, batches, end: Uint8Array.of(0) }
}

function openBatch(cursor: Cursor): BatchParts {
  const newSize = readVarint(cursor)
  const mask = readVarint(cursor)
  const heads = streamNames.flatMap((_, i) => {
    if ((mask & (1 << i)) === 0) return []
    const [codec, size] = [readVarint(cursor), readVarint(cursor)]
    return [{ number: i, codec, size, codedSize: codec === 0 ? size : readVarint(cursor) }]
  })
  const streams = heads.map(({ number, codec, size, codedSize }) => ({ number, codec, size, coded: readBytes(cursor, codedSize).slice() }))
  return { newSize, streams }
}

/** The length of the header and the check sum are set right, unless they are given. */
export function joinDelta({ fields, batches, end }: DeltaParts, given: Partial<Fields> = {}): Uint8Array {
  const all = { ...fields, ...given }
  const of = (from: FieldName, to: FieldName): Uint8Array =>
    concatBytes(fieldNames.slice(fieldNames.indexOf(from), fieldNames.indexOf(to) + 1).map((name) => all[name]))
  const header = of('flags', 'retained')
  const headerLength = given.headerLength ?? Uint8Array.of(header.length, header.length >> 8)
  const front = concatBytes([all.magic, all.version, headerLength, header, all.oldBlocks, all.newBlocks])
  const sum = crc32(front)
  const checksum = given.checksum ?? Uint8Array.of(sum, sum >>> 8, sum >>> 16, sum >>> 24)
  return concatBytes([front, checksum, ...batches.flatMap(batchBytes), end])
}

function batchBytes({ newSize, streams }: BatchParts): readonly Uint8Array[] {
  const mask = streams.reduce((mask, { number }) => mask + 2 ** number, 0)
  const heads = streams.map(({ codec, size, coded }) => (codec === 0 ? varint(codec, size) : varint(codec, size, coded.length)))
  const head = concatBytes([varint(newSize, mask), ...heads])
  return [varint(head.length), head, ...streams.map(({ coded }) => coded)]
}

/** What a stream holds; nothing where it is not there. */
export function streamOf(batch: BatchParts, name: StreamName): Uint8Array {
  const stream = batch.streams.find(({ number }) => streamNames[number] === name)
  if (stream === undefined) return new Uint8Array(0)
  const { codec, coded } = stream
  return codec === 0 ? coded : codec === 1 ? zstdDecompressSync(coded) : brotliDecompressSync(coded)
}

/** The batch with that stream, not compressed. */
export function withStream(batch: BatchParts, name: StreamName, bytes: Uint8Array): BatchParts {
  const number = streamNames.indexOf(name)
  const others = batch.streams.filter((stream) => stream.number !== number)
  const all = bytes.length === 0 ? others : [...others, { number, codec: 0, size: bytes.length, coded: bytes }]
  return { ...batch, streams: all.toSorted((a, b) => a.number - b.number) }
}

export function withStreams(batch: BatchParts, streams: Readonly<Partial<Record<StreamName, Uint8Array>>>): BatchParts {
  let changed = batch
  for (const name of streamNames) if (streams[name] !== undefined) changed = withStream(changed, name, streams[name])
  return changed
}

/** With the digests of `next`, whatever the batches make. */
export function withDigestsOf({ fields, batches, end }: DeltaParts, next: Uint8Array): DeltaParts {
  const blockSize = 2 ** (fields.blockSize[0] as number)
  const digest = (size: number): Uint8Array => new Uint8Array(Buffer.from(sha256(next.subarray(0, size)), 'hex'))
  const blocks = Array.from({ length: Math.max(0, Math.ceil(next.length / blockSize) - 1) }, (_, i) =>
    digest((i + 1) * blockSize).subarray(0, fields.digestSize[0]),
  )
  return {
    fields: { ...fields, newSize: varint(next.length), newDigest: digest(next.length), newBlocks: concatBytes(blocks) },
    batches,
    end,
  }
}
