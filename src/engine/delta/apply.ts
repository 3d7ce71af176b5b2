import { byteReader } from '../../base/byte-reader.ts'
import { concatBytes, oneChunk, release } from '../../base/bytes.ts'
import { BinderyError } from '../../base/error.ts'
import { deltaInfo, memoryNeed } from '../../format/delta.ts'
import { readBytes } from '../../format/varint.ts'
import { openOld } from './gzip/section.ts'
import { heldPieces } from './held.ts'
import { newBlocks, overhang } from './new-blocks.ts'
import { oldWindow } from './old-window.ts'
import { plainDecoder } from './plain-decode.ts'
import { readBatch } from './read-batch.ts'
import { readFront } from './read-front.ts'
import { largestProgram } from './reader-time.ts'
import { makerHere, makerOnThread } from './section-maker.ts'
import { decodeSections } from './sections.ts'
import type { ByteStream } from '../../base/bytes.ts'
import type { DeltaHeader, DeltaInfo } from '../../format/delta.ts'
import type { NewBlocks } from './new-blocks.ts'
import type { OldWindow } from './old-window.ts'
import type { OldBytes, OldPosition, PlainDecoder } from './plain-decode.ts'
import type { SectionMaker } from './section-maker.ts'
import type { GzipSection, ImageSection, Section } from './sections.ts'
import type { Threads } from '../../port/thread.ts'
import type { Cursor } from '../../format/varint.ts'
import type { Batch } from './read-batch.ts'

/** What a reader grants where nobody says otherwise: twice what our own writer asks for. */
export const usualMemory: number = 256 << 20

