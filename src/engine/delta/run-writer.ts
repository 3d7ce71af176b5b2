import { zigzag } from '../../format/varint.ts'
import type { ByteWriter } from '../../format/varint.ts'

/** Writes runs: a seek in old, bytes copied from there, and how many literal bytes follow. */
export type RunWriter = {
  /** The end of the furthest old byte used: what the window is behind of. */
  readonly furthest: number
  /** Where the last copy ended. */
  readonly position: number
  copy(start: number, length: number): void
  literal(length: number): void
  /** The next copied byte begins a run of its own. */
  endCopy(): void
  /** Writes the run in hand, if there is one. */
  close(): void
  /** Old bytes up to `end` were used by something that is no run. */
  jump(end: number): void
}

/** A closed run takes no more copied bytes. */
type Run = { readonly start: number; copied: number; literal: number; closed: boolean }

export function runWriter(window: number, out: Readonly<Record<'copies' | 'literalRuns' | 'seeks', ByteWriter>>): RunWriter {
  let furthest = 0
  /** Where the copy of the last written run ended: what a seek counts from. */
  let written = 0
  let run: Run | undefined
  const close = (): void => {
    if (run === undefined) return
    out.copies.varint(run.copied)
    out.literalRuns.varint(run.literal)
    out.seeks.varint(zigzag(run.start - written))
    written = run.start + run.copied
    run = undefined
  }
  return {
    get furthest() {
      return furthest
    },
    get position() {
      return run === undefined ? written : run.start + run.copied
    },
    copy: (start, length) => {
      // What the window has left is copied from a retained range: a run of its own, since it must lie within one range.
      const isBehind = start < furthest - window
      if (run === undefined || isBehind || run.closed || run.literal > 0 || run.start + run.copied !== start) {
        close()
        run = { start, copied: 0, literal: 0, closed: isBehind }
      }
      run.copied += length
      furthest = Math.max(furthest, start + length)
    },
    literal: (length) => {
      run ??= { start: written, copied: 0, literal: 0, closed: false }
      run.literal += length
    },
    endCopy: () => {
      if (run !== undefined) run.closed = true
    },
    close,
    jump: (end) => {
      close()
      written = end
      furthest = Math.max(furthest, end)
    },
  }
}
