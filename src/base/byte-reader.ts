import { concatBytes, emptyBytes } from './bytes.ts'
import { BinderyError } from './error.ts'
import type { ByteStream } from './bytes.ts'

/** Takes a stream apart in pieces of the reader's choice. The bytes handed out are views of its chunks. */
export type ByteReader = {
  /** The next bytes, at most `limit` of them and at least one; empty at the end. Never copies. */
  some(limit: number): Promise<Uint8Array>
  /** `count` bytes, fewer only at the end. */
  upTo(count: number): Promise<Uint8Array>
  /** `count` bytes; `bad-format` where the stream ends before. */
  exactly(count: number): Promise<Uint8Array>
  /** Up to `count` bytes, as they come; fewer only at the end. */
  stream(count: number): ByteStream
  /** The next `count` bytes without taking them, fewer only at the end. */
  peek(count: number): Promise<Uint8Array>
  /** How many bytes were taken. */
  position(): number
  /** Leaves the stream where it is. */
  close(): Promise<void>
}

/** `what` names the stream in errors. */
export function byteReader(source: ByteStream, what: string): ByteReader {
  const chunks = source[Symbol.asyncIterator]()
  let held: Uint8Array = emptyBytes
  let taken = 0

  const some = async (limit: number): Promise<Uint8Array> => {
    while (held.length === 0) {
      const next = await chunks.next()
      if (next.done === true) return emptyBytes
      held = next.value
    }
    const bytes = held.subarray(0, limit)
    held = held.subarray(bytes.length)
    taken += bytes.length
    return bytes
  }
  const upTo = async (count: number): Promise<Uint8Array> => {
    const parts: Uint8Array[] = []
    let missing = count
    while (missing > 0) {
      const bytes = await some(missing)
      if (bytes.length === 0) break
      parts.push(bytes)
      missing -= bytes.length
    }
    return concatBytes(parts)
  }
  return {
    some,
    upTo,
    exactly: async (count) => {
      const bytes = await upTo(count)
      if (bytes.length < count) throw new BinderyError('bad-format', `${what} ends too early, at byte ${taken}`)
      return bytes
    },
    stream: async function* (count) {
      for (let missing = count; missing > 0;) {
        const bytes = await some(missing)
        if (bytes.length === 0) return
        missing -= bytes.length
        yield bytes
      }
    },
    peek: async (count) => {
      while (held.length < count) {
        const next = await chunks.next()
        if (next.done === true) break
        held = held.length === 0 ? next.value : concatBytes([held, next.value])
      }
      return held.subarray(0, count)
    },
    position: () => taken,
    close: async () => void (await chunks.return?.()),
  }
}
