import type { DeltaEncoder } from './delta-encode.ts'
import type { Copies } from './image/copies.ts'

/** Old bytes to copy from: their first one is the old side's `start`. */
export type Base = { readonly bytes: Uint8Array; readonly start: number }

/** Codes `piece` by plain matching. `copies`: what a `Matcher` found of it in the base. */
export function codePiece(
  encoder: Pick<DeltaEncoder, 'literal' | 'copy'>,
  copies: readonly number[] | Copies,
  piece: Uint8Array,
  { bytes, start: baseStart }: Base,
): void {
  let done = 0
  for (let i = 0; i < copies.length; i += 3) {
    const [start, from, length] = [copies[i] as number, copies[i + 1] as number, copies[i + 2] as number]
    encoder.literal(piece.subarray(done, start))
    encoder.copy(baseStart + from, bytes.subarray(from, from + length), piece.subarray(start, start + length))
    done = start + length
  }
  encoder.literal(piece.subarray(done))
}
