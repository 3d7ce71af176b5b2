import { release } from '../../base/bytes.ts'

/**
 * Where each seed of eight bytes stands in the old bytes: buckets by hash, positions ascending within a bucket, laid out
 * by a counting sort. Seeds start at multiples of the stride; a match of 8 + stride - 1 bytes holds at least one.
 */
export type SeedIndex = {
  readonly bits: number
  /** Bucket `h` is `positions[starts[h]]` to `positions[starts[h + 1] - 1]`. */
  readonly starts: Int32Array
  readonly positions: Int32Array
}

export const seedSize = 8

/** More buckets than this miss the cache more often than they save a comparison. */
const mostBits = 20

/** Every position of a small file; of a large one so many that the index stays about as large as the file. `scale`: a power of two. */
export function strideFor(oldSize: number, scale = 1): number {
  return Math.max(1, (oldSize <= 1 << 20 ? 1 : oldSize <= 8 << 20 ? 2 : 4) * scale)
}

/** Multiplicative hash of eight bytes as two words (Knuth, TAOCP 3, 6.4). */
export function seedHash(low: number, high: number, bits: number): number {
  const mixed = Math.imul(low, 0x9e3779b1) ^ Math.imul(high, 0x85ebca77)
  return Math.imul(mixed ^ (mixed >>> 15), 0x2c1b3c6d) >>> (32 - bits)
}

/** Memory that one index after the other is built in. */
export type SeedIndexer = {
  /** Good until the next. `scale`: of the strides. */
  index(old: Uint8Array, scale?: number): SeedIndex
  /** Gives the memory back. */
  release(): void
}

export function seedIndexer(): SeedIndexer {
  let starts = new Int32Array(0)
  let positions = new Int32Array(0)
  return {
    index: (old, scale = 1) => {
      const stride = strideFor(old.length, scale)
      const count = Math.max(0, Math.floor((old.length - seedSize) / stride) + 1)
      const bits = Math.min(mostBits, Math.max(8, 32 - Math.clz32(count)))
      starts = atLeast(starts, (1 << bits) + 2)
      positions = atLeast(positions, count)
      fillIndex(old, stride, count, bits, starts, positions)
      return { bits, starts, positions }
    },
    release: () => {
      for (const { buffer } of [starts, positions]) release(new Uint8Array(buffer))
      starts = new Int32Array(0)
      positions = new Int32Array(0)
    },
  }
}

function atLeast(held: Int32Array<ArrayBuffer>, length: number): Int32Array<ArrayBuffer> {
  if (held.length >= length) return held
  release(new Uint8Array(held.buffer))
  return new Int32Array(length)
}

/** Counts go to `starts[h + 2]`, so that placing a position moves `starts[h + 1]` from the bucket's start to its end. */
function fillIndex(old: Uint8Array, stride: number, count: number, bits: number, starts: Int32Array, positions: Int32Array): void {
  const view = new DataView(old.buffer, old.byteOffset, old.byteLength)
  const buckets = 1 << bits
  starts.fill(0, 0, buckets + 2)
  for (let i = 0, at = 0; i < count; i++, at += stride) {
    const hash = seedHash(view.getInt32(at, true), view.getInt32(at + 4, true), bits)
    starts[hash + 2] = (starts[hash + 2] as number) + 1
  }
  for (let hash = 2; hash <= buckets; hash++) starts[hash] = (starts[hash] as number) + (starts[hash - 1] as number)
  for (let i = 0, at = 0; i < count; i++, at += stride) {
    const hash = seedHash(view.getInt32(at, true), view.getInt32(at + 4, true), bits)
    const slot = starts[hash + 1] as number
    starts[hash + 1] = slot + 1
    positions[slot] = at
  }
}
