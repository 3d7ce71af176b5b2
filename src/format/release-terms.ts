import { BinderyError } from '../base/error.ts'
import { formatDistName } from '../base/name.ts'
import { utf8OfLatin1 } from '../base/utf8-text.ts'
import { glob } from './glob.ts'
import { decodeLines, encodeLines } from './lines.ts'
import { decodeNeed, encodeNeed } from './need.ts'
import type { DistName } from '../base/name.ts'
import type { LinesFormat, StateLine } from './lines.ts'
import type { Need } from './need.ts'

/** `channel/<role>/terms` (doc/spec/client-state.md): what the record of the installed release says that holds as long as it is installed. */
export type ReleaseTerms = {
  readonly needs: readonly Need[]
  /** Patterns of paths that the system makes anew by itself. */
  readonly generated: readonly string[]
}

export const noTerms: ReleaseTerms = { needs: [], generated: [] }
export const maxTermsBytes = 1 << 20
const format: LinesFormat = { firstLine: 'bindery-terms 1', maxBytes: maxTermsBytes, maxLines: 4096 }

export function encodeTerms(release: DistName, { needs, generated }: ReleaseTerms): Uint8Array {
  return encodeLines(format, [
    { key: 'release', value: formatDistName(release) },
    ...needs.map((need) => ({ key: 'need', value: encodeNeed(need) })),
    ...generated.map((pattern) => ({ key: 'generated', value: Buffer.from(pattern, 'utf8').toString('latin1') })),
  ])
}

/** What it says of another release means nothing: a bundle may have installed this one. Throws `bad-format`, `over-limit`, `not-supported`. */
export function decodeTerms(bytes: Uint8Array, release: DistName): ReleaseTerms {
  const [first, ...lines] = decodeLines(format, bytes)
  if (first?.key !== 'release') throw new BinderyError('bad-format', `'release' is missing at its place`)
  const count = lines.filter(({ key }) => key === 'need').length
  const needs = lines.slice(0, count).map((line) => decodeNeed(valueOf(line, 'need')))
  const generated = lines.slice(count).map((line) => utf8OfLatin1(valueOf(line, 'generated')))
  if (!generated.every((pattern) => glob(pattern) !== undefined)) throw new BinderyError('bad-format', 'has a path that is no pattern')
  return first.value === formatDistName(release) ? { needs, generated } : noTerms
}

function valueOf({ key, value }: StateLine, wanted: string): string {
  if (key !== wanted) throw new BinderyError('bad-format', `has a line '${key}'`)
  return value
}
