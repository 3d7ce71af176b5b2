import { newMixer } from './mixer.ts'
import { codeNumber, numberModel } from './numbers.ts'
import type { Mixer } from './mixer.ts'
import type { NumberModel } from './numbers.ts'
import type { BinaryCoder } from './range-coder.ts'

/** Bytes of a copy that are no reference and yet differ: how many equal ones before each, and the difference. */
export type ChangeModel = {
  /** All that changes as it codes. */
  readonly learned: { readonly gaps: NumberModel; readonly differences: Mixer['learned']; readonly last: LastChanges }
  gap(coder: BinaryCoder, value: number): number
  /** The difference, modulo 256, from the old byte `from` behind the new byte `before`. */
  difference(coder: BinaryCoder, from: number, before: number, value: number): number
}

/** Classes of the last two gaps, and the last two differences. */
type LastChanges = { gapClass: number; gapClassBefore: number; difference: number; differenceBefore: number }

const hashBits = 18

export function changeModel(): ChangeModel {
  const gaps = numberModel(64)
  const mixer = newMixer([256 * 8, 1 << 16, 1 << 16, 1 << hashBits, 1 << 16, 1 << hashBits], 8 * 8)
  const [byGap, byDifference, byOld, byBoth, byBefore, byDifferences] = mixer.starts as [number, number, number, number, number, number]
  const slots = new Int32Array(mixer.starts.length)
  const last = { gapClass: 0, gapClassBefore: 0, difference: 0, differenceBefore: 0 }
  return {
    learned: { gaps, differences: mixer.learned, last },
    gap: (coder, value) => {
      const gap = codeNumber(coder, gaps, last.gapClass * 8 + last.gapClassBefore, value)
      last.gapClassBefore = last.gapClass
      last.gapClass = gap === 0 ? 0 : gap < 3 ? 1 : gap < 4 ? 2 : gap < 8 ? 3 : gap < 16 ? 4 : gap < 64 ? 5 : gap < 256 ? 6 : 7
      return gap
    },
    difference: (coder, from, before, value) => {
      const { gapClass, difference, differenceBefore } = last
      let node = 1
      const h3 = Math.imul((from | (before << 8)) + 1, 0x2c1b_3c6d)
      const h5 = Math.imul((difference | (differenceBefore << 8) | (gapClass << 16)) + 1, 0x2c1b_3c6d)
      for (let i = 7; i >= 0; i--) {
        slots[0] = byGap + ((gapClass << 8) | node)
        slots[1] = byDifference + ((difference << 8) | node)
        slots[2] = byOld + ((from << 8) | node)
        slots[3] = byBoth + spread(h3, node)
        slots[4] = byBefore + ((before << 8) | node)
        slots[5] = byDifferences + spread(h5, node)
        node = (node << 1) | mixer.code(coder, slots, gapClass * 8 + i, (value >> i) & 1)
      }
      last.differenceBefore = difference
      last.difference = node & 255
      return last.difference
    },
  }
}

function spread(hash: number, node: number): number {
  return Math.imul(hash ^ Math.imul(node, 0x9e37_79b1), 0x85eb_ca6b) >>> (32 - hashBits)
}
