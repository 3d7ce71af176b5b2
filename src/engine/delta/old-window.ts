import { byteReader } from '../../base/byte-reader.ts'
import { BinderyError } from '../../base/error.ts'
import { retainedBytes } from './retained.ts'
import type { ByteStream } from '../../base/bytes.ts'
import type { BlockHash } from './block-hash.ts'
import type { Held } from './held.ts'
import type { DeltaHeader } from '../../format/delta.ts'

/**
 * The old side as a decoder sees it: read once, forward, block by block, each block verified before any byte of it can
 * be had. At hand is the window behind the furthest byte used so far, and what the header retains.
 */
export type OldWindow = {
  /** Old bytes verified so far. */
  readonly verified: number
  /** For a copy of the old bytes [start, end): where to take them from, as far as they are verified. `bad-format` out of reach. */
  begin(start: number, end: number): Held
  /** Reads on until `end` old bytes are verified; `wrong-base` where they are not the right ones. */
  verifyTo(end: number): Promise<void>
  /** Reads and verifies the rest; `wrong-base` where there is more than the header says. */
  finish(): Promise<void>
  close(): Promise<void>
}

export function oldWindow(stream: ByteStream, header: DeltaHeader, hash: BlockHash): OldWindow {
  const { size } = header.old
  const { blockSize, window } = header
  const reader = byteReader(stream, 'the old side')
  const retained = retainedBytes(header.retained)
  const ring = new Uint8Array(Math.min(window + blockSize, size))
  let verified = 0
  /** The end of the furthest copy begun: what the window is behind of. */
  let furthest = 0

  /** Into the ring, and no further: what it loses by that is behind the window. */
  const readTo = async (end: number): Promise<void> => {
    for (let at = verified; at < end;) {
      const slot = at % ring.length
      const bytes = await reader.some(Math.min(end - at, ring.length - slot))
      if (bytes.length === 0) throw wrongBase(`ends after ${at} of ${size} bytes`)
      hash.update(bytes)
      ring.set(bytes, slot)
      at += bytes.length
    }
  }
  const verifyTo = async (end: number): Promise<void> => {
    while (verified < end) {
      const blockEnd = Math.min(size, verified + blockSize)
      await readTo(blockEnd)
      if (!hash.isRight(verified / blockSize)) throw wrongBase('is not the file that the delta was made from')
      retained.keep(ring, verified, blockEnd)
      verified = blockEnd
    }
  }
  return {
    get verified() {
      return verified
    },
    begin: (start, end) => {
      if (end > size) throw new BinderyError('bad-format', 'the delta copies past the end of the old side')
      if (start < furthest - window) return (end <= furthest ? retained.find(start, end) : undefined) ?? outOfReach()
      furthest = Math.max(furthest, end)
      return { start: 0, bytes: ring }
    },
    verifyTo,
    finish: async () => {
      await verifyTo(size)
      if ((await reader.some(1)).length > 0) throw wrongBase(`is longer than ${size} bytes`)
      if (size === 0 && !hash.isRight(0)) throw new BinderyError('bad-format', 'the delta gives nothing a digest of something')
    },
    close: async () => await reader.close(),
  }
}

function outOfReach(): never {
  throw new BinderyError('bad-format', 'the delta copies from behind its window')
}

function wrongBase(message: string): BinderyError {
  return new BinderyError('wrong-base', `the old side ${message}`)
}
