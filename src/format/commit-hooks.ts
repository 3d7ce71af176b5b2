import { latin1, utf8 } from '../base/bytes.ts'
import { encodeLines } from './lines.ts'
import type { LinesFormat } from './lines.ts'

/** `commit-hooks` (doc/spec/client-state.md): that `after-commit` is due, and both commands for the program in sh, which alone reads them. */
export type CommitHooks = { readonly before: string | undefined; readonly after: string | undefined }

const format: LinesFormat = { firstLine: 'bindery-commit-hooks 1', maxBytes: 1 << 16, maxLines: 2 }

export function encodeCommitHooks({ before, after }: CommitHooks): Uint8Array {
  const lines = Object.entries({ before, after })
  return encodeLines(
    format,
    lines.flatMap(([key, value]) => (value === undefined ? [] : [{ key, value: latin1(utf8(value)) }])),
  )
}
