import { release } from '../../../base/bytes.ts'

/**
 * Memory that one image after the other uses: thousands of large arrays would be garbage faster than it is collected. Whoever
 * asks again for one of the same name ends the life of the one before, what it held is left in it, and often half of it is never touched.
 */
export type Scratch = {
  bytes(name: string, size: number): Uint8Array
  words(name: string, count: number): Uint32Array
  /** Holds the last object of a class: when there are none left, what was compiled for them goes as well. */
  keep<T extends object>(made: T): T
  /** Gives all of it back. */
  release(): void
}

export function newScratch(): Scratch {
  const held = new Map<string, ArrayBuffer>()
  const kept = new Map<unknown, object>()
  const room = (name: string, size: number): ArrayBuffer => {
    const found = held.get(name)
    if (found !== undefined && found.byteLength >= size) return found
    // Each larger one is touched page by page once more, so there are not to be many.
    const made = new ArrayBuffer(Math.max(size, 2 * (found?.byteLength ?? 0)))
    if (found !== undefined) release(new Uint8Array(found))
    held.set(name, made)
    return made
  }
  return {
    bytes: (name, size) => new Uint8Array(room(name, size), 0, size),
    words: (name, count) => new Uint32Array(room(name, 4 * count), 0, count),
    keep: (made) => {
      kept.set(made.constructor, made)
      return made
    },
    release: () => {
      for (const buffer of held.values()) release(new Uint8Array(buffer))
      held.clear()
      kept.clear()
    },
  }
}
