import { latin1 } from '../base/bytes.ts'
import { BinderyError } from '../base/error.ts'
import { decodeApply } from './errata-apply.ts'
import { badLine, beginsFile, decodeDiffFiles } from './unified-diff.ts'
import type { ErrataApply, ErrataStep } from './errata-apply.ts'
import type { DiffFile } from './unified-diff.ts'

/**
 * The text of an OpenBSD errata patch (doc/spec/errata.md): a title, a description, instructions, a diff. Everything
 * between the instructions' first heading and the diff must be understood, since what is skipped would not be run. Line
 * numbers are those of the message.
 */
export type Errata = {
  /** The title line without its colon; patches before signify have none. */
  readonly title: string | undefined
  readonly release: string | undefined
  /** Three digits. */
  readonly number: string
  /** Text before the instructions, one char per byte, free of control characters. */
  readonly description: string
  readonly apply: ErrataApply
  readonly blocks: readonly ErrataBlock[]
  /** What patch(1) is given. */
  readonly diff: Uint8Array
  /** Paths are relative to the folder in which patch(1) runs. */
  readonly files: readonly DiffFile[]
}

/** A heading of the instructions and the commands below it. */
export type ErrataBlock = { readonly heading: string; readonly steps: readonly ErrataStep[] }

/** OpenBSD's largest have some 100 KiB. */
const maxBytes = 64 << 20

/** The instructions become one argument of sh, and are read by a person. */
const maxTextBytes = 64 << 10

/** Throws `bad-format` with the number and the text of the line that cannot be placed. */
export function decodeErrata(message: Uint8Array): Errata {
  if (message.length > maxBytes) throw new BinderyError('over-limit', `is larger than ${maxBytes} bytes`)
  const { lines, diff } = splitMessage(message)
  const start = lines.findIndex((line) => applyHeading.test(line.trimEnd()))
  if (start < 0) throw new BinderyError('bad-format', "has no line 'Apply by doing:' before its diff")
  const { title, release, number, description } = decodeHead(lines.slice(0, start))
  const [first, ...others] = decodeBlocks(lines, start) as [ErrataBlock, ...ErrataBlock[]]
  const { apply, rest } = decodeApply(first.steps)
  const blocks = [...(rest.length === 0 ? [] : [{ heading: first.heading, steps: rest }]), ...others]
  for (const { steps } of blocks) for (const step of steps) refuseSecondPatch(step)
  const files = decodeDiffFiles(diff, apply.strip, lines.length + 1)
  return { title, release, number: number ?? numberOfName(apply), description, apply, blocks, diff, files }
}

const applyHeading = /^Apply\b[^.:]*:$/

/** The text ends where the first line of a diff stands. */
function splitMessage(message: Uint8Array): { readonly lines: readonly string[]; readonly diff: Uint8Array } {
  const head = latin1(message.subarray(0, maxTextBytes)).split('\n')
  const count = head.findIndex((_, i) => beginsDiff(head, i))
  if (count < 0 && message.length > maxTextBytes)
    throw new BinderyError('over-limit', `has more than ${maxTextBytes} bytes before its diff`)
  if (count < 0) throw new BinderyError('bad-format', 'holds no diff')
  const lines = head.slice(0, count)
  for (const [i, line] of lines.entries()) checkText(line, i + 1)
  return { lines, diff: message.subarray(lines.reduce((size, line) => size + line.length + 1, 0)) }
}

function beginsDiff(lines: readonly string[], at: number): boolean {
  const line = lines[at] as string
  const isContextDiff = line.startsWith('*** ') && lines[at + 1]?.startsWith('--- ') === true
  return /^(?:Index: |diff )\S/.test(line) || beginsFile(lines, at) || isContextDiff
}

/** What is shown to a person must be what is there, and a CR would reach the shell. */
function checkText(line: string, number: number): void {
  if (line.endsWith('\r')) throw badLine(number, 'ends with a carriage return', line, 'was the file changed on its way?')
  if (/[\u0000-\u0008\u000b-\u001f\u007f]/.test(line)) throw badLine(number, 'holds a control character', line)
}

type Head = Pick<Errata, 'title' | 'release' | 'description'> & { readonly number: string | undefined }

function decodeHead(lines: readonly string[]): Head {
  const at = lines.findIndex((line) => line.trim() !== '')
  const first = lines[at]?.trimEnd() ?? ''
  const title = titleLine.exec(first.endsWith(':') ? first.slice(0, -1) : first)
  if (title === null) return { title: undefined, release: undefined, number: undefined, description: lines.join('\n').trim() }
  const [, whole, release, number] = title as unknown as [string, string, string, string]
  return {
    title: whole,
    release,
    number: number.padStart(3, '0'),
    description: lines
      .slice(at + 1)
      .join('\n')
      .trim(),
  }
}

