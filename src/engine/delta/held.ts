/** Old bytes at hand, a ring or a piece: byte `p` of the old side is at p - start, modulo the size. */
export type Held = { readonly start: number; readonly bytes: Uint8Array }

export function byteHeld({ start, bytes }: Held, at: number): number {
  return bytes[(at - start) % bytes.length] as number
}

/** Four bytes, the lowest first, as a signed number. */
export function wordHeld(held: Held, at: number): number {
  return byteHeld(held, at) | (byteHeld(held, at + 1) << 8) | (byteHeld(held, at + 2) << 16) | (byteHeld(held, at + 3) << 24)
}

/** The bytes from `at` on, without a copy: in two pieces where they lie around the end of a ring. */
export function heldPieces({ start, bytes }: Held, at: number, count: number): readonly Uint8Array[] {
  const slot = count === 0 ? 0 : (at - start) % bytes.length
  if (slot + count <= bytes.length) return [bytes.subarray(slot, slot + count)]
  return [bytes.subarray(slot), bytes.subarray(0, slot + count - bytes.length)]
}
