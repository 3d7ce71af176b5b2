import { BinderyError } from '../../base/error.ts'
import { glob } from '../../format/glob.ts'
import { isPhaseName } from '../../format/phase.ts'
import { advise } from './advise.ts'
import type { Glob } from '../../format/glob.ts'
import type { Phase } from '../../format/phase.ts'
import type { Answers } from './advise.ts'
import type { Event, Rules } from './rules.ts'

/** The phases of a release as its maker names them (`publish --phase NAME[=PATTERN]`), in the order in which they come. */
export type WantedPhase = { readonly name: string; readonly paths: readonly Glob[] }

/** Throws `usage`. */
export function parseWantedPhases(texts: readonly string[]): readonly WantedPhase[] {
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
  return [...phases].map(([name, paths]) => ({ name, paths }))
}

/** With the paths of the rules that speak of them, and the steps that these paths ask for. Throws `usage` for a phase without paths. */
export function phasesOfRules(
  wanted: readonly WantedPhase[],
  rules: Rules,
  { events, answers }: { readonly events: readonly Event[]; readonly answers: Answers },
): readonly Phase[] {
  return wanted.map(({ name, paths: own }) => {
    const paths = [...own, ...rules.rules.filter(({ phase }) => phase === name).flatMap(({ match }) => match)]
    if (paths.length === 0)
      throw new BinderyError('usage', `no rule speaks of the phase '${name}'`, { hint: `name its paths: --phase ${name}=PATTERN` })
    const covered = events.filter(({ path }) => paths.some((one) => one.matches(path)))
    const steps = advise(rules, covered, answers).steps.map((step) => step.name)
    return { name, paths: [...new Set(paths.map(({ text }) => text))], steps }
  })
}