const titleLine = /^(OpenBSD (\d{1,2}\.\d{1,2}) errata (\d{1,3}), [ -~]{1,60})$/

function numberOfName({ name, line }: ErrataApply): string {
  const number = /^(\d{3})_/.exec(name)?.[1]
  if (number === undefined) throw badLine(line, 'there is no title, and the name of the patch does not begin with its number', name)
  return number
}

function decodeBlocks(lines: readonly string[], start: number): readonly ErrataBlock[] {
  const blocks: ErrataBlock[] = []
  let at = start
  while (at < lines.length) {
    const heading = readHeading(lines, at)
    checkHeading(heading.text, at === start ? applyHeading : nextStep, at + 1)
    const { steps, end } = readSteps(lines, heading.end)
    if (steps.length === 0) throw badLine(at + 1, 'is no heading of commands', heading.text, byHand)
    blocks.push({ heading: heading.text, steps })
    at = end
  }
  return blocks
}

const byHand = 'follow it by hand, and capture that as a command'
const isIndented = (line: string | undefined): boolean => line !== undefined && /^[ \t]+\S/.test(line)
const isBlank = (line: string | undefined): boolean => line !== undefined && line.trim() === ''

/** A paragraph at the left margin. */
function readHeading(lines: readonly string[], start: number): { readonly text: string; readonly end: number } {
  let end = start
  while (end < lines.length && !isIndented(lines[end]) && !isBlank(lines[end])) end += 1
  return { text: lines.slice(start, end).join(' ').trim(), end }
}

/** Words that make the commands below them a choice, which only a person can make. */
const choice = /\b(?:or|if|either|alternatively|otherwise|unless|only|optional|optionally|instead|when)\b/i
const nextStep =
  /^(?:And|Then|Now|Next|Also|Finally|Afterwards|After that|To|Re-?build|Build|Re-?compile|Compile|Re-?install|Install)\b.*:$/

function checkHeading(text: string, known: RegExp, line: number): void {
  if (choice.test(text)) throw badLine(line, 'leaves a choice', text, byHand)
  if (!known.test(text)) throw badLine(line, 'is no heading of commands', text, byHand)
}

/** Indented lines, and blank ones between them. A comment of the shell is no step. */
function readSteps(lines: readonly string[], start: number): { readonly steps: readonly ErrataStep[]; readonly end: number } {
  const steps: ErrataStep[] = []
  let at = start
  while (at < lines.length && (isIndented(lines[at]) || isBlank(lines[at]))) {
    const step = readStep(lines, at)
    if (step.text !== '' && !step.text.startsWith('#')) steps.push(checkedStep(step))
    at += step.text.split('\n').length
  }
  return { steps, end: at }
}

/** With the lines that a backslash continues it on. */
function readStep(lines: readonly string[], start: number): ErrataStep {
  let end = start
  while (continues(lines[end] as string)) {
    end += 1
    if (end === lines.length || isBlank(lines[end])) throw badLine(end, 'is continued by nothing', lines[end - 1] as string)
  }
  return {
    line: start + 1,
    text: lines
      .slice(start, end + 1)
      .join('\n')
      .trim(),
  }
}

/** An odd number of backslashes at the end; in a comment, none count. */
function continues(line: string): boolean {
  if (line.trimStart().startsWith('#')) return false
  let start = line.length
  while (line[start - 1] === '\\') start -= 1
  return (line.length - start) % 2 === 1
}

function checkedStep(step: ErrataStep): ErrataStep {
  const { line, text } = step
  // Letters that look like others would hide what is run.
  if (/[^\t\n -~]/.test(text)) throw badLine(line, 'holds more than ASCII', text)
  if (/^or\b/i.test(text)) throw badLine(line, 'leaves a choice', text, byHand)
  if (text.includes('<<')) throw badLine(line, 'holds a here-document', text, byHand)
  return step
}

/** A patch that nobody verified, or the same one again. */
function refuseSecondPatch({ line, text }: ErrataStep): void {
  if (/(?:^|[;&|(`]\s*)(?:patch|signify)\s/.test(text)) throw badLine(line, 'patches a second time', text, byHand)
}

/** For a log or a list: `001_xserver (OpenBSD 7.4 errata 001, October 25, 2023)`. */
export function errataName({ apply, title }: Pick<Errata, 'apply' | 'title'>): string {
  return title === undefined ? apply.name : `${apply.name} (${title})`
}
