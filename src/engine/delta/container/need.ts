import { packMemory, unpackMemory } from './methods.ts'
import type { ContainerPlan, Packed } from '../../../format/container-delta.ts'

/** What opening and closing take of a reader's memory, besides the delta between the contents. */
export function planNeed({ old, new: next }: ContainerPlan, planSize: number, blockSize: number): number {
  return planSizes * planSize + 2 * blockSize + largest(old, unpackNeed) + largest(next, packNeed)
}

/** As coded, and what is kept of each piece beside its recipe. */
const planSizes = 16

function largest(pieces: readonly Packed[], need: (piece: Packed) => number): number {
  return pieces.reduce((most, piece) => Math.max(most, need(piece)), 0)
}

function unpackNeed({ method, size, contentSize, inner }: Packed): number {
  return Math.max(unpackMemory(method, size, contentSize), size + contentSize + largest(inner, unpackNeed))
}

/** A content is put together of what is inside, piece by piece, and closed when it is complete. */
function packNeed({ method, size, contentSize, recipe, inner }: Packed): number {
  return Math.max(packMemory(method, contentSize, size, recipe), contentSize + largest(inner, packNeed))
}
