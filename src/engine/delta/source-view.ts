import { emptyBytes, release } from '../../base/bytes.ts'
import type { ByteSource } from '../../port/source.ts'

/** Reads ahead, so that thousands of small members in their order cost few reads. The bytes are views, not to be changed. */
export type SourceView = {
  readonly source: ByteSource
  read(start: number, end: number): Promise<Uint8Array>
  /** Gives memory back that is used again; what was read is gone. */
  release(): void
}

export type SourceViews = { readonly old: SourceView; readonly next: SourceView }

const aheadSize = 1 << 20

/** `reuse`: bytes are good until the next are asked for. What is read of a system would be garbage faster than it is collected. */
export function sourceView(source: ByteSource, reuse: boolean): SourceView {
  const [ahead, large] = [room(reuse), room(reuse)]
  let held: Uint8Array = emptyBytes
  let heldStart = 0
  return {
    source,
    read: async (start, end) => {
      if (start >= heldStart && end <= heldStart + held.length) return held.subarray(start - heldStart, end - heldStart)
      if (end - start >= aheadSize) return await source.read(start, end, large.take(end - start))
      held = await source.read(start, Math.min(source.size, start + aheadSize), ahead.take(aheadSize))
      heldStart = start
      return held.subarray(0, end - start)
    },
    release: () => {
      held = emptyBytes
      for (const one of [ahead, large]) one.release()
    },
  }
}

type Room = { take(size: number): Uint8Array | undefined; release(): void }

function room(reuse: boolean): Room {
  if (!reuse) return { take: () => undefined, release: () => {} }
  let bytes = emptyBytes
  return {
    take: (size) => {
      if (bytes.length >= size) return bytes
      release(bytes)
      bytes = new Uint8Array(size)
      return bytes
    },
    release: () => {
      release(bytes)
      bytes = emptyBytes
    },
  }
}
