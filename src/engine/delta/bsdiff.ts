import { concatBytes } from '../../base/bytes.ts'
import { BinderyError } from '../../base/error.ts'
import { decodeBsdiff, encodeBsdiff } from '../../format/bsdiff.ts'
import { matcher } from './match.ts'
import type { ByteStream } from '../../base/bytes.ts'
import type { BsdiffStep } from '../../format/bsdiff.ts'
import type { ByteSource } from '../../port/source.ts'

const pieceSize = 1 << 20

/** A BSDIFF40 patch from `old` to `next`, which any bspatch applies. It names neither of them: send their digests along. */
export function makeBsdiff(old: Uint8Array, next: Uint8Array): Uint8Array {
  const copies = matcher().match(old, next, 0)
  const steps: BsdiffStep[] = []
  const extra: Uint8Array[] = []
  const difference: Uint8Array[] = []
  let [doneNew, doneOld, copy] = [0, 0, 0]
  for (let i = 0; i <= copies.length; i += 3) {
    const isLast = i === copies.length
    const [start, from, length] = isLast ? [next.length, doneOld, 0] : (copies.slice(i, i + 3) as [number, number, number])
    extra.push(next.subarray(doneNew, start))
    steps.push({ copy, extra: start - doneNew, seek: from - doneOld })
    difference.push(differences(old.subarray(from, from + length), next.subarray(start, start + length)))
    ;[doneNew, doneOld, copy] = [start + length, from + length, length]
  }
  const useful = steps.filter((step) => step.copy + step.extra > 0 || step.seek !== 0)
  return encodeBsdiff({ newSize: next.length, steps: useful, difference: concatBytes(difference), extra: concatBytes(extra) })
}

function differences(old: Uint8Array, next: Uint8Array): Uint8Array {
  return next.map((byte, i) => byte - (old[i] as number))
}

/** Applies BSDIFF40 and BSDIFF43. Nothing in them tells a wrong old file: the result is what it is. */
export function applyBsdiff(patch: Uint8Array, old: Uint8Array, limit = Infinity): Uint8Array {
  const { newSize } = decodeBsdiff(patch)
  if (newSize > limit) throw new BinderyError('over-limit', `the patch makes ${newSize} bytes, and ${limit} are granted`)
  const made: Uint8Array[] = []
  for (const part of bsdiffParts(patch)) {
    if (part.kind === 'extra') made.push(part.bytes)
    else
      made.push(sum(part.difference, old.subarray(Math.max(0, part.start), Math.max(0, part.start + part.difference.length)), part.start))
  }
  return concatBytes(made)
}

/** The same as a stream: of old only pieces are read, of new only pieces are held. */
export async function* streamBsdiff(patch: Uint8Array, old: ByteSource): ByteStream {
  for (const part of bsdiffParts(patch)) {
    if (part.kind === 'extra') yield part.bytes
    else {
      const [start, end] = [part.start, part.start + part.difference.length].map((at) => Math.min(Math.max(0, at), old.size)) as [
        number,
        number,
      ]
      yield sum(part.difference, end > start ? await old.read(start, end) : new Uint8Array(0), part.start)
    }
  }
}

type BsdiffPart =
  | { readonly kind: 'extra'; readonly bytes: Uint8Array }
  | { readonly kind: 'copy'; readonly start: number; readonly difference: Uint8Array }

/** In pieces of at most a megabyte. */
function* bsdiffParts(patch: Uint8Array): Generator<BsdiffPart> {
  const reader = decodeBsdiff(patch)
  let at = 0
  for (let step = reader.step(); step !== undefined; step = reader.step()) {
    for (let done = 0; done < step.copy; done += pieceSize) {
      yield { kind: 'copy', start: at + done, difference: reader.difference(Math.min(pieceSize, step.copy - done)) }
    }
    for (let done = 0; done < step.extra; done += pieceSize)
      yield { kind: 'extra', bytes: reader.extra(Math.min(pieceSize, step.extra - done)) }
    at += step.copy + step.seek
    if (!Number.isSafeInteger(at)) throw new BinderyError('bad-format', 'the bsdiff patch leaves every old file')
  }
}

/** Where there is no old byte, before its start and behind its end, the difference is the new byte. */
function sum(difference: Uint8Array, old: Uint8Array, start: number): Uint8Array {
  const skipped = Math.min(difference.length, Math.max(0, -start))
  const made = difference.slice()
  for (let i = 0; i < old.length; i++) made[skipped + i] = (made[skipped + i] as number) + (old[i] as number)
  return made
}
