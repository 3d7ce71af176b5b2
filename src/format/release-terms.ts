import { BinderyError } from '../base/error.ts'
import { formatDistName } from '../base/name.ts'
import { decodeLines, encodeLines } from './lines.ts'
import { decodeNeed, encodeNeed } from './need.ts'
import type { DistName } from '../base/name.ts'
import type { LinesFormat } from './lines.ts'
import type { Need } from './need.ts'

/** `channel/<role>/terms` (doc/spec/client-state.md): what the record of the installed release says that holds as long as it is installed. */
export type ReleaseTerms = { readonly needs: readonly Need[] }

export const noTerms: ReleaseTerms = { needs: [] }
export const maxTermsBytes = 1 << 20
const format: LinesFormat = { firstLine: 'bindery-terms 1', maxBytes: maxTermsBytes, maxLines: 4096 }

export function encodeTerms(release: DistName, { needs }: ReleaseTerms): Uint8Array {
  return encodeLines(format, [
    { key: 'release', value: formatDistName(release) },
    ...needs.map((need) => ({ key: 'need', value: encodeNeed(need) })),
  ])
}

/** What it says of another release means nothing: a bundle may have installed this one. Throws `bad-format`, `over-limit`, `not-supported`. */
export function decodeTerms(bytes: Uint8Array, release: DistName): ReleaseTerms {
  const [first, ...lines] = decodeLines(format, bytes)
  if (first?.key !== 'release') throw new BinderyError('bad-format', `'release' is missing at its place`)
  const needs = lines.map(({ key, value }) => {
    if (key !== 'need') throw new BinderyError('bad-format', `has a line '${key}'`)
    return decodeNeed(value)
  })
  return first.value === formatDistName(release) ? { needs } : noTerms
}
