import { latin1 } from '../base/bytes.ts'
import { BinderyError } from '../base/error.ts'
import type { SourceChange } from '../base/source-change.ts'

/**
 * What `cvs rdiff -s -r T1 -r T2 MODULE` prints (doc/spec/source-changes.md). Paths are not quoted and may hold spaces
 * and the very words of the grammar, so lines are read from the right.
 */
const maxBytes = 64 << 20
/** Branches have an even number of parts: 1.80, 1.80.2.1, 1.1.1.1.2.2. */
const revision = String.raw`\d+\.\d+(?:\.\d+\.\d+)*`
const endings = [
  { kind: 'changed', text: new RegExp(String.raw` changed from revision ${revision} to ${revision}$`) },
  { kind: 'added', text: new RegExp(String.raw` is new; \S+ revision ${revision}$`) },
  // Versions of CVS word the rest in ways of their own.
  { kind: 'removed', text: / is removed;[^;]*$/ },
] as const

/** In the order of the lines. Throws `bad-format` with the number of a line that says nothing known: it could be a change. */
export function decodeRdiff(bytes: Uint8Array): readonly SourceChange[] {
  if (bytes.length > maxBytes) throw new BinderyError('over-limit', `is larger than ${maxBytes} bytes`)
  const lines = latin1(bytes).split('\n')
  if (lines.pop() !== '') throw new BinderyError('bad-format', 'ends in the middle of a line: cvs rdiff was cut off')
  return lines.map((line, index) => decodeLine(line, index + 1))
}

function decodeLine(line: string, number: number): SourceChange {
  const text = line.startsWith('File ') ? line.slice('File '.length) : ''
  for (const { kind, text: ending } of endings) {
    const at = text.search(ending)
    if (at > 0) return { kind, path: text.slice(0, at) }
  }
  throw new BinderyError('bad-format', `line ${number} is no line of cvs rdiff -s: '${line.slice(0, 80)}'`)
}
