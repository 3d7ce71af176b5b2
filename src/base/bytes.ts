/** Small helpers over Uint8Array; Buffer never shows in a signature. */

export type ByteStream = AsyncIterable<Uint8Array>

export const emptyBytes: Uint8Array = new Uint8Array(0)

export function concatBytes(parts: readonly Uint8Array[]): Uint8Array {
  if (parts.length === 1) return parts[0] as Uint8Array
  let size = 0
  for (const part of parts) size += part.length
  const whole = new Uint8Array(size)
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}

/** Smaller memory may be the runtime's pool, and is not worth it. */
export const leastReleased: number = 128 << 10

/**
 * Gives the memory behind `bytes` back at once; nobody may look at it, or at another view of it, any more. For large memory that
 * comes and goes faster than the garbage collector looks: what it has not seen yet is a peak, and fresh pages cost time.
 */
export function release(bytes: Uint8Array): void {
  const { buffer } = bytes
  if (buffer instanceof ArrayBuffer && buffer.byteLength >= leastReleased) buffer.transfer(0)
}

const leastChunk = 32 << 10

/** For a reader that is done with a chunk when it asks for the next, of a stream that gives its chunks away. */
export async function* released(stream: ByteStream): ByteStream {
  for await (const bytes of stream) {
    yield bytes
    const { buffer } = bytes
    // What fills its memory is no piece of a pool, whatever its size.
    if (buffer instanceof ArrayBuffer && bytes.length === buffer.byteLength && bytes.length >= leastChunk) buffer.transfer(0)
  }
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && Buffer.compare(a, b) === 0
}

export function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

/** Strict: throws a TypeError on bytes that are not UTF-8. */
export function fromUtf8(bytes: Uint8Array): string {
  return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
}

/** One char per byte, U+0000 to U+00FF: the in-memory form of names whose encoding nobody promised. */
export function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
}

export function fromLatin1(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'latin1'))
}

export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')
}

/** Undefined unless `text` is an even number of hex digits. */
export function fromHex(text: string): Uint8Array | undefined {
  if (text.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(text)) return undefined
  return new Uint8Array(Buffer.from(text, 'hex'))
}

export function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64')
}

/** Standard padded base64 only; undefined for anything else. */
export function fromBase64(text: string): Uint8Array | undefined {
  if (text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) return undefined
  return new Uint8Array(Buffer.from(text, 'base64'))
}

export async function* oneChunk(bytes: Uint8Array): ByteStream {
  if (bytes.length > 0) yield bytes
}

/** Collects a stream that must not exceed `limit` bytes; undefined when it does. */
export async function collectBytes(stream: ByteStream, limit: number): Promise<Uint8Array | undefined> {
  const parts: Uint8Array[] = []
  let size = 0
  for await (const part of stream) {
    size += part.length
    if (size > limit) return undefined
    parts.push(part)
  }
  return concatBytes(parts)
}

/** Leaves a stream that nobody will read to its end, so that what is behind it is closed. */
export async function closeStream(stream: ByteStream): Promise<void> {
  await stream[Symbol.asyncIterator]().return?.(undefined)
}
