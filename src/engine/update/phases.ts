import { BinderyError } from '../../base/error.ts'
import { glob } from '../../format/glob.ts'
import { isPhaseName, phaseLimits } from '../../format/phase.ts'
import { isCommand } from '../../format/post-step.ts'
import { advise } from './advise.ts'
import type { Glob } from '../../format/glob.ts'
import type { Phase } from '../../format/phase.ts'
import type { Answers } from './advise.ts'
import type { Event, Rules } from './rules.ts'

/** The phases of a release as its maker names them (`publish --phase NAME[=PATTERN]`), in the order in which they come. */
export type WantedPhase = { readonly name: string; readonly paths: readonly Glob[]; readonly check?: string }

/** `checks`: `NAME=COMMAND` for some of them. Throws `usage`. */
export function parseWantedPhases(texts: readonly string[], checks: readonly string[]): readonly WantedPhase[] {
  const phases = new Map<string, readonly Glob[]>()
  for (const text of texts) {
    const [, name = '', path] = /^([^=]*)(?:=(.*))?$/s.exec(text) ?? []
    const pattern = path === undefined ? undefined : glob(path)
    if (!isPhaseName(name) || (path !== undefined && pattern === undefined))
      throw new BinderyError('usage', `'${text}' is no phase`, {
        hint: "NAME of a-z, 0-9 and -, or NAME=PATTERN, for instance kernel='/boot/**'",
      })
    phases.set(name, [...(phases.get(name) ?? []), ...(pattern === undefined ? [] : [pattern])])
  }
  const commands = parseChecks(checks, phases)
  return [...phases].map(([name, paths]) => {
    const check = commands.get(name)
    return { name, paths, ...(check === undefined ? {} : { check }) }
  })
}

function parseChecks(texts: readonly string[], phases: ReadonlyMap<string, unknown>): ReadonlyMap<string, string> {
  const checks = new Map<string, string>()
  for (const text of texts) {
    const [, name = '', command = ''] = /^([^=]*)=(.*)$/s.exec(text) ?? []
    if (!phases.has(name)) throw new BinderyError('usage', `--phase-check takes NAME=COMMAND of a --phase, not '${text}'`)
    if (!isCommand(command) || command.length > phaseLimits.text || checks.has(name))
      throw new BinderyError('usage', `--phase-check takes one command of one line of at most ${phaseLimits.text} characters for '${name}'`)
    checks.set(name, command)
  }
  return checks
}

/** With the paths of the rules that speak of them, and the steps that these paths ask for. Throws `usage` for a phase without paths. */
export function phasesOfRules(
  wanted: readonly WantedPhase[],
  rules: Rules,
  { events, answers }: { readonly events: readonly Event[]; readonly answers: Answers },
): readonly Phase[] {
  return wanted.map(({ name, paths: own, check }) => {
    const paths = [...own, ...rules.rules.filter(({ phase }) => phase === name).flatMap(({ match }) => match)]
    if (paths.length === 0)
      throw new BinderyError('usage', `no rule speaks of the phase '${name}'`, { hint: `name its paths: --phase ${name}=PATTERN` })
    const covered = events.filter(({ path }) => paths.some((one) => one.matches(path)))
    const steps = advise(rules, covered, answers).steps.map((step) => step.name)
    return { name, paths: [...new Set(paths.map(({ text }) => text))], steps, ...(check === undefined ? {} : { check }) }
  })
}
