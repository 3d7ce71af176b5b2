import { emptyBytes } from '../../base/bytes.ts'
import { BinderyError } from '../../base/error.ts'
import { readVarint, unzigzag } from '../../format/varint.ts'
import { byteHeld, wordHeld } from './held.ts'
import type { StreamName } from '../../format/delta-batch.ts'
import type { Cursor } from '../../format/varint.ts'
import type { Held } from './held.ts'
import type { NewBlocks } from './new-blocks.ts'
import type { OldWindow } from './old-window.ts'

/**
 * Plain matching (doc/spec/delta.md, coding 0): copies of old bytes, some of them changed by a residual, and literals
 * between them. Runs without waiting until it needs something: old bytes, or room for new ones. A block that is full when
 * a section is done stays in hand.
 */
export type PlainDecoder = {
  /** A section of so many new bytes comes next, made from `old`, where copies go on from `position`, into `out`. */
  begin(size: number, position: OldPosition, old: OldBytes, out: NewBytes): void
  run(): Pause
  /** `bad-format` unless all that the batch has for plain sections was used up. */
  finish(): void
}

export type Pause = { readonly kind: 'old'; readonly end: number } | { readonly kind: 'block' } | { readonly kind: 'done' }

export type BatchStreams = Readonly<Record<StreamName, Cursor>>

/** Old bytes to copy from, and room for new ones: of the sides of the delta, or of contents that lie in them. */
export type OldBytes = Pick<OldWindow, 'verified' | 'begin'>
export type NewBytes = Pick<NewBlocks, 'bytes' | 'filled' | 'size'>

/** Where the last copy ended: the next batch goes on from there. */
export type OldPosition = { at: number }

const nothing: OldBytes = { verified: 0, begin: () => ({ start: 0, bytes: emptyBytes }) }
const nowhere: OldPosition = { at: 0 }
const nowhereTo: NewBytes = { bytes: emptyBytes, filled: 0, size: 0 }

/** Makes the plain sections of one batch, which share its streams. */
export function plainDecoder(streams: BatchStreams): PlainDecoder {
  const { copies, literalRuns, seeks, gaps, residuals, literals } = streams
  let [position, old, out] = [nowhere, nothing, nowhereTo]
  let left = 0
  let copyLeft = 0
  let literalLeft = 0
  let gap = nextGap(gaps)
  let held: Held = { start: 0, bytes: emptyBytes }

  /**
   * As far as there is room and old bytes lie in one piece: all of it is copied, and changed where residuals are, since these
   * come every few bytes and a copy of a few bytes costs as much as one of hundreds. One that reaches past it is left over.
   */
  const copyStretch = (): void => {
    const from = (position.at - held.start) % held.bytes.length
    const size = Math.min(copyLeft, out.size - out.filled, old.verified - position.at, held.bytes.length - from)
    copyBytes(held.bytes, from, size, out)
    const { bytes, filled } = out
    let done = 0
    let plain = gap
    for (; done + plain + 4 <= size; plain = nextGap(gaps)) {
      done += plain
      changeWord(bytes, filled + done, nextResidual(residuals))
      done += 4
    }
    const rest = Math.min(plain, size - done)
    done += rest
    gap = plain - rest
    out.filled += done
    position.at += done
    copyLeft -= done
  }
  /** Four bytes together with their carries, since most of what differs are addresses; single ones at a copy's end. */
  const copyChanged = (): void => {
    const change = nextResidual(residuals)
    const width = copyLeft >= 4 ? 4 : 1
    const word = (width === 4 ? wordHeld(held, position.at) : byteHeld(held, position.at)) + change
    for (let i = 0; i < width; i++) out.bytes[out.filled++] = word >> (8 * i)
    position.at += width
    copyLeft -= width
    gap = nextGap(gaps)
  }
  const literal = (): void => {
    const count = Math.min(literalLeft, out.size - out.filled)
    takeLiterals(literals, count, out)
    literalLeft -= count
  }
  const nextRun = (): void => {
    copyLeft = readVarint(copies)
    literalLeft = readVarint(literalRuns)
    const start = position.at + unzigzag(readVarint(seeks))
    const length = copyLeft + literalLeft
    if (length === 0 || length > left) throw bad('a run is empty or longer than its batch')
    if (start < 0) throw bad('a copy starts before the old side')
    left -= length
    position.at = start
    if (copyLeft > 0) held = old.begin(start, start + copyLeft)
  }
  return {
    begin: (size, from, oldBytes, newBytes) => {
      ;[left, position, old, out] = [size, from, oldBytes, newBytes]
    },
    finish: () => finish(streams, gap),
    run: () => {
      for (;;) {
        if (left + copyLeft + literalLeft === 0) return { kind: 'done' }
        if (out.filled >= out.size) return { kind: 'block' }
        if (copyLeft > 0) {
          const needed = gap > 0 ? 1 : Math.min(copyLeft, 4)
          if (position.at + needed > old.verified) return { kind: 'old', end: position.at + needed }
          if (gap > 0) copyStretch()
          else copyChanged()
        } else if (literalLeft > 0) literal()
        else nextRun()
      }
    },
  }
}

/** A batch with no gap left has no residual left. */
function nextGap(gaps: Cursor): number {
  return gaps.at === gaps.bytes.length ? Infinity : readVarint(gaps)
}

function nextResidual(residuals: Cursor): number {
  const change = unzigzag(readVarint(residuals))
  if (change > 0x7fff_ffff || change < -0x8000_0000) throw bad('a residual is too large')
  return change
}

function changeWord(bytes: Uint8Array, at: number, change: number): void {
  const word = wordAt(bytes, at) + change
  bytes[at] = word
  bytes[at + 1] = word >> 8
  bytes[at + 2] = word >> 16
  bytes[at + 3] = word >> 24
}

function wordAt(bytes: Uint8Array, at: number): number {
  return (bytes[at] as number) | ((bytes[at + 1] as number) << 8) | ((bytes[at + 2] as number) << 16) | ((bytes[at + 3] as number) << 24)
}

/** Below this many bytes a loop is faster than a call. */
const fewBytes = 48

function copyBytes(bytes: Uint8Array, at: number, count: number, { bytes: target, filled }: NewBytes): void {
  if (count > fewBytes) target.set(bytes.subarray(at, at + count), filled)
  else for (let i = 0; i < count; i++) target[filled + i] = bytes[at + i] as number
}

function takeLiterals(literals: Cursor, count: number, out: NewBytes): void {
  const { bytes, at } = literals
  if (count > bytes.length - at) throw bad('literals are missing')
  copyBytes(bytes, at, count, out)
  literals.at += count
  out.filled += count
}

function finish({ copies, literalRuns, seeks, gaps, residuals, literals }: BatchStreams, gap: number): void {
  const isUsed = [copies, literalRuns, seeks, gaps, residuals, literals].every(({ bytes, at }) => at === bytes.length)
  if (gap !== Infinity || !isUsed) throw bad('something is left over')
}

function bad(message: string): BinderyError {
  return new BinderyError('bad-format', `a batch of the delta does not add up: ${message}`)
}
