import { fromUtf8, utf8 } from '../base/bytes.ts'
import { parseSha256 } from '../base/digest.ts'
import { BinderyError } from '../base/error.ts'
import type { Sha256 } from '../base/digest.ts'

/** One zstd frame of a compressed dist: where it lies in the file, and which bytes of the tar it holds. */
export type Frame = {
  /** In the compressed file. */
  readonly offset: number
  readonly size: number
  /** Of the compressed frame. */
  readonly sha256: Sha256
  /** In the uncompressed tar. */
  readonly start: number
  readonly length: number
}

/**
 * The frame index (doc/spec/frames.md): text, so that a script can use it with dd and sha256.
 *
 *     bindery frames 1
 *     OFFSET SIZE LENGTH SHA256
 */
const firstLine = 'bindery frames 1'

/** A terabyte of tar in frames of 4 MiB. */
export const maxFrames: number = 1 << 18

export function encodeFrames(frames: readonly Frame[]): Uint8Array {
  const lines = frames.map((frame) => `${frame.offset} ${frame.size} ${frame.length} ${frame.sha256}\n`)
  return utf8(`${firstLine}\n${lines.join('')}`)
}

/** `bad-format` unless every line is in its canonical form and the frames follow each other without overlap. */
export function decodeFrames(bytes: Uint8Array): readonly Frame[] {
  const lines = textOf(bytes).split('\n')
  if (lines[0] !== firstLine || lines.at(-1) !== '') throw bad(1, 'is no frame index')
  if (lines.length - 2 > maxFrames) throw new BinderyError('over-limit', `frame index: more than ${maxFrames} frames`)
  const frames: Frame[] = []
  let offset = 0
  let start = 0
  for (let i = 1; i < lines.length - 1; i++) {
    const frame = frameOf(lines[i] as string, start)
    if (frame === undefined) throw bad(i + 1, 'is no frame')
    if (frame.offset < offset) throw bad(i + 1, 'overlaps the frame before it')
    frames.push(frame)
    offset = frame.offset + frame.size
    start += frame.length
    if (!Number.isSafeInteger(offset) || !Number.isSafeInteger(start)) throw bad(i + 1, 'is too large')
  }
  return frames
}

function textOf(bytes: Uint8Array): string {
  try {
    return fromUtf8(bytes)
  } catch (cause) {
    throw new BinderyError('bad-format', 'frame index: is no text', { cause })
  }
}

function frameOf(line: string, start: number): Frame | undefined {
  const match = /^(0|[1-9][0-9]{0,15}) ([1-9][0-9]{0,15}) (0|[1-9][0-9]{0,15}) ([0-9a-f]{64})$/.exec(line)
  if (match === null) return undefined
  const [offset, size, length] = match.slice(1, 4).map(Number) as [number, number, number]
  return { offset, size, sha256: parseSha256(match[4] as string) as Sha256, start, length }
}

function bad(line: number, message: string): BinderyError {
  return new BinderyError('bad-format', `frame index: line ${line} ${message}`)
}
