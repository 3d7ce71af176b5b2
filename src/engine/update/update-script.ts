import { fromLatin1, latin1, utf8 } from '../../base/bytes.ts'
import { quoted } from '../../base/shell-word.ts'
import type { RelPath } from '../../base/path.ts'
import type { PostStep } from '../../format/post-step.ts'

/**
 * The `update.sh` of old: beside it lies the payload as a tar. Its caller unpacks both and runs it, from 9.1 on with the
 * folder in PATCHDIR. It unpacks over the system and runs the post-steps; there is no way back, as there never was.
 */
export function updateScript(title: string, removed: readonly RelPath[], steps: readonly PostStep[]): Uint8Array {
  const lines = [
    '#!/bin/sh',
    `# ${asBytes(title)}`,
    'here=${PATCHDIR:-$(dirname "$0")}',
    'root=${DESTDIR:-/}',
    // Where tar would write into a file that runs it has to be told to unlink it first; others do, and know no such flag for folders.
    'case $(tar --version 2>/dev/null) in bsdtar*) u=-U ;; *) u= ;; esac',
    'tar -x -p $u -f "$here/payload.tar" -C "$root" || exit 1',
    ...removed.map((path) => `rm -f -- "$root"/${quoted(path)}`),
    'failed=0',
    ...steps.map((step) => asBytes(stepLine(step))),
    'exit $failed',
    '',
  ]
  return fromLatin1(lines.join('\n'))
}

/** Paths are bytes, and so the lines are, one char each. */
function asBytes(text: string): string {
  return latin1(utf8(text))
}

/** A shell of its own, as on a client: a comment or a brace that is open ends nothing but the step. */
function stepLine(step: PostStep): string {
  switch (step.kind) {
    case 'notice':
      return `printf '%s\\n' ${quoted(step.text)}`
    case 'run':
      return `sh -c ${quoted(step.command)} || failed=1`
    case 'script':
      return `sh -c ${quoted(step.text)} || failed=1`
  }
}
