import { zigzag } from '../../format/varint.ts'
import type { ByteWriter } from '../../format/varint.ts'

/** `gap`: bytes since the last difference. `ended`: the last ones were coded singly, which only the end of a copy may be. */
export type Differences = { readonly gap: number; readonly ended: boolean }

/**
 * Where bytes of a copy differ, four of them as one little-endian difference, so that a shifted address gives the same
 * number whatever it carries into; less than four at the end one by one.
 */
export function writeDifferences(
  old: Uint8Array,
  next: Uint8Array,
  gapBefore: number,
  gaps: ByteWriter,
  residuals: ByteWriter,
): Differences {
  const size = next.length
  if (Buffer.compare(old, next) === 0) return { gap: gapBefore + size, ended: false }
  const oldView = new DataView(old.buffer, old.byteOffset, size)
  const nextView = new DataView(next.buffer, next.byteOffset, size)
  let gap = gapBefore
  let ended = false
  for (let i = 0; i < size;) {
    if (old[i] === next[i]) {
      i++
      gap++
      continue
    }
    gaps.varint(gap)
    gap = 0
    if (size - i >= 4) {
      const change = (nextView.getInt32(i, true) - oldView.getInt32(i, true)) | 0
      residuals.varint(((change << 1) ^ (change >> 31)) >>> 0)
      i += 4
    } else {
      residuals.varint(zigzag((next[i] as number) - (old[i] as number)))
      ended = true
      i++
    }
  }
  return { gap, ended }
}
