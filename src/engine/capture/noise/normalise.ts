import { concatBytes, equalBytes, fromLatin1 } from '../../../base/bytes.ts'
import { readAr } from '../../../format/ar.ts'
import { readHeader } from '../../../format/gzip.ts'
import { gzipContent } from './gzip.ts'
import { withoutManDates } from './man-dates.ts'
import type { RelPath } from '../../../base/path.ts'
import type { ArMember } from '../../../format/ar.ts'

/** A format whose noise is known, so that it is told without a second build. */
export type NoisyFormat = 'ar' | 'gzip' | 'man'

/** `formats`: those that were taken off, the outermost first. */
export type Normalised = { readonly formats: readonly NoisyFormat[]; readonly bytes: Uint8Array }

/** Of archives in archives; nobody makes deeper ones. */
const deepest = 4

/**
 * Files that differ in the noise of known formats alone are equal thus. Whatever is not understood stays as it is, and so do
 * contents beyond `limit` bytes in all, decompressed.
 */
export function normalised(path: RelPath, bytes: Uint8Array, limit: number): Normalised {
  return normaliser(limit)(path, bytes, deepest)
}

export function sameNormalised(a: Normalised, b: Normalised): boolean {
  return a.formats.join() === b.formats.join() && equalBytes(a.bytes, b.bytes)
}

type Normalise = (path: string, bytes: Uint8Array, depth: number) => Normalised

function normaliser(limit: number): Normalise {
  let left = limit
  const normalise: Normalise = (path, bytes, depth) => {
    const members = depth > 0 ? readAr(bytes) : undefined
    if (members !== undefined) return archive(members, (name, content) => normalise(name, content, depth - 1))
    const content = depth > 0 ? gzipContent(bytes, left) : undefined
    // One that turned out to be too large, or damaged, has cost its share: an archive may hold any number of them.
    if (content === undefined && readHeader(bytes, 0) !== undefined) left = 0
    if (content !== undefined) {
      left -= content.length
      const inner = normalise(path, content, depth - 1)
      return { formats: ['gzip', ...inner.formats], bytes: inner.bytes }
    }
    const undated = withoutManDates(path, bytes)
    return undated === undefined ? { formats: [], bytes } : { formats: ['man'], bytes: undated }
  }
  return normalise
}

/** Names, kinds and contents, each with its length: date, owner and mode of a member mean nothing to a linker. */
function archive(members: readonly ArMember[], inner: (name: string, content: Uint8Array) => Normalised): Normalised {
  const formats = new Set<NoisyFormat>(['ar'])
  const parts = members.flatMap(({ kind, name, content }) => {
    const member = kind === 'file' ? inner(name, content) : { formats: [], bytes: content }
    for (const format of member.formats) formats.add(format)
    return [fromLatin1(`${kind} ${name.length} ${name} ${member.formats.join()} ${member.bytes.length}\n`), member.bytes]
  })
  return { formats: [...formats], bytes: concatBytes(parts) }
}
