import { modelMemory } from './models.ts'

/** What a reader needs for an image: a copy of the old one, marks or the new one, copies, bits for each address, references and what is known of targets. */
export function imageMemory(oldSize: number, newSize: number, span: number): number {
  return Math.ceil(3.25 * oldSize) + Math.max(oldSize, newSize) + newSize + Math.ceil(span / 3) + modelMemory
}
