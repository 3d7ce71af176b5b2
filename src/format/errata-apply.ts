import { badLine } from './unified-diff.ts'

/**
 * The first instruction of an errata patch, how to patch the sources, in the forms that OpenBSD has used
 * (doc/spec/errata.md). bindery verifies and patches by itself, so the line is understood, not run.
 */

/** A command as it stands in the message: a line with those that it is continued on. */
export type ErrataStep = { readonly line: number; readonly text: string }

export type ErrataApply = {
  readonly line: number
  /** The folder in which patch(1) runs, absolute. */
  readonly folder: string
  /** N of `-pN`. */
  readonly strip: number
  /** The name of the patch, as the instruction writes it, without folders and endings: `001_xserver`. */
  readonly name: string
  /** The public key that the instruction names, without its folder. */
  readonly key: string | undefined
  /** The folder in which the shell of the further instructions starts. */
  readonly startFolder: string
}

/** `rest` are the steps that follow the patching. */
export function decodeApply(steps: readonly ErrataStep[]): { readonly apply: ErrataApply; readonly rest: readonly ErrataStep[] } {
  const [first, second] = steps as readonly [ErrataStep, ...ErrataStep[]]
  const whole = decodeCommand(first, undefined)
  if (whole !== undefined) return { apply: whole, rest: steps.slice(1) }
  const folder = /^cd (\S+)$/.exec(oneLine(first.text))?.[1]
  if (folder === undefined) throw unknownForm(first)
  if (second === undefined) throw badLine(first.line, 'no patch command follows', first.text)
  const apply = decodeCommand(second, checkedFolder(folder, first))
  if (apply === undefined) throw unknownForm(second)
  return { apply, rest: steps.slice(2) }
}

/** In a subshell, at once, or in the folder where a `cd` of its own has led. */
function decodeCommand(step: ErrataStep, shellFolder: string | undefined): ErrataApply | undefined {
  const { source, command } = splitSource(oneLine(step.text))
  const inSubshell = /^\( ?cd (\S+) ?(?:&&|;) ?patch -p ?(\d) ?\)$/.exec(command)
  const inShell = shellFolder === undefined ? /^cd (\S+) ?&& ?patch -p ?(\d)$/.exec(command) : /^()patch -p ?(\d)$/.exec(command)
  const match = inSubshell ?? inShell
  if (source === undefined || match === null) return undefined
  const folder = inSubshell === null && shellFolder !== undefined ? shellFolder : checkedFolder(match[1] as string, step)
  const startFolder = inSubshell === null ? folder : (shellFolder ?? parentFolder(folder))
  return { line: step.line, folder, strip: Number(match[2]), name: patchName(source.file, step), key: source.key, startFolder }
}

type Source = { readonly file: string; readonly key: string | undefined }

/** Where the patch comes from: the output of signify, or a file on stdin. */
function splitSource(line: string): { readonly source: Source | undefined; readonly command: string } {
  const signed = /^signify -Veq?p (\S+) -x (\S+) -m - ?\| ?(.+)$/.exec(line)
  if (signed !== null) {
    const [, key, file, command] = signed as unknown as [string, string, string, string]
    return { source: { file, key: key.slice(key.lastIndexOf('/') + 1) }, command }
  }
  const plain = /^(.+?) ?< ?([^\s<>|;&()]+)(\)?)$/.exec(line)
  if (plain === null) return { source: undefined, command: line }
  const [, command, file, end] = plain as unknown as [string, string, string, string]
  return { source: { file, key: undefined }, command: `${command}${end}` }
}

function oneLine(text: string): string {
  return text
    .replaceAll(/\\\n/g, ' ')
    .replaceAll(/[ \t]+/g, ' ')
    .trim()
}

function checkedFolder(folder: string, { line, text }: ErrataStep): string {
  const names = folder.split('/').filter((name) => name !== '')
  const plain = /^\/[A-Za-z0-9._+/-]+$/.test(folder) && !names.includes('..') && !names.includes('.')
  if (!plain || names.length === 0) throw badLine(line, 'patches in a folder that is no plain absolute path', text)
  return `/${names.join('/')}`
}

/** The instruction does not say where its reader stands; relative paths of real patches are those from beside the sources. */
function parentFolder(folder: string): string {
  return folder.slice(0, folder.lastIndexOf('/')) || '/'
}

function patchName(file: string, { line, text }: ErrataStep): string {
  const name = file.slice(file.lastIndexOf('/') + 1).replace(/(?:\.patch)?(?:\.sig)?$/, '')
  if (!/^[A-Za-z0-9][A-Za-z0-9._+-]{0,99}$/.test(name)) throw badLine(line, 'names no patch', text)
  return name
}

function unknownForm({ line, text }: ErrataStep): Error {
  return badLine(line, 'is no known way to patch', text, 'patch by hand, and capture the rest as commands')
}
