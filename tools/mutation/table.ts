import { isSame, type Accepted } from './accepted.ts'
import type { Mutant } from './mutants.ts'

/** What a run found, for people. */

const killed = new Set(['Killed', 'Timeout'])
const alive = new Set(['Survived', 'NoCoverage'])

/** Per cent of the mutants that could be tried, from 0 to 100: accepted ones count as alive. */
export function scoreOf(mutants: readonly Mutant[]): number {
  const found = mutants.filter(({ status }) => killed.has(status)).length
  const all = found + mutants.filter(({ status }) => alive.has(status)).length
  return all === 0 ? 100 : (100 * found) / all
}

export function table(mutants: readonly Mutant[], accepted: readonly Accepted[]): string {
  const files = [...new Set(mutants.map(({ file }) => file))].sort()
  const rows = files.map((file) =>
    row(
      file,
      mutants.filter((mutant) => mutant.file === file),
      accepted,
    ),
  )
  const total = row('all', mutants, accepted)
  const head = ['file', 'mutants', 'killed', 'timeout', 'survived', 'not reached', 'texts', 'errors', 'score', 'without accepted']
  return [head, ['---', ...head.slice(1).map(() => '---:')], ...rows, total].map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}

function row(name: string, mutants: readonly Mutant[], accepted: readonly Accepted[]): readonly string[] {
  const count = (...statuses: readonly string[]): number => mutants.filter(({ status }) => statuses.includes(status)).length
  const open = mutants.filter((mutant) => !alive.has(mutant.status) || !accepted.some((one) => isSame(one, mutant)))
  const errors = count('RuntimeError', 'CompileError', 'Pending')
  const tried = mutants.length - count('Ignored') - errors
  const counts = [tried, count('Killed'), count('Timeout'), count('Survived'), count('NoCoverage'), count('Ignored'), errors]
  return [name, ...counts.map(String), scoreOf(mutants).toFixed(1), scoreOf(open).toFixed(1)]
}

/** Every mutant that was not killed by a failing test, with the reason for which it is accepted, if it is. */
export function listing(mutants: readonly Mutant[], accepted: readonly Accepted[]): string {
  const survivors = mutants.filter(({ status }) => alive.has(status))
  const reasonOf = (mutant: Mutant): string | undefined => accepted.find((one) => isSame(one, mutant))?.reason
  const files = new Set(mutants.map(({ file }) => file))
  const stale = accepted
    .flatMap((one) => one.replacements.map((replacement) => ({ ...one, replacements: [replacement] })))
    .filter((one) => files.has(one.file) && !survivors.some((mutant) => isSame(one, mutant)))
  return [
    '# Survivors',
    ...survivors.filter((mutant) => reasonOf(mutant) === undefined).map(line),
    '\n# Survivors that are accepted',
    ...survivors.filter((mutant) => reasonOf(mutant) !== undefined).map((mutant) => `${line(mutant)}\n    because: ${reasonOf(mutant)}`),
    '\n# Ended by a limit of time or of turns: code that does not end',
    ...mutants.filter(({ status }) => status === 'Timeout').map(line),
    '\n# Accepted, but no survivor: to be taken out of accepted.toml',
    ...stale.map(({ file, original, replacements: [replacement] }) => `${file}: ${original}  ->  ${replacement}`),
    '',
  ].join('\n')
}

function line({ file, line: number, status, original, replacement, within }: Mutant): string {
  const where = original === within ? '' : `\n    in: ${within}`
  return `${file}:${number}: ${status}: ${original}  ->  ${replacement}${where}`
}
