import { BinderyError } from '../../base/error.ts'
import type { ByteStream } from '../../base/bytes.ts'

/** A codec of node:zlib, as far as it is used here. */
export type Codec = AsyncIterable<Uint8Array> & {
  write(bytes: Uint8Array): boolean
  end(): unknown
  destroy(error?: Error): unknown
  once(event: 'drain' | 'close' | 'end', listener: () => void): unknown
  off(event: 'drain' | 'close' | 'end', listener: () => void): unknown
  readonly readableEnded: boolean
  readonly destroyed: boolean
}

/** Runs `input` through a codec: bounded by the codec's own buffers. Its errors are `bad-format`; those of `input` stay. */
export async function* pump(codec: Codec, input: ByteStream): ByteStream {
  const feeding = feed(codec, input)
  feeding.catch(() => codec.destroy(new Error('the input failed')))
  try {
    for await (const bytes of codec) yield bytes
  } catch (cause) {
    await feeding // where it was the input that failed, its own error is what the caller hears
    throw new BinderyError('bad-format', 'the compressed data are damaged', { cause })
  } finally {
    codec.destroy()
    await feeding.catch(() => undefined)
  }
}

async function feed(codec: Codec, input: ByteStream): Promise<void> {
  for await (const bytes of input) {
    if (codec.destroyed || codec.readableEnded) return
    if (!codec.write(bytes)) await drained(codec)
  }
  codec.end()
}

/** Also when the codec has come to an end of its own, and will never ask for more. */
function drained(codec: Codec): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      for (const event of ['drain', 'close', 'end'] as const) codec.off(event, done)
      resolve()
    }
    for (const event of ['drain', 'close', 'end'] as const) codec.once(event, done)
  })
}
