import { emptyBytes } from '../../base/bytes.ts'
import type { ByteStream } from '../../base/bytes.ts'

/** Memory that is used again: garbage of this size would double what a run takes before it is collected. */
export type BlockPool = {
  take(): Uint8Array
  give(block: Uint8Array): void
  /** The free part of the block that `blocksOf` is filling. */
  filling: Uint8Array
  /** `filling`: what is put there and comes next is not copied. */
  readonly room: Room
}

/** Gives memory for the next piece of a stream, at least a byte; the piece is good until the one after it is asked for. */
export type Room = () => Uint8Array

export function blockPool(size: number): BlockPool {
  const free: ArrayBufferLike[] = []
  const pool: BlockPool = {
    filling: emptyBytes,
    take: () => new Uint8Array(free.pop() ?? new ArrayBuffer(size)),
    give: (block) => void free.push(block.buffer),
    room: () => pool.filling,
  }
  return pool
}

/** The same bytes in blocks of the pool's size, the last one shorter. Whoever is done with a block may give it back. */
export async function* blocksOf(stream: ByteStream, pool: BlockPool): ByteStream {
  let block = pool.take()
  pool.filling = block
  for await (const bytes of stream) {
    for (let done = 0; done < bytes.length;) {
      const part = bytes.subarray(done, done + pool.filling.length)
      if (!startsAt(part, pool.filling)) pool.filling.set(part)
      done += part.length
      pool.filling = pool.filling.subarray(part.length)
      if (pool.filling.length > 0) continue
      yield block
      block = pool.take()
      pool.filling = block
    }
  }
  const filled = block.length - pool.filling.length
  if (filled > 0) yield block.subarray(0, filled)
}

function startsAt(bytes: Uint8Array, place: Uint8Array): boolean {
  return bytes.buffer === place.buffer && bytes.byteOffset === place.byteOffset
}

/** Runs `work` on up to `atOnce` items at a time and yields the results in the order of the items. */
export async function* inOrder<T, R>(items: AsyncIterable<T>, atOnce: number, work: (item: T) => Promise<R>): AsyncGenerator<R> {
  const running: Promise<R>[] = []
  for await (const item of items) {
    running.push(started(work(item)))
    if (running.length === atOnce) yield await (running.shift() as Promise<R>)
  }
  for (const result of running) yield await result
}

/** A failure is met when its turn comes, or never if another came first; it must not count as unhandled meanwhile. */
export function started<R>(work: Promise<R>): Promise<R> {
  work.catch(() => {})
  return work
}
