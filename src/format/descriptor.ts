import { fromUtf8, utf8 } from '../base/bytes.ts'
import { parseSha256, sha256 } from '../base/digest.ts'
import { BinderyError } from '../base/error.ts'
import { isPlainLine } from '../base/show-text.ts'
import { formatDistName, parseDistName } from '../base/name.ts'
import { isCommand, isStepName, postStepLimits, stepFailures } from './post-step.ts'
import { isDetailsUrl, isTitle, rebootClasses, updateLimits } from './update.ts'
import type { Sha256 } from '../base/digest.ts'
import type { DistName } from '../base/name.ts'
import type { PostStep, StepTerms, StepToRun } from './post-step.ts'
import type { RebootClass } from './update.ts'

/**
 * The descriptor of a composed update (doc/spec/descriptor.md): `Key: value` lines in the tradition of PC-BSD's `.upd`
 * files. What it does not say, the update record adds when it is published.
 */
export type Descriptor = {
  readonly title: string
  readonly url?: string
  readonly release: DistName
  /** The release that it was compared with. */
  readonly previous?: DistName
  readonly payload: { readonly file: string; readonly size: number; readonly sha256: Sha256 }
  readonly security: boolean
  readonly reboot: RebootClass
  readonly notices: readonly string[]
  readonly configuration: readonly string[]
  readonly postSteps: readonly PostStep[]
}

const firstLine = 'Format: 1'
export const descriptorLimits = { bytes: 1 << 20, lines: 4096 } as const

/** Scripts lie beside, so that a reader sees lines alone. */
export type Written = { readonly text: string; readonly scripts: ReadonlyMap<string, string> }

export function encodeDescriptor(descriptor: Descriptor): Written {
  const { title, url, release, previous, payload, security, reboot } = descriptor
  const scripts = new Map<string, string>()
  const text = [
    firstLine,
    `Name: ${title}`,
    ...(url === undefined ? [] : [`Details URL: ${url}`]),
    `Release: ${formatDistName(release)}`,
    ...(previous === undefined ? [] : [`Previous: ${formatDistName(previous)}`]),
    `File: ${payload.file}`,
    `Size: ${payload.size}`,
    `SHA256: ${payload.sha256}`,
    `Security: ${security ? 'YES' : 'NO'}`,
    // What the old reader asked for; ours goes by the class.
    `RequiresReboot: ${reboot === 'reboot' || reboot === 'careful' ? 'YES' : 'NO'}`,
    `Reboot: ${reboot}`,
    ...descriptor.notices.map((notice) => `Notice: ${oneLine(notice)}`),
    ...descriptor.configuration.map((path) => `Configuration: ${path}`),
    ...descriptor.postSteps.map((step) => stepLine(step, scripts)),
    '',
  ].join('\n')
  decodeDescriptor(utf8(text), (file) => scripts.get(file))
  return { text, scripts }
}

function oneLine(text: string): string {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .join(' ')
}

function stepLine(step: PostStep, scripts: Map<string, string>): string {
  if (step.kind === 'notice') return `Notice: ${oneLine(step.text)}`
  const terms = `${step.name} ${step.seconds} ${step.failure} ${step.afterRollback ? 'both' : 'install'}`
  if (step.kind === 'run') return `!Run: ${terms} ${step.command}`
  const file = `${step.name}.sh`
  scripts.set(file, step.text)
  return `!Script: ${terms} ${sha256(utf8(step.text))} ${file}`
}

/**
 * `script` gives the text of a file beside. Unknown keys are passed over, unless a `!` stands before them:
 * `not-supported`. `bad-format` with the number of the line; `over-limit`; `hostile` for a file that is not beside;
 * `bad-digest`.
 */
export function decodeDescriptor(bytes: Uint8Array, script: (file: string) => string | undefined): Descriptor {
  const lines = linesOf(bytes)
  const seen = new Map<string, Line[]>()
  for (const line of lines) seen.set(line.key, [...(seen.get(line.key) ?? []), line])
  const fields = new Fields(seen)
  const url = fields.optional('Details URL', (text) => (isDetailsUrl(text) ? text : undefined), 'an address of http or https')
  const previous = fields.optional('Previous', parseDistName, 'a release')
  return {
    title: fields.one('Name', (text) => (isTitle(text) ? text : undefined), 'one line of at most 200 characters'),
    ...(url === undefined ? {} : { url }),
    release: fields.one('Release', parseDistName, 'a release'),
    ...(previous === undefined ? {} : { previous }),
    payload: {
      file: fields.one('File', fileBeside, 'the name of a file beside'),
      size: fields.one('Size', wholeOf, 'a number of bytes'),
      sha256: fields.one('SHA256', parseSha256, 'a sha256'),
    },
    security: fields.optional('Security', yesOrNo, 'YES or NO') ?? false,
    reboot: fields.one('Reboot', (text) => rebootClasses.find((one) => one === text), rebootClasses.join(', ')),
    notices: fields.many('Notice', updateLimits.notices).map(noticeOf),
    configuration: fields.many('Configuration', updateLimits.configuration).map(({ value }) => value),
    postSteps: stepsOf(
      lines.filter(({ key }) => key === 'Run' || key === 'Script'),
      script,
    ),
  }
}

type Line = { readonly number: number; readonly key: string; readonly value: string }

const known = new Set(
  'Format Name DetailsURL Release Previous File Size SHA256 Security RequiresReboot Reboot Notice Configuration Run Script'.split(' '),
)

