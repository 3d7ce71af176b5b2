import type { ByteSource } from '../../port/source.ts'

/** Reads ahead, so that thousands of small members in their order cost few reads. The bytes are views, not to be changed. */
export type SourceView = { readonly size: number; read(start: number, end: number): Promise<Uint8Array> }

const aheadSize = 1 << 20

export function sourceView(source: ByteSource): SourceView {
  let held: Uint8Array = new Uint8Array(0)
  let heldStart = 0
  return {
    size: source.size,
    read: async (start, end) => {
      if (start >= heldStart && end <= heldStart + held.length) return held.subarray(start - heldStart, end - heldStart)
      if (end - start >= aheadSize) return await source.read(start, end)
      held = await source.read(start, Math.min(source.size, start + aheadSize))
      heldStart = start
      return held.subarray(0, end - start)
    },
  }
}
