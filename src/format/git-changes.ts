import { fromLatin1, fromUtf8, latin1 } from '../base/bytes.ts'
import { BinderyError } from '../base/error.ts'
import type { Commit, SourceChange } from '../base/source-change.ts'

/** What git prints with `-z` of differences and commits (doc/spec/source-changes.md). */
const maxBytes = 64 << 20
const kinds: Readonly<Record<string, SourceChange['kind']>> = { A: 'added', D: 'removed', M: 'changed', T: 'changed' }

/** The output of `git diff --name-status --no-renames -z A B`. Throws `bad-format`. */
export function decodeNameStatus(bytes: Uint8Array): readonly SourceChange[] {
  const fields = fieldsOf(bytes, 'diff')
  const changes: SourceChange[] = []
  for (let i = 0; i < fields.length; i += 2) {
    const [status, path] = [fields[i] as string, fields[i + 1]]
    const kind = kinds[status]
    if (kind === undefined || path === undefined || path === '')
      throw new BinderyError('bad-format', `'${status.slice(0, 20)}' is no status of git diff --name-status`)
    changes.push({ kind, path })
  }
  return changes
}

/** The argument of `git log --format`: what `decodeLog` reads. */
export const logFormat = '%x00%x00%H%x00%ct%x00%B'

/** The output of `git log --name-only --no-renames -z --format=FORMAT A..B`, in its order. Throws `bad-format`. */
export function decodeLog(bytes: Uint8Array): readonly Commit[] {
  if (bytes.length === 0) return []
  if (bytes.length > maxBytes) throw new BinderyError('over-limit', `git log printed more than ${maxBytes} bytes`)
  const [before, ...records] = latin1(bytes).split(/\0\0(?=[0-9a-f]{40}(?:[0-9a-f]{24})?\0\d+\0)/)
  if (before !== '' || records.length === 0) throw new BinderyError('bad-format', 'git log printed something else than commits')
  return records.map(decodeCommit)
}

function decodeCommit(record: string): Commit {
  const [id = '', seconds = '', message = '', ...paths] = record.split('\0')
  // git ends the format with a line end where names follow, and with NUL where none do.
  const files = paths.map((path, index) => (index === 0 ? path.replace(/^\n/, '') : path)).filter((path) => path !== '')
  return { id, seconds: Number(seconds), message: textOf(message), paths: files }
}

/** Old commits are in any encoding. */
function textOf(message: string): string {
  try {
    return fromUtf8(fromLatin1(message)).trim()
  } catch {
    return message.trim()
  }
}

function fieldsOf(bytes: Uint8Array, what: string): readonly string[] {
  if (bytes.length > maxBytes) throw new BinderyError('over-limit', `git ${what} printed more than ${maxBytes} bytes`)
  if (bytes.length === 0) return []
  const fields = latin1(bytes).split('\0')
  if (fields.pop() !== '') throw new BinderyError('bad-format', `git ${what} was cut off`)
  return fields
}
