import { modelMemory } from './models.ts'
import type { Image } from './image.ts'

/** One reference, and one target, in so many bytes of the old image is the most that a reader makes room for. */
const bytesPerReference = 8

/** What a reader needs for an image: both sides, marks, copies, bits for each address, references and what is known of targets. */
export function imageMemory(oldSize: number, newSize: number, span: number): number {
  return Math.ceil(4.25 * oldSize) + 2 * newSize + Math.ceil(span / 3) + modelMemory
}

/** Targets are fewer than references. */
export function hasRoomForReferences({ references, bytes }: Image): boolean {
  return references.count * bytesPerReference <= Math.max(4096, bytes.length)
}
