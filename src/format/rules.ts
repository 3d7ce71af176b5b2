import { parse as parseToml } from 'smol-toml'
import { fromUtf8 } from '../base/bytes.ts'
import { BinderyError } from '../base/error.ts'
import { pathFromText } from '../base/path.ts'
import { isPlainLine } from '../base/show-text.ts'
import { didYouMean } from '../base/suggest.ts'
import { glob } from './glob.ts'
import { isPhaseName } from './phase.ts'
import type { Glob } from './glob.ts'
import type { RebootClass } from './update.ts'
import type { RelPath } from '../base/path.ts'

/**
 * Rules (doc/spec/rules.md): which paths of an update ask for which post-steps, notices and restarts. TOML, so that
 * whoever maintains a system can read them and write their own.
 */
export type RuleFile = {
  /** The built-in rules that these come on top of. */
  readonly base?: string
  /** Whether updates may carry whole scripts. */
  readonly scripts?: boolean
  readonly rules: readonly Rule[]
  readonly steps: readonly Step[]
}

export type Rule = {
  readonly name: string
  /** Takes the rule of this name out. */
  readonly off: boolean
  readonly match: readonly Glob[]
  readonly except: readonly Glob[]
  readonly on: readonly Happening[]
  /** Rules that are silent about a path about which this one speaks. */
  readonly insteadOf: readonly string[]
  readonly reboot: RebootClass
  readonly notice?: string
  readonly steps: readonly string[]
  /** Whether clients merge it when it was changed on both sides. */
  readonly configuration?: boolean
  /** The phase to which its paths belong where a maker publishes with that one. */
  readonly phase?: string
  /** Paths that it speaks of, and such that it leaves alone: its test. */
  readonly yes: readonly RelPath[]
  readonly no: readonly RelPath[]
}

export const happenings = ['added', 'changed', 'removed'] as const
export type Happening = (typeof happenings)[number]

export type Step = {
  readonly name: string
  /** For sh, one line; `{paths}` and `{names}` are filled in as words of sh, `{ask}` as it is. */
  readonly run: string
  /** A program without which there is nothing to do. */
  readonly needs?: string
  readonly seconds: number
  readonly failure: 'report' | 'roll-back'
  readonly afterRollback: boolean
  readonly after: readonly string[]
  /** What only the maker knows: the question for `{ask}`. */
  readonly ask?: string
}

export const placeholders = ['paths', 'names', 'ask'] as const
/** What looks like one; `${…}` is sh's own. */
export const placeholder: RegExp = /(?<!\$)\{([a-z]+)\}/g
const maxBytes = 1 << 20
const maxText = 4096
const maxList = 4096

/** Throws `usage`, with the place in the file, for whatever is not as the specification says. */
export function decodeRules(bytes: Uint8Array): RuleFile {
  const file = new Table('the file', tomlOf(bytes))
  file.allow(['format', 'base', 'scripts', 'rule', 'step'])
  if (file.value('format') !== 1n) throw wrong("begins with 'format = 1', and this bindery knows no other")
  const base = file.text('base')
  const scripts = file.flag('scripts')
  const rules = file.tables('rule').map(ruleOf)
  const steps = file.tables('step').map(stepOf)
  noneTwice('rule', rules)
  noneTwice('step', steps)
  return { ...(base === undefined ? {} : { base }), ...(scripts === undefined ? {} : { scripts }), rules, steps }
}

function tomlOf(bytes: Uint8Array): Readonly<Record<string, unknown>> {
  if (bytes.length > maxBytes) throw wrong(`is larger than ${maxBytes} bytes`)
  try {
    return parseToml(fromUtf8(bytes), { maxDepth: 8, integersAsBigInt: true })
  } catch (cause) {
    throw wrong(`is no TOML: ${(cause as Error).message.split('\n')[0] ?? ''}${lineOf(cause)}`, cause)
  }
}

function lineOf(error: unknown): string {
  const line = (error as { line?: unknown }).line
  return typeof line === 'number' ? `, line ${line}` : ''
}

function ruleOf(values: Readonly<Record<string, unknown>>, at: number): Rule {
  const rule = new Table(`rule ${at + 1}`, values)
  const name = rule.name()
  rule.allow(['name', 'off', 'match', 'except', 'on', 'instead-of', 'reboot', 'notice', 'steps', 'configuration', 'phase', 'yes', 'no'])
  const off = rule.flag('off') ?? false
  const notice = rule.line('notice')
  const configuration = rule.flag('configuration')
  const phase = rule.text('phase')
  if (phase !== undefined && !isPhaseName(phase)) throw wrong(`rule '${name}': 'phase' is not of a-z, 0-9 and -`)
  const match = rule.globs('match')
  if (!off && match.length === 0) throw wrong(`rule '${name}' matches nothing: 'match' is missing`)
  return {
    name,
    off,
    match,
    except: rule.globs('except'),
    on: rule.has('on') ? rule.texts('on').map((text) => oneOf(happenings, text, `rule '${name}': on`)) : happenings,
    insteadOf: rule.texts('instead-of'),
    reboot: oneOf(['none', 'restart', 'reboot', 'careful'], rule.text('reboot') ?? 'none', `rule '${name}': reboot`),
    ...(notice === undefined ? {} : { notice }),
    steps: rule.texts('steps'),
    ...(configuration === undefined ? {} : { configuration }),
    ...(phase === undefined ? {} : { phase }),
    yes: rule.paths('yes'),
    no: rule.paths('no'),
  }
}

