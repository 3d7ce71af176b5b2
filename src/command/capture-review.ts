import { reviewOf } from '../engine/capture/review.ts'
import { readableLine } from './diff-text.ts'
import type { Difference } from '../engine/tree/diff.ts'

/** The four lists of `capture --review`, each with its heading; a list without changes says so. */
export function reviewText(changes: readonly Difference[]): string {
  const { added, removed, more, contents } = reviewOf(changes)
  return [
    list('Built, but not in the base', added),
    list('In the base, but not built', removed),
    list('Differs by more than contents', more),
    list('Differs', contents),
  ].join('\n')
}

function list(heading: string, changes: readonly Difference[]): string {
  const lines = changes.length === 0 ? '  (none)\n' : changes.map((change) => `  ${readableLine(change)}`).join('')
  return `${heading}:\n${lines}`
}
