import { withSubject } from '../../base/about.ts'
import { BinderyError, isBinderyError } from '../../base/error.ts'
import { applyDelta } from './apply.ts'
import { makeDelta } from './make.ts'
import type { ByteStream } from '../../base/bytes.ts'
import type { DeltaInfo } from '../../format/delta.ts'
import type { ByteSource } from '../../port/source.ts'
import type { DeltaInput } from './make.ts'

/** One of two deltas that follow on each other. */
export type Link = {
  /** How errors name it. */
  readonly label: string
  readonly info: DeltaInfo
  /** Its bytes, from the first one on. */
  open(): ByteStream
}

/** `wrong-base` unless the second delta is made from what the first one makes. */
export function checkFollows(first: DeltaInfo, second: DeltaInfo): void {
  if (first.new.sha256 === second.old.sha256 && first.new.size === second.old.size) return
  const isSwapped = second.new.sha256 === first.old.sha256 && second.new.size === first.old.size
  throw new BinderyError('wrong-base', 'does not go on from what the first delta makes', {
    hint: isSwapped ? 'it ends where the first one begins: name them the other way round' : wanted(first, second),
  })
}

function wanted({ newName: made }: DeltaInfo, { oldName: from }: DeltaInfo): string | undefined {
  return made === '' || from === '' ? undefined : `the first one makes ${made}, the second one was made from ${from}`
}

export type OldStream = { readonly label: string; readonly bytes: ByteStream }

/** The new side of the second delta from the old side of the first. What lies between is only ever a stream. */
export function throughBoth(first: Link, second: Link, old: OldStream): ByteStream {
  const middle = applied(first, old.label, old.bytes)
  return applied(second, first.label, middle)
}

/** What does not fit is the fault of the old side, anything else the delta's. */
async function* applied({ label, open }: Link, oldLabel: string, old: ByteStream): ByteStream {
  try {
    yield* applyDelta(open(), old, { reuse: true })
  } catch (error) {
    throw withSubject(error, isBinderyError(error, 'wrong-base') ? oldLabel : label)
  }
}

export type MergeInput = {
  readonly first: Link
  readonly second: Link
  readonly old: ByteSource
  /** What `throughBoth` made. */
  readonly new: ByteSource
} & Pick<DeltaInput, 'meter' | 'signal'>

/** The direct delta: from the old side of the first to the new side of the second. */
export function makeMerged({ first, second, ...sides }: MergeInput): ByteStream {
  return makeDelta({ ...sides, oldName: first.info.oldName, newName: second.info.newName })
}
