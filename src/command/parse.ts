import { parseArgs } from 'node:util'
import { BinderyError } from '../base/error.ts'
import { didYouMean } from '../base/suggest.ts'
import type { Command, Input, Option, OptionTable } from './command.ts'

/** Options that stand before the verb. */
export const globalOptions: OptionTable = {
  root: { kind: 'value', short: 'C', value: 'ROOT', help: 'the root that client verbs work on (default: /)' },
  config: { kind: 'value', short: 'f', value: 'CONF', help: 'configuration file (default: ROOT/etc/bindery.conf)' },
  quiet: { kind: 'flag', short: 'q', help: 'say nothing but errors' },
  verbose: { kind: 'flag', short: 'v', help: 'say what is done and why' },
  help: { kind: 'flag', short: 'h', help: 'show this help' },
  version: { kind: 'flag', short: 'V', help: 'show the version' },
}

/** Every verb has these. */
export const commonOptions: OptionTable = {
  help: { kind: 'flag', short: 'h', help: 'show this help' },
}

export type Line = {
  readonly globals: Input
  readonly verb: string | undefined
  readonly rest: readonly string[]
}

/** `bindery [globals] verb rest`: the globals end at the first word that is neither an option nor its value. */
export function splitLine(argv: readonly string[]): Line {
  let end = 0
  while (end < argv.length) {
    const word = argv[end] as string
    if (!word.startsWith('-') || word === '-' || word === '--') break
    end += takesNextWord(word, globalOptions) ? 2 : 1
  }
  const globals = parseOptions(argv.slice(0, end), globalOptions, { min: 0, max: 0 })
  return { globals, verb: argv[end], rest: argv.slice(end + 1) }
}

/** Reads the words after the verb. */
export function parseInput(command: Command, words: readonly string[]): Input {
  return parseOptions(words, { ...command.options, ...commonOptions }, command.operandCount)
}

function takesNextWord(word: string, table: OptionTable): boolean {
  if (word.startsWith('--')) return !word.includes('=') && table[word.slice(2)]?.kind === 'value'
  const last = word.slice(-1)
  return Object.values(table).some((option) => option.short === last && option.kind !== 'flag')
}

type Values = Readonly<Record<string, string | boolean | (string | boolean)[] | undefined>>

function parseOptions(words: readonly string[], table: OptionTable, count: Command['operandCount']): Input {
  const parsed = readWords(words, table)
  const wantsHelp = parsed.values['help'] === true
  const operands = parsed.positionals
  if (!wantsHelp && operands.length < count.min) throw new BinderyError('usage', 'an operand is missing')
  if (!wantsHelp && operands.length > count.max) {
    throw new BinderyError('usage', `unexpected operand '${operands[count.max] as string}'`)
  }
  return inputOf(operands, parsed.values, table)
}

function readWords(words: readonly string[], table: OptionTable): { values: Values; positionals: string[] } {
  try {
    return parseArgs({ args: [...words], options: nodeOptions(table), allowPositionals: true, strict: true })
  } catch (error) {
    throw usageError(error, table)
  }
}

function nodeOptions(table: OptionTable): Record<string, { type: 'string' | 'boolean'; short?: string; multiple?: boolean }> {
  const options: Record<string, { type: 'string' | 'boolean'; short?: string; multiple?: boolean }> = {}
  for (const [name, option] of Object.entries(table)) {
    options[name] = {
      type: option.kind === 'flag' ? 'boolean' : 'string',
      ...(option.short === undefined ? {} : { short: option.short }),
      ...(option.kind === 'list' ? { multiple: true } : {}),
    }
  }
  return options
}

function usageError(error: unknown, table: OptionTable): unknown {
  if (!(error instanceof TypeError) || !('code' in error) || !String(error.code).startsWith('ERR_PARSE_ARGS')) return error
  const first = (error.message.split(/\.\s/)[0] as string).replace(/\.$/, '')
  return new BinderyError('usage', first.charAt(0).toLowerCase() + first.slice(1), { cause: error, hint: optionHint(error.message, table) })
}

function optionHint(message: string, table: OptionTable): string | undefined {
  const unknown = /^Unknown option '(-\S+?)'/.exec(message)?.[1]
  if (unknown === undefined) return undefined
  const isGlobal = Object.entries(globalOptions).some(([name, { short }]) => unknown === `--${name}` || unknown === `-${String(short)}`)
  if (isGlobal && table !== globalOptions) return `${unknown} stands before the verb`
  const near = unknown.startsWith('--') ? didYouMean(unknown.slice(2), Object.keys(table)) : undefined
  return near === undefined ? undefined : `did you mean --${near}?`
}

function inputOf(operands: readonly string[], values: Values, table: OptionTable): Input {
  const look = (name: string, kinds: readonly Option['kind'][]): Values[string] => {
    const option = table[name]
    if (option === undefined || !kinds.includes(option.kind)) throw new Error(`no option '${name}' of kind ${kinds.join('/')}`)
    return values[name]
  }
  const value = (name: string): string | undefined => look(name, ['value']) as string | undefined
  return {
    operands,
    flag: (name) => look(name, ['flag']) === true,
    value,
    list: (name) => (look(name, ['list']) ?? []) as readonly string[],
    required: (name) => {
      const given = value(name)
      if (given === undefined) throw new BinderyError('usage', `--${name} is missing`)
      return given
    },
  }
}
