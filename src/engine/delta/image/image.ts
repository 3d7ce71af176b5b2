import type { ElfLayout } from '../../../format/elf.ts'
import type { Scratch } from './scratch.ts'

/** An executable whose references are known. */
export type Image = { readonly bytes: Uint8Array; readonly layout: ElfLayout } & Found

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
