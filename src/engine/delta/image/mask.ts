import { kindOf, placeOf } from './image.ts'
import { kinds } from './reference.ts'
import { fixedBits } from './value.ts'
import type { Image } from './image.ts'

/**
 * A copy of an image whose references say the same where they mean the same: nothing in the first pass, when nobody knows
 * what moved where; in the next the place in the new image that each is thought to mean. `tokenOf`: by the number of a target.
 * Good until the next copy of this image.
 */
export function maskReferences(image: Image, tokenOf: ((number: number) => number) | undefined): Uint8Array {
  // The marks are listed by now, and their memory is free.
  const masked = image.scratch.bytes('marks', image.bytes.length)
  masked.set(image.bytes)
  const view = new DataView(masked.buffer, masked.byteOffset, masked.length)
  const { count, packed, numbers } = image.references
  for (let i = 0; i < count; i++) {
    const at = placeOf(packed[i] as number)
    const kind = kindOf(packed[i] as number)
    const token = tokenOf === undefined ? 0 : tokenOf(numbers[i] as number)
    const fixed = fixedBits(kind)
    // Spread, since the free bits of an instruction are not always the low ones.
    if (fixed !== 0) view.setInt32(at, (view.getInt32(at, true) & fixed) | (scramble(token) & ~fixed), true)
    else {
      view.setInt32(at, token, true)
      if (kind === kinds.pointer) view.setInt32(at + 4, 0, true)
    }
  }
  return masked
}

function scramble(token: number): number {
  const mixed = Math.imul(token, 0x9e37_79b1)
  return token === 0 ? 0 : mixed ^ (mixed >>> 13)
}
