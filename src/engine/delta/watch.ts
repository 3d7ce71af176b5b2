import type { BatchHead, StreamName } from '../../format/delta-batch.ts'
import type { TarMember } from '../../format/tar-members.ts'
import type { FileKind } from './file-kind.ts'
import type { ReferenceTally } from './image/references.ts'
import type { Pairs } from './pair.ts'
import type { Segment } from './plan.ts'

/** Told what a maker does, while it does it; nothing of the delta depends on it. */
export type DeltaWatch = {
  /** Before the first segment. `frontSize`: bytes of the delta that were written by then. */
  planned(plan: WatchedPlan): void
  /** A segment is coded, and so many bytes of each stream are written since the delta began. */
  coded(segment: Segment, coded: Coded, written: StreamSizes): void
  /** A batch is compressed: its head, and its size with it. */
  compressed(head: BatchHead, size: number): void
}

export type WatchedPlan = {
  readonly old: readonly TarMember[]
  readonly next: readonly TarMember[]
  readonly pairs: Pairs
  readonly frontSize: number
}

/** How the bytes of a segment are told. */
export type Coding = 'equal' | 'plain' | 'image' | 'image, plain literals' | 'gzip' | 'new'

export type Coded = {
  readonly coding: Coding
  readonly kind: FileKind
  /** Of an image. */
  readonly references?: ReferenceTally
}

/** Of each stream, before compression; that of sections is made only when a batch is complete. */
export type StreamSizes = Readonly<Partial<Record<StreamName, number>>>
