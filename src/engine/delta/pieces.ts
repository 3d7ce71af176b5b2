import type { Range } from '../../format/delta.ts'
import type { Anchor } from './anchors.ts'

/** A part of new that is searched at once, and the old byte that its first one comes from, as far as anchors tell. */
export type Piece = { readonly start: number; readonly end: number; readonly expected: number | undefined }

/** Cuts [start, end) of new where the anchors, ascending, leave their line; sizes follow from the decoder's window. */
export function piecesOf({ start, end }: Range, anchors: readonly Anchor[], window: number): readonly Piece[] {
  // Each piece costs an index of the old bytes around it: neither small ones, nor more than half of what is in reach.
  const [leastPiece, mostPiece] = [Math.ceil(window / 8), Math.ceil(window / 2)]
  const jump = window / 16
  const pieces: Piece[] = []
  let at = start
  let shift: number | undefined
  const cut = (to: number): void => {
    pieces.push({ start: at, end: to, expected: shift === undefined ? undefined : at + shift })
    at = to
    shift = undefined
  }
  for (const anchor of anchors) {
    while (anchor.next - at > mostPiece) cut(at + mostPiece)
    const found = anchor.old - anchor.next
    if (shift !== undefined && Math.abs(found - shift) > jump && anchor.next - at >= leastPiece) cut(anchor.next)
    shift ??= found
  }
  while (end - at > mostPiece) cut(at + mostPiece)
  if (at < end) cut(end)
  return pieces
}
