import { showPath } from '../base/path.ts'
import { reviewOf } from '../engine/capture/review.ts'
import { readableLine } from './diff-text.ts'
import type { Difference } from '../engine/tree/diff.ts'

/**
 * The four lists of `capture --review`, each with its heading; a list without changes says so. A fifth one is what was left
 * out as noise, where that was looked for: a line for each file.
 */
export function reviewText(changes: readonly Difference[], noise?: string): string {
  const { added, removed, more, contents } = reviewOf(changes)
  return [
    list('Built, but not in the base', added),
    list('In the base, but not built', removed),
    list('Differs by more than contents', more),
    list('Differs', contents),
    ...(noise === undefined ? [] : [noiseList(noise)]),
  ].join('\n')
}

function list(heading: string, changes: readonly Difference[]): string {
  const lines = changes.length === 0 ? '  (none)\n' : changes.map((change) => `  ${readableLine(change)}`).join('')
  return `${heading}:\n${lines}`
}

function noiseList(noise: string): string {
  const lines = noise.split('\n').filter((line) => line !== '')
  return `Differs in noise alone, and stays as it was shipped:\n${lines.map((line) => `  ${showPath(line)}\n`).join('') || '  (none)\n'}`
}
