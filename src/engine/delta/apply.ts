import { byteReader } from '../../base/byte-reader.ts'
import { concatBytes, oneChunk, release } from '../../base/bytes.ts'
import { BinderyError } from '../../base/error.ts'
import { deltaInfo, memoryNeed } from '../../format/delta.ts'
import { readBytes } from '../../format/varint.ts'
import { blockHash, checkedBefore } from './block-hash.ts'
import { newChains } from './gzip/predict.ts'
import { closeNew, openOld } from './gzip/section.ts'
import { heldPieces } from './held.ts'
import { imageDecoder } from './image/decode.ts'
import { newBlocks, overhang, putWhole } from './new-blocks.ts'
import { oldWindow } from './old-window.ts'
import { plainDecoder } from './plain-decode.ts'
import { readBatch } from './read-batch.ts'
import { readFront } from './read-front.ts'
import { decodeSections } from './sections.ts'
import type { ByteReader } from '../../base/byte-reader.ts'
import type { ByteStream } from '../../base/bytes.ts'
import type { DeltaHeader, DeltaInfo, DeltaSide } from '../../format/delta.ts'
import type { Verified } from '../../base/verified.ts'
import type { BlockHash } from './block-hash.ts'
import type { DeltaFront } from './read-front.ts'
import type { NewBlocks } from './new-blocks.ts'
import type { OldWindow } from './old-window.ts'
import type { Chains } from './gzip/predict.ts'
import type { ImageDecoder } from './image/decode.ts'
import type { OldBytes, OldPosition, PlainDecoder } from './plain-decode.ts'
import type { GzipSection, ImageSection, Section } from './sections.ts'
import type { Cursor } from '../../format/varint.ts'
import type { Batch } from './read-batch.ts'

/** What a reader grants where nobody says otherwise: twice what our own writer asks for. */
export const usualMemory: number = 256 << 20

export type ApplyOptions = {
  /** Bytes; `usualMemory` where nothing is said. */
  readonly memory?: number
  /** The caller is done with a chunk when it asks for the next: its memory is used again. */
  readonly reuse?: boolean
  /** What somebody found who has read the whole old side before: where it is what the delta leads from, its blocks are not checked again. */
  readonly checked?: Verified<DeltaSide> | undefined
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
 * was seen to be right. An old side that was `checked` and has changed since makes nothing wrong either, but then any of these
 * errors may tell.
 */
export async function* applyDelta(delta: ByteStream, old: ByteStream, options: ApplyOptions = {}): ByteStream {
  const reader = byteReader(delta, 'the delta')
  try {
    const front = await readFront(reader)
    refuseOverMemory(front.header, options.memory ?? usualMemory)
    const window = oldWindow(old, front.header, checkOf(front, options.checked))
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

function checkOf({ header, digests }: DeltaFront, checked: Verified<DeltaSide> | undefined): BlockHash {
  const isChecked = checked?.value.sha256 === header.old.sha256 && checked.value.size === header.old.size
  return isChecked ? checkedBefore : blockHash(header.old, digests.old, header.digestSize)
}

/** What goes on from one batch to the next. */
type State = {
  readonly position: OldPosition
  readonly old: OldWindow
  readonly out: NewBlocks
  readonly images: ImageDecoder
  readonly window: number
  /** What the header grants to sections that are not plain. */
  readonly memory: number
  /** Made for the first gzip file. */
  chains: Chains | undefined
}

async function* applyBatches(reader: ByteReader, header: DeltaHeader, old: OldWindow, out: NewBlocks): ByteStream {
  const { window, codingMemory: memory } = header
  const state: State = { position: { at: 0 }, old, out, images: imageDecoder(memory), window, memory, chains: undefined }
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
  const { images } = state
  const plain = plainDecoder(streams)
  images.begin(streams.images.bytes, streams.imageChanges.bytes)
  for (const section of decodeSections(streams.sections, newSize)) {
    if (section.kind === 'plain') yield* applyPlain(plain, section.size, state)
    else if (section.kind === 'image') yield* applyImage(section, streams.literals, state)
    else yield* applyGzip(section, plain, streams.recipes, state)
  }
  plain.finish()
  images.finish()
  if (streams.recipes.at < streams.recipes.bytes.length) throw new BinderyError('bad-format', 'a batch of the delta has recipes left over')
}

async function* applyPlain(plain: PlainDecoder, size: number, { position, old, out }: State): ByteStream {
  plain.begin(size, position, old, out)
  for (;;) {
    const pause = plain.run()
    if (pause.kind === 'done') return
    if (pause.kind === 'old') await old.verifyTo(pause.end)
    else yield out.take()
  }
}

async function* applyImage(section: ImageSection, literals: Cursor, state: State): ByteStream {
  const { plainLiterals: count, size } = section
  const plainLiterals = count === undefined ? undefined : readBytes(literals, count)
  yield* putWhole(state.images.decode(await oldBytesOf(section, state), size, plainLiterals), state.out)
}

async function* applyGzip(section: GzipSection, plain: PlainDecoder, recipes: Cursor, state: State): ByteStream {
  const { size, contentSize } = section
  const recipe = readBytes(recipes, section.recipeSize)
  const oldContent = openOld(concatBytes(await oldBytesOf(section, state)), section, state.memory)
  const content = { bytes: new Uint8Array(contentSize + overhang), filled: 0, size: contentSize }
  plain.begin(contentSize, { at: 0 }, wholeOf(oldContent), content)
  if (plain.run().kind !== 'done') throw new BinderyError('bad-format', 'a gzip file in the delta copies from behind its old content')
  release(oldContent)
  const made = closeNew(content.bytes.subarray(0, contentSize), recipe, size, (state.chains ??= newChains()))
  release(content.bytes)
  yield* putWhole(made, state.out)
}

/** All of the old bytes that a section is made from, verified: in two pieces where they lie around the end of the window. */
async function oldBytesOf(
  { seek, oldSize }: Exclude<Section, { kind: 'plain' }>,
  { position, old, window }: State,
): Promise<readonly Uint8Array[]> {
  const start = position.at + seek
  if (oldSize > window) throw new BinderyError('bad-format', 'a section of the delta is made from more than its window')
  if (start < 0) throw new BinderyError('bad-format', 'a section of the delta is made from before the old side')
  const held = old.begin(start, start + oldSize)
  await old.verifyTo(start + oldSize)
  position.at = start + oldSize
  return heldPieces(held, start, oldSize)
}

function wholeOf(bytes: Uint8Array): OldBytes {
  return {
    verified: bytes.length,
    begin: (_start, end) => {
      if (end > bytes.length) throw new BinderyError('bad-format', 'a section of the delta copies past the end of its old content')
      return { start: 0, bytes }
    },
  }
}
