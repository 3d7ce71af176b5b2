import { concatBytes } from '../../../base/bytes.ts'
import type { ByteSource } from '../../../port/source.ts'

/** Parts in memory as one source. */
export function partsSource(parts: readonly Uint8Array[]): ByteSource {
  const starts: number[] = []
  let size = 0
  for (const part of parts) {
    starts.push(size)
    size += part.length
  }
  return {
    size,
    read: async (start, end) => {
      const pieces: Uint8Array[] = []
      for (let i = lastAtMost(starts, start), at = start; at < end; i++) {
        const [part, partStart] = [parts[i] as Uint8Array, starts[i] as number]
        const piece = part.subarray(at - partStart, end - partStart)
        pieces.push(piece)
        at += piece.length
      }
      return concatBytes(pieces)
    },
  }
}

function lastAtMost(starts: readonly number[], at: number): number {
  let [low, high] = [0, starts.length]
  while (high - low > 1) {
    const middle = (low + high) >> 1
    if ((starts[middle] as number) <= at) low = middle
    else high = middle
  }
  return low
}
