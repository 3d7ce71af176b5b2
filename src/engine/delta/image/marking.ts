import { numberAt } from '../../../format/elf.ts'
import { baseUnits, kinds } from './reference.ts'
import type { Marked } from './image.ts'

/** Marks of references, each only where its target is within the image. */

export function markHere(image: Marked, view: DataView, at: number, address: number): void {
  const target = address + view.getInt32(at, true)
  if (target >= 0 && target < image.span) image.marks[at] = kinds.here
}

/** Answers whether it is one. */
export function markBased(image: Marked, view: DataView, at: number, base: number): boolean {
  const target = (image.bases[base] as number) + (baseUnits[base] as number) * view.getUint32(at, true)
  if (target < 0 || target >= image.span) return false
  image.marks[at] = kinds.based + base
  return true
}

const leastTarget = 0x1000

/** Nothing lies on the first page of an image but its headers. */
export function markPointer(image: Marked, view: DataView, at: number): void {
  const target = numberAt(view, at) - image.base
  if (target >= leastTarget && target < image.span) image.marks[at] = kinds.pointer
}
