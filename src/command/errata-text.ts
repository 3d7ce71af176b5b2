import { basename } from 'node:path'
import { showPath } from '../base/path.ts'
import { errataOf } from '../engine/capture/errata.ts'
import type { DiffFile } from '../format/unified-diff.ts'
import type { Errata } from '../format/errata.ts'
import type { GivenErrata } from '../engine/capture/errata.ts'

/** What is shown of an errata patch before any of it runs: where it patches, which files, every command. */
export function showErrata(given: GivenErrata): string {
  const errata = errataOf(given)
  const { apply, blocks, files } = errata
  const lines = [
    `${errata.title ?? apply.name}${given.kind === 'unsigned' ? ' (signature not checked)' : ''}`,
    numbered(apply.line, `patch -p${apply.strip} in ${apply.folder}:`),
    ...files.map((file) => `${indent}  ${fileText(file)}`),
    ...blocks.flatMap(({ heading, steps }) => [
      `${indent}${showPath(heading)}`,
      ...steps.map(({ line, text }) => numbered(line, `  ${shown(text)}`)),
    ]),
  ]
  return lines.map((line) => `${line}\n`).join('')
}

const indent = '      '

function numbered(line: number, text: string): string {
  return `${String(line).padStart(4)}  ${text}`
}

/** Steps hold no control characters but tabs and line ends. */
function shown(text: string): string {
  return text.replaceAll('\t', ' ').replaceAll('\n', `\n${indent}  `)
}

function fileText({ kind, path }: DiffFile): string {
  return kind === 'changed' ? showPath(path) : `${showPath(path)} (${kind})`
}

/** What does not fit together, though nothing is refused for it. `file` and `keyFile` as they were given. */
export function errataRemarks({ apply, number, blocks }: Errata, file: string, keyFile: string | undefined): readonly string[] {
  const remarks: string[] = []
  if (plainName(file) !== apply.name) remarks.push(`${file}: its instructions call it ${apply.name}`)
  const named = /^\d{3}(?=_)/.exec(apply.name)?.[0]
  if (named !== undefined && named !== number) remarks.push(`${file}: its title says ${number}, its instructions ${named}`)
  if (keyFile !== undefined && apply.key !== undefined && basename(keyFile) !== apply.key)
    remarks.push(`${file}: its instructions name the key ${apply.key}, not ${basename(keyFile)}`)
  if (blocks.length === 0) remarks.push(`${file}: there are no commands after the patch`)
  return remarks
}

function plainName(file: string): string {
  return basename(file).replace(/(?:\.patch)?(?:\.sig)?$/, '')
}
