import assert from 'node:assert/strict'
import fc from 'fast-check'
import { byteReader } from '../../src/base/byte-reader.ts'
import { collectBytes, concatBytes, oneChunk } from '../../src/base/bytes.ts'
import { isBinderyError } from '../../src/base/error.ts'
import { applyDelta } from '../../src/engine/delta/apply.ts'
import { makeDelta } from '../../src/engine/delta/make.ts'
import { readBatch } from '../../src/engine/delta/read-batch.ts'
import { readFront } from '../../src/engine/delta/read-front.ts'
import { decodeSections } from '../../src/engine/delta/sections.ts'
import type { ByteStream } from '../../src/base/bytes.ts'
import type { ErrorCode } from '../../src/base/error.ts'
import type { ApplyOptions } from '../../src/engine/delta/apply.ts'
import type { DeltaLimits, Making } from '../../src/engine/delta/make.ts'
import type { Section } from '../../src/engine/delta/sections.ts'
import type { ByteSource } from '../../src/port/source.ts'

export function sourceOf(bytes: Uint8Array): ByteSource {
  return {
    size: bytes.length,
    read: async (start, end, room) => {
      assert.ok(start >= 0 && start <= end && end <= bytes.length, `a read of [${start}, ${end}) in ${bytes.length} bytes`)
      if (room === undefined || room.length < end - start) return bytes.slice(start, end)
      room.fill(0xaa)
      room.set(bytes.subarray(start, end))
      return room.subarray(0, end - start)
    },
  }
}

/** In chunks of `size` bytes, in memory that is overwritten behind the reader. */
export async function* chunked(bytes: Uint8Array, size: number): ByteStream {
  const buffer = new Uint8Array(size)
  for (let at = 0; at < bytes.length; at += size) {
    const part = bytes.subarray(at, at + size)
    buffer.set(part)
    yield buffer.subarray(0, part.length)
    buffer.fill(0xaa)
  }
}

/** So small that a few kilobytes meet every boundary. */
export const smallLimits: DeltaLimits = { window: 4096, batchLimit: 2048, blockSize: 4096 }

export async function deltaOf(old: Uint8Array, next: Uint8Array, limits?: DeltaLimits, making?: Making): Promise<Uint8Array> {
  return await whole(makeDelta({ old: sourceOf(old), new: sourceOf(next), oldName: '', newName: '', limits, ...making }))
}

export async function patched(
  delta: Uint8Array,
  old: Uint8Array,
  options: ApplyOptions & { readonly chunk?: number } = {},
): Promise<Uint8Array> {
  const chunk = options.chunk ?? 64 << 10
  return await whole(applyDelta(oneStream(delta), chunked(old, chunk), options))
}

/** The kinds of its sections, in order. */
export async function sectionsIn(delta: Uint8Array): Promise<readonly Section['kind'][]> {
  const reader = byteReader(oneChunk(delta), 'the delta')
  const { header } = await readFront(reader)
  const kinds: Section['kind'][] = []
  for (;;) {
    const batch = await readBatch(reader, header.batchLimit)
    if (batch === undefined) return kinds
    for (const { kind } of decodeSections(batch.streams.sections, batch.newSize)) kinds.push(kind)
  }
}

async function* oneStream(bytes: Uint8Array): ByteStream {
  if (bytes.length > 0) yield bytes
}

export async function whole(stream: ByteStream): Promise<Uint8Array> {
  return (await collectBytes(copies(stream), Infinity)) as Uint8Array
}

/** Chunks may be overwritten behind us. */
async function* copies(stream: ByteStream): ByteStream {
  for await (const bytes of stream) yield bytes.slice()
}

export async function refusedWith(work: Promise<unknown>, ...codes: readonly ErrorCode[]): Promise<void> {
  await assert.rejects(work, (error) => {
    assert.ok(isBinderyError(error), error instanceof Error ? error.stack : String(error))
    assert.ok(codes.includes(error.code), `${error.code}: ${error.message}`)
    return true
  })
}

/** Of a damaged delta. */
export const refusals: readonly ErrorCode[] = ['bad-format', 'bad-digest', 'wrong-base', 'over-limit']

/** What comes of a damaged delta: a refusal by one of the codes that there are for it, or exactly `next`. Anything else fails. */
export async function refusedOrRight(damaged: Uint8Array, old: Uint8Array, next: Uint8Array): Promise<'refused' | 'right'> {
  try {
    assert.ok(Buffer.compare(await patched(damaged, old), next) === 0, 'something wrong was handed out')
    return 'right'
  } catch (error) {
    if (isBinderyError(error) && refusals.includes(error.code)) return 'refused'
    throw error
  }
}

/** Two files of which the second was made from the first: parts kept, changed, moved, put in, left out. */
export const arbitraryPair: fc.Arbitrary<{ readonly old: Uint8Array; readonly next: Uint8Array }> = fc
  .record({
    old: fc.array(fc.oneof({ arbitrary: fc.uint8Array({ maxLength: 600 }), weight: 3 }, { arbitrary: runs(), weight: 1 }), {
      maxLength: 12,
    }),
    edits: fc.array(
      fc.record({
        kind: fc.constantFrom('keep', 'keep', 'change', 'insert', 'skip', 'move'),
        pick: fc.nat(),
        bytes: fc.uint8Array({ maxLength: 80 }),
      }),
      { maxLength: 16 },
    ),
  })
  .map(({ old, edits }) => ({ old: concatBytes(old), next: edited(old, edits) }))

function runs(): fc.Arbitrary<Uint8Array> {
  return fc.record({ byte: fc.nat({ max: 255 }), size: fc.nat({ max: 3000 }) }).map(({ byte, size }) => new Uint8Array(size).fill(byte))
}

type Edit = { readonly kind: string; readonly pick: number; readonly bytes: Uint8Array }

function edited(parts: readonly Uint8Array[], edits: readonly Edit[]): Uint8Array {
  const made: Uint8Array[] = []
  let at = 0
  for (const { kind, pick, bytes } of edits) {
    const part = parts[kind === 'move' ? pick % Math.max(1, parts.length) : at] ?? new Uint8Array(0)
    if (kind === 'insert') made.push(bytes)
    else if (kind === 'change') made.push(changed(part, pick, bytes))
    else if (kind !== 'skip') made.push(part)
    if (kind === 'keep' || kind === 'change' || kind === 'skip') at++
  }
  return concatBytes(made)
}

function changed(part: Uint8Array, pick: number, bytes: Uint8Array): Uint8Array {
  const copy = part.slice()
  for (const [i, byte] of bytes.entries()) if (copy.length > 0) copy[(pick + i * 37) % copy.length] = byte
  return copy
}
