import { BinderyError } from '../base/error.ts'
import { asBoolean, asList, asObject, asText, asWhole } from './record-json.ts'
import type { Json, JsonObject } from './record-json.ts'

/**
 * What is left to do when the files of a release are in place (doc/spec/update.md), in this order. Each bears being run
 * again: a machine that was stopped on the way does it once more.
 */
export type PostStep = StepToRun | { readonly kind: 'notice'; readonly text: string }

/** `command` is one line; `text` is a whole script. */
export type StepToRun = ({ readonly kind: 'run'; readonly command: string } | { readonly kind: 'script'; readonly text: string }) &
  StepTerms

export type StepTerms = {
  /** What people and logs call it; no other step of the record has it. */
  readonly name: string
  /** How long it may take. */
  readonly seconds: number
  readonly failure: StepFailure
  /** Whether it is also run when the release is taken back, after the files. */
  readonly afterRollback: boolean
}

/** `report`: told, and tried again by the next run; `roll-back`: the install is taken back. */
export type StepFailure = (typeof stepFailures)[number]
export const stepFailures = ['report', 'roll-back'] as const

export const postStepLimits = { count: 64, text: 4096, scriptBytes: 64 << 10, seconds: 86_400 } as const

/** Of a maker who says no more than what to run. */
export const usualTerms = { seconds: 900, failure: 'report', afterRollback: false } as const

/** `step-1`, `step-2`… */
export function stepsOfCommands(commands: readonly string[]): readonly StepToRun[] {
  return commands.map((command, i) => ({ kind: 'run', name: `step-${i + 1}`, command, ...usualTerms }))
}

/** Throws `bad-format`, `over-limit`; `hostile` for what is more than the one line that it should be. */
export function decodePostSteps(value: Json | undefined): readonly PostStep[] {
  const steps = asList(value, 'postSteps', postStepLimits.count).map(postStepOf)
  const names = steps.flatMap((step) => (step.kind === 'notice' ? [] : [step.name]))
  if (new Set(names).size !== names.length) throw new BinderyError('bad-format', 'two post-steps have one name')
  return steps
}

function postStepOf(value: Json): PostStep {
  const step = asObject(value, 'a post-step')
  switch (step['kind']) {
    case 'run':
      return { kind: 'run', command: commandOf(step['command']), ...termsOf(step) }
    case 'script':
      return { kind: 'script', text: scriptOf(step['text']), ...termsOf(step) }
    case 'notice':
      return { kind: 'notice', text: asText(step['text'], 'the text of a notice', postStepLimits.text) }
    default:
      throw new BinderyError('bad-format', 'a post-step has no known kind')
  }
}

function termsOf(step: JsonObject): StepTerms {
  const failure = stepFailures.find((known) => known === step['failure'])
  if (failure === undefined) throw new BinderyError('bad-format', 'the failure of a post-step is neither report nor roll-back')
  return {
    name: nameOf(step['name']),
    seconds: asWhole(step['seconds'], 'the seconds of a post-step', 1, postStepLimits.seconds),
    failure,
    afterRollback: asBoolean(step['afterRollback'], 'afterRollback'),
  }
}

export function isStepName(text: string): boolean {
  return /^[a-z0-9][a-z0-9-]{0,63}$/.test(text)
}

function nameOf(value: Json | undefined): string {
  const name = asText(value, 'the name of a post-step', postStepLimits.text)
  if (!isStepName(name)) throw new BinderyError('bad-format', 'the name of a post-step is not of a-z, 0-9 and -')
  return name
}

/** It goes to sh and into line-oriented state files. */
export function isCommand(text: string): boolean {
  return text.trim() !== '' && !/[\u0000-\u001f\u007f]/.test(text)
}

function commandOf(value: Json | undefined): string {
  const command = asText(value, 'the command of a post-step', postStepLimits.text)
  if (!isCommand(command)) throw new BinderyError('hostile', 'the command of a post-step is not one line')
  return command
}

function scriptOf(value: Json | undefined): string {
  const text = asText(value, 'the script of a post-step', postStepLimits.scriptBytes)
  if (Buffer.byteLength(text) > postStepLimits.scriptBytes)
    throw new BinderyError('over-limit', `the script of a post-step is larger than ${postStepLimits.scriptBytes} bytes`)
  if (text.trim() === '' || text.includes('\0')) throw new BinderyError('hostile', 'the script of a post-step is no text')
  return text
}
