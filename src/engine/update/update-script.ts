import { quoted } from '../../base/shell-word.ts'
import type { PostStep } from '../../format/post-step.ts'

/**
 * The `update.sh` of old: beside it lies the payload as a tar. Its caller unpacks both and runs it, from 9.1 on with the
 * folder in PATCHDIR. It unpacks over the system and runs the post-steps; there is no way back, as there never was.
 */
export function updateScript(title: string, removed: readonly string[], steps: readonly PostStep[]): string {
  return [
    '#!/bin/sh',
    `# ${title}`,
    'here=${PATCHDIR:-$(dirname "$0")}',
    'root=${DESTDIR:-/}',
    // Where tar would write into a file that runs it has to be told to unlink it first; others do, and know no such flag for folders.
    'case $(tar --version 2>/dev/null) in bsdtar*) u=-U ;; *) u= ;; esac',
    'tar -x -p $u -f "$here/payload.tar" -C "$root" || exit 1',
    ...removed.map((path) => `rm -f -- "$root"/${quoted(path)}`),
    'failed=0',
    ...steps.flatMap(stepLines),
    'exit $failed',
    '',
  ].join('\n')
}

function stepLines(step: PostStep): readonly string[] {
  switch (step.kind) {
    case 'notice':
      return [`echo ${quoted(step.text)}`]
    case 'run':
      return [`( ${step.command} ) || failed=1`]
    case 'script':
      return [`printf '%s' ${quoted(step.text)} | sh || failed=1`]
  }
}
