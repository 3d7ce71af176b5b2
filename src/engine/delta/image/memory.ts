import { modelMemory } from './models.ts'
import type { Image } from './image.ts'

/** One target in so many bytes of the old image is the most that a reader makes room for. */
const bytesPerTarget = 8

/** What a reader needs for an image: both sides, marks, copies, bits for each address, and what is known of the targets. */
export function imageMemory(oldSize: number, newSize: number, span: number): number {
  return Math.ceil(3.25 * oldSize) + 2 * newSize + Math.ceil(span / 3) + modelMemory
}

export function hasRoomForTargets({ targets, bytes }: Image): boolean {
  let count = 0
  for (let word of targets) for (; word !== 0; word &= word - 1) count++
  return count * bytesPerTarget <= Math.max(4096, bytes.length)
}
