import { BinderyError } from '../../base/error.ts'
import { showPath } from '../../base/path.ts'
import type { RelPath } from '../../base/path.ts'
import type { Happening, Rule, RuleFile, Step } from '../../format/rules.ts'

/** Rules of one system: those that are built in, with those of a maker on top. */
export type Rules = {
  readonly rules: readonly Placed<Rule>[]
  readonly steps: readonly Placed<Step>[]
  /** Whether updates may carry whole scripts. */
  readonly scripts: boolean
}

/** With the file that it comes from. */
export type Placed<T> = T & { readonly file: string }

export type RuleSource = { readonly file: string; readonly content: RuleFile }

/**
 * Later sources replace rules and steps of the same name. Throws `usage` for what no update could be made with: an
 * unknown name, a circle.
 */
export function joinRules(sources: readonly RuleSource[]): Rules {
  const rules = new Map<string, Placed<Rule>>()
  const steps = new Map<string, Placed<Step>>()
  let scripts = false
  for (const { file, content } of sources) {
    scripts = content.scripts ?? scripts
    for (const rule of content.rules) put(rules, rule, file)
    for (const step of content.steps) put(steps, step, file)
  }
  const joined = { rules: [...rules.values()].filter(({ off }) => !off), steps: [...steps.values()], scripts }
  checkNames(joined, rules)
  refuseCircle(joined.rules, ({ insteadOf }) => insteadOf, 'rules stand instead of each other')
  refuseCircle(joined.steps, ({ after }) => after, 'steps come after each other')
  return joined
}

/** A rule that is replaced keeps its place. */
function put<T extends { readonly name: string }>(map: Map<string, Placed<T>>, value: T, file: string): void {
  map.set(value.name, { ...value, file })
}

function checkNames({ rules, steps }: Rules, all: ReadonlyMap<string, unknown>): void {
  const known = new Set(steps.map(({ name }) => name))
  for (const rule of rules) {
    for (const name of rule.steps)
      if (!known.has(name)) throw wrong(rule, `rule '${rule.name}' asks for step '${name}', which is not there`)
    for (const name of rule.insteadOf)
      if (!all.has(name)) throw wrong(rule, `rule '${rule.name}' stands instead of '${name}', which is not there`)
  }
  for (const step of steps) {
    for (const name of step.after) if (!known.has(name)) throw wrong(step, `step '${step.name}' comes after '${name}', which is not there`)
  }
}

type Named = Placed<{ readonly name: string }>

function refuseCircle<T extends Named>(all: readonly T[], next: (one: T) => readonly string[], what: string): void {
  const byName = new Map(all.map((one) => [one.name, one]))
  const done = new Set<string>()
  const visit = (one: T, way: readonly string[]): void => {
    if (way.includes(one.name)) {
      const circle = [...way.slice(way.indexOf(one.name)), one.name]
      throw wrong(one, `${what}: ${circle.join(', ')}`)
    }
    if (done.has(one.name)) return
    for (const name of next(one)) {
      const other = byName.get(name)
      if (other !== undefined) visit(other, [...way, one.name])
    }
    done.add(one.name)
  }
  for (const one of all) visit(one, [])
}

/** What happens to a path in an update. */
export type Event = { readonly path: RelPath; readonly happening: Happening }

/** `silenced`: by which rule that stands instead of it. */
export type Match = { readonly rule: Placed<Rule>; readonly pattern: string; readonly silenced?: string }

/** All rules whose patterns fit, in the order of the files, those that are silenced too. */
export function matchesOf({ rules }: Rules, path: RelPath, happening?: Happening): readonly Match[] {
  const fitting = rules.flatMap((rule): Match[] => {
    if (happening !== undefined && !rule.on.includes(happening)) return []
    const pattern = rule.match.find((one) => one.matches(path))
    if (pattern === undefined || rule.except.some((one) => one.matches(path))) return []
    return [{ rule, pattern: pattern.text }]
  })
  return fitting.map((match) => {
    const louder = fitting.find(({ rule }) => rule.insteadOf.includes(match.rule.name))
    return louder === undefined ? match : { ...match, silenced: louder.rule.name }
  })
}

/** The rules that speak about a path. Throws `usage` where two of them contradict each other. */
export function speakingOf(rules: Rules, { path, happening }: Event): readonly Placed<Rule>[] {
  const speaking = matchesOf(rules, path, happening).flatMap(({ rule, silenced }) => (silenced === undefined ? [rule] : []))
  const yes = speaking.find(({ configuration }) => configuration === true)
  const no = speaking.find(({ configuration }) => configuration === false)
  if (yes !== undefined && no !== undefined) {
    throw new BinderyError('usage', `rule '${yes.name}' calls /${showPath(path)} configuration, rule '${no.name}' does not`, {
      subject: no.file,
      hint: `let one of them stand 'instead-of' the other`,
    })
  }
  return speaking
}

/** The examples that stand beside each rule: what is not as they say. */
export function failedExamples(rules: Rules): readonly string[] {
  const speaks = (rule: Rule, path: RelPath): boolean =>
    matchesOf(rules, path).some((match) => match.rule.name === rule.name && match.silenced === undefined)
  return rules.rules.flatMap((rule) => [
    ...rule.yes.filter((path) => !speaks(rule, path)).map((path) => `${rule.file}: rule '${rule.name}' is silent about /${showPath(path)}`),
    ...rule.no.filter((path) => speaks(rule, path)).map((path) => `${rule.file}: rule '${rule.name}' speaks of /${showPath(path)}`),
    ...contradictions(rules, rule.yes),
  ])
}

function contradictions(rules: Rules, paths: readonly RelPath[]): readonly string[] {
  return paths.flatMap((path) => {
    try {
      speakingOf(rules, { path, happening: 'changed' })
      return []
    } catch (error) {
      if (!(error instanceof BinderyError)) throw error
      return [`${error.subject ?? ''}: ${error.message}`]
    }
  })
}

function wrong({ file }: Named, message: string): BinderyError {
  return new BinderyError('usage', message, { subject: file })
}
