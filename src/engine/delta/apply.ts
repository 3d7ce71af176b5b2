import { byteReader } from '../../base/byte-reader.ts'
import { oneChunk } from '../../base/bytes.ts'
import { BinderyError } from '../../base/error.ts'
import { deltaInfo, memoryNeed } from '../../format/delta.ts'
import { heldBytes } from './held.ts'
import { imageDecoder } from './image/decode.ts'
import { newBlocks } from './new-blocks.ts'
import { oldWindow } from './old-window.ts'
import { plainDecoder } from './plain-decode.ts'
import { readBatch } from './read-batch.ts'
import { readFront } from './read-front.ts'
import { decodeSections } from './sections.ts'
import type { ByteStream } from '../../base/bytes.ts'
import type { DeltaHeader, DeltaInfo } from '../../format/delta.ts'
import type { NewBlocks } from './new-blocks.ts'
import type { OldWindow } from './old-window.ts'
import type { ImageDecoder } from './image/decode.ts'
import type { OldPosition, PlainDecoder } from './plain-decode.ts'
import type { Section } from './sections.ts'
import type { Batch } from './read-batch.ts'

/** What a reader grants where nobody says otherwise: twice what our own writer asks for. */
export const usualMemory: number = 256 << 20

export type ApplyOptions = {
  /** Bytes; `usualMemory` where nothing is said. */
  readonly memory?: number
  /** The caller is done with a chunk when it asks for the next: its memory is used again. */
  readonly reuse?: boolean
}

/** Reads the front of a delta and leaves the rest. */
export async function readDeltaInfo(delta: ByteStream | Uint8Array): Promise<DeltaInfo> {
  const reader = byteReader(delta instanceof Uint8Array ? oneChunk(delta) : delta, 'the delta')
  try {
    return deltaInfo((await readFront(reader)).header)
  } finally {
    await reader.close()
  }
}

/**
 * Old bytes in, new bytes out, both uncompressed, in one pass and in the memory that the delta's header states; a need
 * over `memory` bytes is refused before anything else (`over-limit`). Old bytes are verified before they are used
 * (`wrong-base`), new ones before they are handed out (`bad-digest`), and the last block of new only when all of old
 * was seen to be right.
 */
export async function* applyDelta(delta: ByteStream, old: ByteStream, options: ApplyOptions = {}): ByteStream {
  const reader = byteReader(delta, 'the delta')
  try {
    const front = await readFront(reader)
    refuseOverMemory(front.header, options.memory ?? usualMemory)
    const window = oldWindow(old, front)
    try {
      yield* applyBatches(reader, front.header, window, newBlocks(front, options.reuse ?? false))
    } finally {
      await window.close()
    }
  } finally {
    await reader.close()
  }
}

function refuseOverMemory(header: DeltaHeader, memory: number): void {
  const need = memoryNeed(header)
  if (need <= memory) return
  const mib = (bytes: number): number => Math.ceil(bytes / 2 ** 20)
  throw new BinderyError('over-limit', `the delta takes ${mib(need)} MiB of memory to apply, and ${mib(memory)} MiB are granted`)
}

/** What goes on from one batch to the next. */
type State = {
  readonly position: OldPosition
  readonly old: OldWindow
  readonly out: NewBlocks
  readonly images: ImageDecoder
  readonly window: number
}

async function* applyBatches(reader: ReturnType<typeof byteReader>, header: DeltaHeader, old: OldWindow, out: NewBlocks): ByteStream {
  const state = { position: { at: 0 }, old, out, images: imageDecoder(header.codingMemory), window: header.window }
  let left = header.new.size
  for (;;) {
    const batch = await readBatch(reader, header.batchLimit)
    if (batch === undefined) break
    if (batch.newSize > left) throw new BinderyError('bad-format', 'the delta makes more than it says')
    left -= batch.newSize
    yield* applyBatch(batch, state)
  }
  if (left > 0) throw new BinderyError('bad-format', 'the delta makes less than it says')
  await old.finish()
  const last = out.take()
  if (last.length > 0) yield last
}

async function* applyBatch({ newSize, streams }: Batch, state: State): ByteStream {
  const { position, old, out, images } = state
  const plain = plainDecoder(streams, position, old, out)
  images.begin(streams.images.bytes, streams.imageChanges.bytes)
  for (const section of decodeSections(streams.sections, newSize)) {
    if (section.kind === 'plain') yield* applyPlain(plain, section.size, state)
    else yield* applyImage(section, state)
  }
  plain.finish()
  images.finish()
}

async function* applyPlain(plain: PlainDecoder, size: number, { old, out }: State): ByteStream {
  plain.begin(size)
  for (;;) {
    const pause = plain.run()
    if (pause.kind === 'done') return
    if (pause.kind === 'old') await old.verifyTo(pause.end)
    else yield out.take()
  }
}

async function* applyImage({ size, seek, oldSize }: Extract<Section, { kind: 'image' }>, state: State): ByteStream {
  const { position, old, out, images, window } = state
  const start = position.at + seek
  if (oldSize > window) throw new BinderyError('bad-format', 'an executable of the delta is larger than its window')
  if (start < 0) throw new BinderyError('bad-format', 'an executable of the delta starts before the old side')
  const held = old.begin(start, start + oldSize)
  await old.verifyTo(start + oldSize)
  const made = images.decode(heldBytes(held, start, oldSize), size)
  position.at = start + oldSize
  for (let done = 0; done < size;) {
    if (out.filled >= out.size) yield out.take()
    const count = Math.min(size - done, out.size - out.filled)
    out.bytes.set(made.subarray(done, done + count), out.filled)
    out.filled += count
    done += count
  }
}
