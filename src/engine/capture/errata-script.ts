import { quoted } from '../../base/shell-word.ts'
import { latin1 } from '../../base/bytes.ts'
import type { Errata } from '../../format/errata.ts'
import type { ErrataStep } from '../../format/errata-apply.ts'

/**
 * The sh programs that carry out the instructions of an errata patch (doc/spec/errata.md). One shell for all of a patch's
 * steps, as a person would type them: `cd` and variables carry over. Each step announces itself by a line of output,
 * by which the one that failed is known afterwards.
 */

/** For `sh -c`: runs every step in turn and stops at the first that fails, whose status it ends with. */
export function stepsScript(errata: Errata): string {
  // -e stops inside of a step (`make; make install`), but forgives `cd x && make`: hence the look at its status.
  return ['set -e', enter(errata.apply.startFolder), ...stepsOf(errata).flatMap((step) => [announce(step), step.text, stopOnFailure])].join(
    '\n',
  )
}

export function stepsOf({ blocks }: Pick<Errata, 'blocks'>): readonly ErrataStep[] {
  return blocks.flatMap(({ steps }) => steps)
}

const stopOnFailure = 'bindery_status=$?; [ "$bindery_status" -eq 0 ] || exit "$bindery_status"'

/** For `sh -c`: asks sh itself about each step, alone. Ends with 1 after announcing one that is no complete command. */
export function checkScript(errata: Errata): string {
  return stepsOf(errata)
    .map((step) => `sh -n -c ${quoted(step.text)} || { ${announce(step)}; exit 1; }`)
    .join('\n')
}

/** Of `patchCommand` and `stepsScript`: the folder is not there. Above every status of patch, below those of sh. */
export const noFolderStatus = 121

/** patch(1), with the diff on its stdin. -N: one that is applied already is an error, not to be reversed. */
export function patchCommand({ apply }: Errata, options: readonly string[]): readonly string[] {
  return ['sh', '-c', `${enter(apply.folder)}\nexec ${['patch', '-N', `-p${apply.strip}`, ...options].join(' ')}`]
}

function enter(folder: string): string {
  return `cd ${quoted(folder)} || exit ${noFolderStatus}`
}

function announce(step: ErrataStep): string {
  return `printf '%s\\n' ${quoted(`bindery: line ${step.line}: ${stepLine(step)}`)}`
}

/** A step on one line, as sh joins it. */
export function stepLine({ text }: ErrataStep): string {
  return text.replaceAll(/\\\n[ \t]*/g, '')
}

export type LineWatch = { readonly output: (bytes: Uint8Array) => void; readonly last: () => number | undefined }

/**
 * Passes output on and remembers the number that was announced last. A command could print such a line itself, and would
 * only name a wrong line in the error about its own failure.
 */
export function watchLines(output: (bytes: Uint8Array) => void): LineWatch {
  let tail = ''
  let last: number | undefined
  return {
    output: (bytes) => {
      const text = tail + latin1(bytes)
      for (const match of text.matchAll(/bindery: line (\d{1,6}): /g)) last = Number(match[1])
      // The mark may be in the middle of a line, after output that did not end its own, and may come in two pieces.
      tail = text.slice(-longestMark)
      output(bytes)
    },
    last: () => last,
  }
}

const longestMark = 'bindery: line 123456: '.length