function linesOf(bytes: Uint8Array): readonly Line[] {
  if (bytes.length > descriptorLimits.bytes) throw new BinderyError('over-limit', `is larger than ${descriptorLimits.bytes} bytes`)
  const [first, ...rest] = textOf(bytes).split('\n')
  if (first !== firstLine) {
    if (/^Format: [0-9]{1,9}$/.test(first ?? '')) throw new BinderyError('not-supported', 'was written by a newer bindery')
    throw new BinderyError('bad-format', `is no descriptor of an update: its first line is not '${firstLine}'`)
  }
  if (rest.length > descriptorLimits.lines) throw new BinderyError('over-limit', `has more than ${descriptorLimits.lines} lines`)
  return rest.flatMap((line, i) => lineOf(line, i + 2))
}

function textOf(bytes: Uint8Array): string {
  try {
    return fromUtf8(bytes)
  } catch (cause) {
    throw new BinderyError('bad-format', 'is not UTF-8', { cause })
  }
}

function lineOf(text: string, number: number): Line[] {
  if (text === '') return []
  if (!isPlainLine(text)) throw wrong(number, 'has a control character')
  const match = /^(!?)([A-Za-z][A-Za-z0-9 -]{0,63}): ?(.*)$/.exec(text)
  if (match === null) throw wrong(number, "is not 'Key: value'")
  const [, mark, written, value] = match as unknown as [string, string, string, string]
  // The two spellings that are attested.
  const key = written === 'Details URL' ? 'DetailsURL' : written
  if (known.has(key)) return [{ number, key, value }]
  if (mark === '!')
    throw new BinderyError('not-supported', `line ${number}: '${written}' must be understood, and this bindery does not know it`, {
      hint: 'update bindery first',
    })
  return []
}

class Fields {
  readonly #lines: ReadonlyMap<string, readonly Line[]>

  constructor(lines: ReadonlyMap<string, readonly Line[]>) {
    this.#lines = lines
  }

  many(key: string, most: number): readonly Line[] {
    const lines = this.#lines.get(key) ?? []
    if (lines.length > most) throw new BinderyError('over-limit', `has more than ${most} lines '${key}'`)
    return lines
  }

  optional<T>(key: string, read: (text: string) => T | undefined, what: string): T | undefined {
    const [line, second] = this.#lines.get(key.replace(' ', '')) ?? []
    if (second !== undefined) throw wrong(second.number, `'${key}' is there twice`)
    if (line === undefined) return undefined
    const value = read(line.value)
    if (value === undefined) throw wrong(line.number, `'${key}' is not ${what}`)
    return value
  }

  one<T>(key: string, read: (text: string) => T | undefined, what: string): T {
    const value = this.optional(key, read, what)
    if (value === undefined) throw new BinderyError('bad-format', `has no line '${key}'`)
    return value
  }
}

function noticeOf({ number, value }: Line): string {
  if (value.length > updateLimits.text) throw tooLong(number)
  return value
}

/** As the record takes them. */
function stepsOf(lines: readonly Line[], script: (file: string) => string | undefined): readonly PostStep[] {
  if (lines.length > postStepLimits.count) throw new BinderyError('over-limit', `has more than ${postStepLimits.count} steps`)
  const names = new Set<string>()
  return lines.map((line) => {
    const step = stepOf(line, script)
    if (names.has(step.name)) throw wrong(line.number, `a step '${step.name}' is there already`)
    names.add(step.name)
    return step
  })
}

function stepOf(line: Line, script: (file: string) => string | undefined): StepToRun {
  const match = /^(\S+) ([0-9]{1,5}) (\S+) (install|both) (.+)$/.exec(line.value)
  if (match === null) throw wrong(line.number, `'${line.key}' is not NAME SECONDS FAILURE WHEN and what is run`)
  const [, name, seconds, failure, when, what] = match as unknown as [string, string, string, string, string, string]
  const known = stepFailures.find((one) => one === failure)
  if (!isStepName(name) || known === undefined || Number(seconds) < 1 || Number(seconds) > postStepLimits.seconds)
    throw wrong(line.number, `'${line.key}' has terms that are none`)
  const terms: StepTerms = { name, seconds: Number(seconds), failure: known, afterRollback: when === 'both' }
  if (line.key === 'Script') return { kind: 'script', text: scriptOf(line, what, script), ...terms }
  if (!isCommand(what)) throw wrong(line.number, 'has no command')
  if (what.length > postStepLimits.text) throw tooLong(line.number)
  return { kind: 'run', command: what, ...terms }
}

function scriptOf(line: Line, what: string, script: (file: string) => string | undefined): string {
  const [digest, name = ''] = what.split(' ')
  const file = fileBeside(name)
  if (file === undefined) throw new BinderyError('hostile', `line ${line.number}: '${name}' is not the name of a file beside`)
  const text = script(file)
  if (text === undefined) throw new BinderyError('not-found', `line ${line.number}: ${file} is not there`)
  if (sha256(utf8(text)) !== digest)
    throw new BinderyError('bad-digest', `line ${line.number}: ${file} is another than the descriptor says`)
  return text
}

function fileBeside(text: string): string | undefined {
  return /^[A-Za-z0-9][A-Za-z0-9._+-]{0,254}$/.test(text) ? text : undefined
}

function wholeOf(text: string): number | undefined {
  return /^[0-9]{1,15}$/.test(text) ? Number(text) : undefined
}

function yesOrNo(text: string): boolean | undefined {
  return text === 'YES' ? true : text === 'NO' ? false : undefined
}

function tooLong(line: number): BinderyError {
  return new BinderyError('over-limit', `line ${line}: is longer than ${updateLimits.text} characters`)
}

function wrong(line: number, message: string): BinderyError {
  return new BinderyError('bad-format', `line ${line}: ${message}`)
}
