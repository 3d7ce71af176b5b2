import { BinderyError } from '../base/error.ts'
import { glob } from './glob.ts'
import { isCommand, isStepName } from './post-step.ts'
import { asList, asObject, asText } from './record-json.ts'
import type { PostStep } from './post-step.ts'
import type { Json, JsonObject } from './record-json.ts'

/** A part of a release that comes before the rest, with a reboot behind it (doc/spec/update.md). */
export type Phase = {
  readonly name: string
  /** Patterns as in rules: what of these paths is new or changed. */
  readonly paths: readonly string[]
  /** Post-steps of the record that are run when these are in place; at the end all are. */
  readonly steps: readonly string[]
  /** A command that has to succeed when the machine has started again, before it goes on: one may have come back with its old kernel. */
  readonly check?: string
}

export const phaseLimits = { count: 8, paths: 256, text: 4096 } as const

/** A word of lines and options. */
export function isPhaseName(text: string): boolean {
  return isStepName(text)
}

export function jsonOfPhases(phases: readonly Phase[]): Json {
  return phases.map(({ name, paths, steps, check }): JsonObject => ({ name, paths, steps, ...(check === undefined ? {} : { check }) }))
}

/** Throws `bad-format`, `over-limit`; `hostile` for what is no pattern. */
export function decodePhases(value: Json | undefined, postSteps: readonly PostStep[]): readonly Phase[] {
  const known = new Set(postSteps.flatMap((step) => (step.kind === 'notice' ? [] : [step.name])))
  const phases = asList(value, 'phases', phaseLimits.count).map((phase) => phaseOf(asObject(phase, 'a phase'), known))
  if (phases.length === 0) throw new BinderyError('bad-format', 'phases is empty')
  if (new Set(phases.map(({ name }) => name)).size !== phases.length) throw new BinderyError('bad-format', 'two phases have one name')
  return phases
}

function phaseOf(phase: JsonObject, known: ReadonlySet<string>): Phase {
  const name = asText(phase['name'], 'the name of a phase', phaseLimits.text)
  if (!isPhaseName(name)) throw new BinderyError('bad-format', 'the name of a phase is not of a-z, 0-9 and -')
  const paths = asList(phase['paths'], 'the paths of a phase', phaseLimits.paths).map((path) => asText(path, 'a path', phaseLimits.text))
  if (paths.length === 0) throw new BinderyError('bad-format', `phase '${name}' has no paths`)
  if (!paths.every((path) => glob(path) !== undefined)) throw new BinderyError('hostile', `phase '${name}' has a path that is no pattern`)
  const steps = asList(phase['steps'], 'the steps of a phase', known.size).map((step) => asText(step, 'a step', phaseLimits.text))
  if (!steps.every((step) => known.has(step))) throw new BinderyError('bad-format', `phase '${name}' has a step that the record has not`)
  const check = phase['check'] === undefined ? undefined : asText(phase['check'], 'the check of a phase', phaseLimits.text)
  if (check !== undefined && !isCommand(check)) throw new BinderyError('hostile', `the check of phase '${name}' is not one line`)
  return { name, paths, steps, ...(check === undefined ? {} : { check }) }
}
