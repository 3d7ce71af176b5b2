import { BinderyError } from '../base/error.ts'
import { byteWriter, readVarint } from './varint.ts'
import type { Cursor } from './varint.ts'

/** The head of a batch (doc/spec/delta.md): how much of the new side it makes, and what its streams are. */

/** Streams by their number in the format; each kind of data by itself, since each has its own statistics. */
export const streamNames = [
  'sections',
  'copies',
  'literalRuns',
  'seeks',
  'gaps',
  'residuals',
  'literals',
  'images',
  'imageChanges',
  'recipes',
] as const

export type StreamName = (typeof streamNames)[number]

/** Compressions by their number in the format. */
export const codecs = ['raw', 'zstd', 'brotli'] as const

export type Codec = (typeof codecs)[number]

export type StreamHead = {
  readonly name: StreamName
  readonly codec: Codec
  /** Before compression; at least 1. */
  readonly size: number
  /** As it stands in the delta. */
  readonly codedSize: number
}

export type BatchHead = {
  /** Bytes of the new side that the batch makes; at least 1. */
  readonly newSize: number
  /** In the order of `streamNames`; a stream without bytes is not there. */
  readonly streams: readonly StreamHead[]
}

/** Ten streams of four numbers, with room for codings to come. */
export const maxBatchHeadSize = 1024

/** Most bytes of each stream per byte of the new side: whoever says more would make the reader work for nothing. */
export const mostPerNewByte: Readonly<Record<StreamName, number>> = {
  sections: 16,
  copies: 8,
  literalRuns: 8,
  seeks: 8,
  gaps: 8,
  residuals: 5,
  literals: 1,
  images: 8,
  imageChanges: 8,
  recipes: 1,
}

/** With its length in front, so that it can be read in two steps. */
export function encodeBatchHead(head: BatchHead): Uint8Array {
  const body = byteWriter()
  body.varint(head.newSize)
  body.varint(head.streams.reduce((mask, { name }) => mask | (1 << streamNames.indexOf(name)), 0))
  for (const { codec, size, codedSize } of head.streams) {
    body.varint(codecs.indexOf(codec))
    body.varint(size)
    if (codec !== 'raw') body.varint(codedSize)
  }
  const whole = byteWriter()
  whole.varint(body.size)
  whole.bytes(body.take())
  return whole.take()
}

/** Behind the last batch: a head of length 0. */
export const endOfBatches: Uint8Array = Uint8Array.of(0)

/** `limit`: the header's batch limit. Every size is checked here, before anything is read or allocated by it. */
export function decodeBatchHead(bytes: Uint8Array, limit: number): BatchHead {
  const cursor: Cursor = { bytes, at: 0 }
  const newSize = readVarint(cursor)
  if (newSize === 0) throw bad('makes nothing')
  const mask = readVarint(cursor)
  if (mask >= 1 << streamNames.length)
    throw new BinderyError('bad-format', 'the delta has streams unknown here', { hint: 'it may need a newer bindery' })
  const streams = streamNames.filter((_, i) => (mask & (1 << i)) !== 0).map((name) => readStreamHead(cursor, name, newSize))
  if (cursor.at !== bytes.length) throw bad('has a head longer than its fields')
  if (streams.reduce((sum, { size }) => sum + size, 0) > limit) throw bad('holds more than its delta allows')
  return { newSize, streams }
}

function readStreamHead(cursor: Cursor, name: StreamName, newSize: number): StreamHead {
  const codec = codecs[readVarint(cursor)]
  if (codec === undefined)
    throw new BinderyError('bad-format', 'the delta has a codec unknown here', { hint: 'it may need a newer bindery' })
  const size = readVarint(cursor)
  const codedSize = codec === 'raw' ? size : readVarint(cursor)
  if (size === 0 || size > newSize * mostPerNewByte[name]) throw bad('has a stream of an impossible size')
  // A writer takes the raw bytes where a codec makes them longer.
  if (codedSize > size || codedSize === 0) throw bad('has a stream that compression made longer')
  return { name, codec, size, codedSize }
}

function bad(message: string): BinderyError {
  return new BinderyError('bad-format', `a batch of the delta ${message}`)
}