export type ApplyOptions = {
  /** Bytes; `usualMemory` where nothing is said. */
  readonly memory?: number
  /** The caller is done with a chunk when it asks for the next: its memory is used again. */
  readonly reuse?: boolean
  /** Where executables and gzip files of a large delta may be made. */
  readonly threads?: Threads | undefined
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
    const way = wayFor(front.header, options)
    const window = oldWindow(old, front, way.ahead > 0)
    try {
      const out = newBlocks(front, way.ahead > 0)
      yield* applyBatches(reader, front.header, {
        ...way,
        position: { at: 0 },
        old: window,
        out,
        window: front.header.window,
        reuse: options.reuse ?? false,
      })
    } finally {
      await way.maker.end()
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

/** Where sections are made that are not plain, and how many blocks may wait for them. */
type Way = { readonly maker: SectionMaker; readonly here: SectionMaker; readonly ahead: number; readonly memory: number }

/** What a thread takes besides what it works on. */
const threadMemory = 24 << 20
const mostAhead = 4 << 20

/** A thread costs time and memory: one is for systems, and for who has granted enough. */
function wayFor(header: DeltaHeader, { threads, memory = usualMemory }: ApplyOptions): Way {
  const { codingMemory, blockSize } = header
  const ahead = Math.floor(mostAhead / blockSize)
  const isLong = codingMemory > 0 && header.new.size > largestProgram && ahead > 0
  const mayThread = isLong && memoryNeed(header) + ahead * blockSize + threadMemory <= memory
  const onThread = mayThread && threads !== undefined ? makerOnThread(threads, codingMemory) : undefined
  const here = makerHere(codingMemory)
  return { maker: onThread ?? here, here, ahead: onThread === undefined ? 0 : ahead, memory: codingMemory }
}

/** What goes on from one batch to the next. */
type State = Way & {
  readonly position: OldPosition
  readonly old: OldWindow
  readonly out: NewBlocks
  readonly window: number
  readonly reuse: boolean
}

async function* applyBatches(reader: ReturnType<typeof byteReader>, header: DeltaHeader, state: State): ByteStream {
  const { old, out } = state
  let left = header.new.size
  for (;;) {
    const batch = await readBatch(reader, header.batchLimit)
    if (batch === undefined) break
    if (batch.newSize > left) throw new BinderyError('bad-format', 'the delta makes more than it says')
    left -= batch.newSize
    yield* applyBatch(batch, state)
  }
  if (left > 0) throw new BinderyError('bad-format', 'the delta makes less than it says')
  yield* handOut(state, 0)
  await state.maker.settled()
  await old.finish()
  out.next()
  yield* handOut(state, 0)
}

/** All blocks that wait for nothing more, and more of them until only so many wait. */
async function* handOut({ out, reuse }: State, mayWait: number): ByteStream {
  for (;;) {
    const block = out.take()
    if (block === undefined) return
    if (block instanceof Promise) {
      if (out.waiting <= mayWait) return
      await block
      continue
    }
    if (block.length > 0) yield block
    if (reuse) out.free(block)
  }
}

async function* applyBatch({ newSize, streams }: Batch, state: State): ByteStream {
  const { maker } = state
  const plain = plainDecoder(streams)
  void maker.run({ kind: 'batch', images: streams.images.bytes, imageChanges: streams.imageChanges.bytes })
  for (const section of decodeSections(streams.sections, newSize)) {
    if (section.kind === 'plain') yield* applyPlain(plain, section.size, state)
    else if (section.kind === 'image') yield* applyImage(section, streams.literals, state)
    else yield* applyGzip(section, plain, streams.recipes, state)
  }
  plain.finish()
  void maker.run({ kind: 'batchEnd' })
  if (streams.recipes.at < streams.recipes.bytes.length) throw new BinderyError('bad-format', 'a batch of the delta has recipes left over')
}

async function* applyPlain(plain: PlainDecoder, size: number, state: State): ByteStream {
  const { position, old, out, ahead } = state
  plain.begin(size, position, old, out)
  for (;;) {
    const pause = plain.run()
    if (pause.kind === 'done') return
    if (pause.kind === 'old') await old.verifyTo(pause.end)
    else {
      out.next()
      yield* handOut(state, ahead)
    }
  }
}

async function* applyImage(section: ImageSection, literals: Cursor, state: State): ByteStream {
  const { plainLiterals: count, size } = section
  const plainLiterals = count === undefined ? undefined : readBytes(literals, count)
  const { start, pieces } = await oldBytesOf(section, state)
  const done = state.maker.run({ kind: 'image', old: pieces, size, plainLiterals })
  if (done !== undefined) state.old.pin(start, done)
  yield* putMade(size, state.maker, state)
}

async function* applyGzip(section: GzipSection, plain: PlainDecoder, recipes: Cursor, state: State): ByteStream {
  const { size, contentSize } = section
  const recipe = readBytes(recipes, section.recipeSize)
  const { pieces } = await oldBytesOf(section, state)
  const oldContent = openOld(concatBytes(pieces), section, state.memory)
  const content = { bytes: new Uint8Array(contentSize + overhang), filled: 0, size: contentSize }
  plain.begin(contentSize, { at: 0 }, wholeOf(oldContent), content)
  if (plain.run().kind !== 'done') throw new BinderyError('bad-format', 'a gzip file in the delta copies from behind its old content')
  release(oldContent)
  // They have nothing to do with each other, and come in clusters: whoever has time makes the next one.
  const maker = (await state.maker.isBusy()) ? state.here : state.maker
  void maker.run({ kind: 'gzip', content: content.bytes.subarray(0, contentSize), recipe, size })
  yield* putMade(size, maker, state)
}

type OldPieces = { readonly start: number; readonly pieces: readonly Uint8Array[] }

/** All of the old bytes that a section is made from, verified. */
async function oldBytesOf({ seek, oldSize }: Exclude<Section, { kind: 'plain' }>, { position, old, window }: State): Promise<OldPieces> {
  const start = position.at + seek
  if (oldSize > window) throw new BinderyError('bad-format', 'a section of the delta is made from more than its window')
  if (start < 0) throw new BinderyError('bad-format', 'a section of the delta is made from before the old side')
  const held = old.begin(start, start + oldSize)
  await old.verifyTo(start + oldSize)
  position.at = start + oldSize
  return { start, pieces: heldPieces(held, start, oldSize) }
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

async function* putMade(size: number, maker: SectionMaker, state: State): ByteStream {
  const { out, ahead } = state
  for (let left = size; left > 0;) {
    if (out.filled >= out.size) {
      out.next()
      yield* handOut(state, ahead)
    }
    const count = Math.min(left, out.size - out.filled)
    out.leave(count, (target) => maker.run({ kind: 'take', target }))
    left -= count
  }
}
