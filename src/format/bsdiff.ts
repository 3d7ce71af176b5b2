import { concatBytes, emptyBytes, latin1, utf8 } from '../base/bytes.ts'
import { BinderyError } from '../base/error.ts'
import { bunzip2Pieces } from './bzip2-decode.ts'
import { bzip2 } from './bzip2-encode.ts'

/** C. Percival's BSDIFF40, written and read, and M. Endsley's BSDIFF43, read (doc/spec/bsdiff.md). */

export type BsdiffFormat = 'BSDIFF40' | 'BSDIFF43'

/** Add `copy` bytes of old to as many of the difference, take `extra` new ones, then move on in old by `seek`. */
export type BsdiffStep = { readonly copy: number; readonly extra: number; readonly seek: number }

export type BsdiffReader = {
  readonly format: BsdiffFormat
  readonly newSize: number
  /** The next step; undefined when the new file is complete. What it announces must be taken before the next. */
  step(): BsdiffStep | undefined
  difference(count: number): Uint8Array
  extra(count: number): Uint8Array
}

const magic40 = 'BSDIFF40'
const magic43 = 'ENDSLEY/BSDIFF43'
/** Relatives that other tools make: told by name, since they look alike. */
const foreign = ['BSDF2', 'BSDIFN40', 'BSDIFF41', 'BSDIFF42']
const header40 = 32
const header43 = 24
const stepSize = 24

/** Enough to tell the format by. */
export const bsdiffMagicSize: number = magic43.length

export function bsdiffFormat(start: Uint8Array): BsdiffFormat | undefined {
  const text = latin1(start.subarray(0, bsdiffMagicSize))
  const other = foreign.find((name) => text.startsWith(name))
  if (other !== undefined) throw new BinderyError('not-supported', `is a patch in the format ${other}, which bindery does not read`)
  return text.startsWith(magic40) ? 'BSDIFF40' : text === magic43 ? 'BSDIFF43' : undefined
}

const mostIdle = 1_000_000

/** Nothing is decompressed before it is asked for. */
export function decodeBsdiff(patch: Uint8Array): BsdiffReader {
  const format = bsdiffFormat(patch)
  if (format === undefined) throw bad('is none')
  const { newSize, ...streams } = format === 'BSDIFF40' ? split40(patch) : split43(patch)
  let left = newSize
  // An empty step moves in old only. Endless ones compress to nothing: more than there are new bytes, as the patch says, are refused.
  let idle = Math.min(newSize, mostIdle) + 16
  return {
    format,
    newSize,
    step: () => {
      if (left === 0) {
        for (const stream of new Set(Object.values(streams))) stream.end()
        return undefined
      }
      const numbers = streams.control.take(stepSize)
      const step = { copy: readInteger(numbers, 0), extra: readInteger(numbers, 8), seek: readInteger(numbers, 16) }
      if (step.copy < 0 || step.extra < 0) throw bad('has a step of negative length')
      if (step.copy > left || step.extra > left - step.copy) throw bad('makes more than it says')
      if (step.copy + step.extra === 0 && --idle < 0) throw bad('does not come to an end')
      left -= step.copy + step.extra
      return step
    },
    difference: (count) => streams.difference.take(count),
    extra: (count) => streams.extra.take(count),
  }
}

type Split = { readonly newSize: number; readonly control: Supply; readonly difference: Supply; readonly extra: Supply }

function split40(patch: Uint8Array): Split {
  if (patch.length < header40) throw bad('ends in its header')
  const [controlSize, differenceSize, newSize] = [readInteger(patch, 8), readInteger(patch, 16), readInteger(patch, 24)]
  // CVE-2014-9862: lengths that are negative, or that reach behind the file.
  if (controlSize < 0 || differenceSize < 0 || newSize < 0) throw bad('has a negative length in its header')
  if (controlSize > patch.length - header40 || differenceSize > patch.length - header40 - controlSize)
    throw bad('is shorter than its header says')
  const middle = header40 + controlSize
  const end = middle + differenceSize
  const control = supplyOf(patch.subarray(header40, middle))
  return { newSize, control, difference: supplyOf(patch.subarray(middle, end)), extra: supplyOf(patch.subarray(end)) }
}

function split43(patch: Uint8Array): Split {
  if (patch.length < header43) throw bad('ends in its header')
  const newSize = readInteger(patch, 16)
  if (newSize < 0) throw bad('has a negative length in its header')
  const only = supplyOf(patch.subarray(header43))
  return { newSize, control: only, difference: only, extra: only }
}

/** Decompressed bytes, taken in pieces of any size. */
type Supply = { take(count: number): Uint8Array; end(): void }

function supplyOf(compressed: Uint8Array): Supply {
  const pieces = bunzip2Pieces(compressed)
  let held: Uint8Array = emptyBytes
  const more = (): void => {
    const next = pieces.next()
    if (next.done === true) throw bad('has less data than its steps need')
    held = next.value
  }
  return {
    take: (count) => {
      const parts: Uint8Array[] = []
      for (let missing = count; missing > 0;) {
        if (held.length === 0) more()
        const part = held.subarray(0, missing)
        held = held.subarray(part.length)
        missing -= part.length
        parts.push(part)
      }
      return concatBytes(parts)
    },
    // Reading on to the end also checks the sum of the last block.
    end: () => {
      if (held.length > 0 || pieces.next().done !== true) throw bad('has more data than its steps need')
    },
  }
}

export type BsdiffParts = {
  readonly newSize: number
  readonly steps: readonly BsdiffStep[]
  readonly difference: Uint8Array
  readonly extra: Uint8Array
}

/** BSDIFF40 with bzip2 at level 9. */
export function encodeBsdiff({ newSize, steps, difference, extra }: BsdiffParts): Uint8Array {
  const control = new Uint8Array(steps.length * stepSize)
  for (const [i, { copy, extra: count, seek }] of steps.entries()) {
    for (const [k, number] of [copy, count, seek].entries()) writeInteger(control, i * stepSize + 8 * k, number)
  }
  const [first, second, third] = [bzip2(control), bzip2(difference), bzip2(extra)] as const
  const header = new Uint8Array(header40)
  header.set(utf8(magic40))
  for (const [k, number] of [first.length, second.length, newSize].entries()) writeInteger(header, 8 + 8 * k, number)
  return concatBytes([header, first, second, third])
}

/** Eight bytes, the lowest first: 63 bits of magnitude and, on top, the sign. There is a negative zero; it is zero. */
function readInteger(bytes: Uint8Array, at: number): number {
  let magnitude = (bytes[at + 7] as number) & 0x7f
  for (let i = 6; i >= 0; i--) magnitude = magnitude * 256 + (bytes[at + i] as number)
  if (magnitude > Number.MAX_SAFE_INTEGER) throw bad('has a number that is too large')
  return ((bytes[at + 7] as number) & 0x80) === 0 || magnitude === 0 ? magnitude : -magnitude
}

function writeInteger(bytes: Uint8Array, at: number, value: number): void {
  let rest = Math.abs(value)
  for (let i = 0; i < 8; i++) {
    bytes[at + i] = rest % 256
    rest = Math.floor(rest / 256)
  }
  if (value < 0) bytes[at + 7] = (bytes[at + 7] as number) | 0x80
}

function bad(what: string): BinderyError {
  return new BinderyError('bad-format', `the bsdiff patch ${what}`)
}