function stepOf(values: Readonly<Record<string, unknown>>, at: number): Step {
  const step = new Table(`step ${at + 1}`, values)
  const name = step.name()
  step.allow(['name', 'run', 'needs', 'seconds', 'failure', 'after-rollback', 'after', 'ask'])
  const run = step.line('run')
  if (run === undefined) throw wrong(`step '${name}': 'run' is missing`)
  const needs = step.line('needs')
  if (needs !== undefined && !/^[A-Za-z0-9._+/-]+$/.test(needs)) throw wrong(`step '${name}': 'needs' is not the name of a program`)
  const ask = step.line('ask')
  checkPlaceholders(name, run, ask)
  return {
    name,
    run,
    ...(needs === undefined ? {} : { needs }),
    seconds: step.whole('seconds', 1, 86_400) ?? 900,
    failure: oneOf(['report', 'roll-back'], step.text('failure') ?? 'report', `step '${name}': failure`),
    afterRollback: step.flag('after-rollback') ?? false,
    after: step.texts('after'),
    ...(ask === undefined ? {} : { ask }),
  }
}

function checkPlaceholders(name: string, run: string, ask: string | undefined): void {
  const used = [...run.matchAll(placeholder)].map((match) => match[1] as string)
  for (const one of used) oneOf(placeholders, one, `step '${name}': a placeholder`)
  if (used.includes('ask') !== (ask !== undefined)) throw wrong(`step '${name}': 'ask' and {ask} go together`)
}

/** One table of the file, with its place for messages. */
class Table {
  #where: string
  readonly #values: Readonly<Record<string, unknown>>

  constructor(where: string, values: Readonly<Record<string, unknown>>) {
    this.#where = where
    this.#values = values
  }

  /** From here on messages call the table by its name. */
  name(): string {
    const name = this.text('name')
    if (name === undefined || !/^[a-z0-9][a-z0-9-]{0,59}$/.test(name))
      throw wrong(`${this.#where}: 'name' is missing, or not of small letters, digits and '-'`)
    this.#where = `${this.#where.split(' ')[0] as string} '${name}'`
    return name
  }

  allow(known: readonly string[]): void {
    for (const key of Object.keys(this.#values)) {
      if (known.includes(key)) continue
      const near = didYouMean(key, known)
      throw wrong(`${this.#where}: no key '${key}'${near === undefined ? '' : `; did you mean '${near}'?`}`)
    }
  }

  has(key: string): boolean {
    return Object.hasOwn(this.#values, key)
  }

  value(key: string): unknown {
    return this.has(key) ? this.#values[key] : undefined
  }

  text(key: string): string | undefined {
    const value = this.value(key)
    if (value !== undefined && (typeof value !== 'string' || value.length > maxText)) throw this.#not(key, 'a text of at most 4096')
    return value
  }

  /** It goes into line-oriented records. */
  line(key: string): string | undefined {
    const text = this.text(key)
    if (text !== undefined && (text.trim() === '' || !isPlainLine(text))) throw this.#not(key, 'one line of text')
    return text
  }

  flag(key: string): boolean | undefined {
    const value = this.value(key)
    if (value !== undefined && typeof value !== 'boolean') throw this.#not(key, 'true or false')
    return value
  }

  whole(key: string, min: number, max: number): number | undefined {
    const value = this.value(key)
    if (value === undefined) return undefined
    if (typeof value !== 'bigint' || value < min || value > max) throw this.#not(key, `a whole number from ${min} to ${max}`)
    return Number(value)
  }

  texts(key: string): readonly string[] {
    const value = this.value(key) ?? []
    const isList = Array.isArray(value) && value.length <= maxList && value.every((one) => typeof one === 'string' && one.length <= maxText)
    if (!isList) throw this.#not(key, 'a list of texts')
    return value as readonly string[]
  }

  globs(key: string): readonly Glob[] {
    return this.texts(key).map((text) => glob(text) ?? this.#fail(key, `'${text}' is no pattern: it begins with '/'`))
  }

  paths(key: string): readonly RelPath[] {
    return this.texts(key).map((text) => absolute(text) ?? this.#fail(key, `'${text}' is no absolute path`))
  }

  tables(key: string): readonly Readonly<Record<string, unknown>>[] {
    const value = this.value(key) ?? []
    const isList = Array.isArray(value) && value.length <= maxList && value.every((one) => typeof one === 'object' && !Array.isArray(one))
    if (!isList) throw wrong(`'${key}' is a list of tables: [[${key}]]`)
    return value as readonly Readonly<Record<string, unknown>>[]
  }

  #not(key: string, what: string): BinderyError {
    return wrong(`${this.#where}: '${key}' is not ${what}`)
  }

  #fail(key: string, what: string): never {
    throw wrong(`${this.#where}: ${key}: ${what}`)
  }
}

function absolute(text: string): RelPath | undefined {
  return text.startsWith('/') ? pathFromText(text.slice(1)) : undefined
}

function oneOf<T extends string>(known: readonly T[], text: string, what: string): T {
  if (!known.includes(text as T)) throw wrong(`${what} is ${known.join(', ')}, not '${text}'`)
  return text as T
}

function noneTwice(what: string, named: readonly { readonly name: string }[]): void {
  const seen = new Set<string>()
  for (const { name } of named) {
    if (seen.has(name)) throw wrong(`${what} '${name}' is there twice`)
    seen.add(name)
  }
}

function wrong(message: string, cause?: unknown): BinderyError {
  return new BinderyError('usage', message, { cause })
}
