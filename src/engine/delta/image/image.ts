import type { ElfLayout } from '../../../format/elf.ts'
import type { Scratch } from './scratch.ts'
import type { Targets } from './targets.ts'

/** An executable whose references are known. */
export type Image = Marked & { readonly references: ReferenceList; readonly numbered: Targets }

/** One whose references are marked, and not listed yet. */
export type Marked = Found & { readonly bytes: Uint8Array; readonly layout: ElfLayout }

/** In the order of the file, without overlap. */
export type ReferenceList = {
  readonly count: number
  /** Place in the file and kind, as `placeOf` and `kindOf` take them apart. */
  readonly packed: Uint32Array
  /** Of their targets, as `numbered` has them. */
  readonly numbers: Uint32Array
}

const kindBits = 5

/** Places have 27 bits: no image that is read as a whole is larger. */
export const mostImageSize: number = 2 ** (32 - kindBits)

/** So many references are the most that a reader makes room for. */
export function mostReferences(size: number): number {
  return Math.max(512, size >> 3)
}

export function packReference(at: number, kind: number): number {
  return ((at << kindBits) | kind) >>> 0
}

export function placeOf(packed: number): number {
  return packed >>> kindBits
}

export function kindOf(packed: number): number {
  return packed & ((1 << kindBits) - 1)
}

/** As much of an image as its references are relative to. */
export type ImageLayout = Pick<Image, 'base' | 'span' | 'bases'> & { readonly layout: Pick<ElfLayout, 'segments'> }

/** What the finders write. */
export type Found = {
  readonly base: number
  readonly span: number
  readonly isFixed: boolean
  /** For each byte of the file the kind of the reference that begins there, or none. */
  readonly marks: Uint8Array
  /** A bit for every fourth address: whether code refers to it by a displacement. Jump tables begin there. */
  readonly dataTargets: Uint32Array
  /** A bit for every address: whether a reference or a base means it. */
  readonly targets: Uint32Array
  /** Where jump tables begin and end in the file, in turn, ascending. */
  readonly jumpTables: number[]
  /** Addresses within the image that `based` references count from, or 0; see `bases`. */
  readonly bases: Float64Array
  /** For whoever works on this image. */
  readonly scratch: Scratch
}

export type CodeRange = { readonly offset: number; readonly end: number; readonly address: number }

/** Where in the file the byte of an address is, or -1. */
export function offsetOf(segments: ElfLayout['segments'], address: number): number {
  for (const segment of segments) {
    if (address >= segment.address && address < segment.address + segment.fileSize) return segment.offset + address - segment.address
  }
  return -1
}

export function setBit(bits: Uint32Array, at: number): void {
  bits[at >>> 5] = (bits[at >>> 5] as number) | (1 << (at & 31))
}

/** Of none past the end. */
export function hasBit(bits: Uint32Array, at: number): boolean {
  return ((bits[at >>> 5] ?? 0) & (1 << (at & 31))) !== 0
}
