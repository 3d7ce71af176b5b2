import { commonOptions, globalOptions } from './parse.ts'
import type { Command, Option, OptionTable } from './command.ts'

/** The text of `bindery VERB --help`. */
export function commandHelp(command: Command): string {
  return [
    `usage: bindery ${command.name} ${synopsis(command)}`.trimEnd(),
    '',
    `${command.summary}.`,
    '',
    ...optionLines({ ...command.options, ...commonOptions }),
    '',
    'examples:',
    ...command.examples.map((example) => `  ${example}`),
    '',
  ].join('\n')
}

function synopsis(command: Command): string {
  const flags = Object.keys(command.options).length > 0 ? '[flags] ' : ''
  return flags + command.operands
}

/** The text of `bindery --help`. */
export function overview(verbs: readonly { readonly name: string; readonly summary: string }[]): string {
  const width = Math.max(...verbs.map((verb) => verb.name.length))
  return [
    'usage: bindery [-C ROOT] [-f CONF] [-q | -v] verb [flags] [operand ...]',
    '',
    ...verbs.map((verb) => `  ${verb.name.padEnd(width)}  ${verb.summary}`),
    '',
    ...optionLines(globalOptions),
    '',
    'bindery VERB --help shows a verb; bindery(1) is the manual.',
    '',
  ].join('\n')
}

function optionLines(table: OptionTable): string[] {
  const rows = Object.entries(table).map(([name, option]) => [flagText(name, option), option.help] as const)
  const width = Math.max(...rows.map(([flag]) => flag.length))
  return rows.map(([flag, help]) => `  ${flag.padEnd(width)}  ${help}`)
}

function flagText(name: string, option: Option): string {
  const short = option.short === undefined ? '    ' : `-${option.short}, `
  return `${short}--${name}${option.kind === 'flag' ? '' : ` ${option.value}`}`
}
