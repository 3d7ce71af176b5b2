import { BinderyError } from '../../base/error.ts'
import { baseName, showPath } from '../../base/path.ts'
import { quoted } from '../../base/shell-word.ts'
import { strongestReboot, updateLimits } from '../../format/update.ts'
import { speakingOf } from './rules.ts'
import type { RelPath } from '../../base/path.ts'
import type { Phase } from '../../format/phase.ts'
import type { RebootClass } from '../../format/update.ts'
import type { Step } from '../../format/rules.ts'
import type { Event, Placed, Rules } from './rules.ts'

/** What the rules make of an update. */
export type Advice = {
  readonly reboot: RebootClass
  readonly notices: readonly string[]
  /** In the order in which they are to run. */
  readonly steps: readonly AdvisedStep[]
  /** Paths that clients merge. */
  readonly configuration: readonly string[]
  /** What the maker wants to come before the rest. */
  readonly phases?: readonly Phase[]
}

export type AdvisedStep = Pick<Step, 'name' | 'seconds' | 'failure' | 'afterRollback'> & { readonly command: string }

/** What the rules leave open: the step, and what it asks. */
export type Question = { readonly step: string; readonly text: string }

/** Answers by step; an empty one leaves the step out. */
export type Answers = ReadonlyMap<string, string>

type Asked = { readonly step: Placed<Step>; readonly paths: readonly RelPath[] }

/** Each step once, with all paths that ask for it. */
function askedSteps(rules: Rules, events: readonly Event[]): readonly Asked[] {
  const paths = new Map<string, RelPath[]>()
  for (const event of events) {
    const names = new Set(speakingOf(rules, event).flatMap(({ steps }) => steps))
    for (const name of names) paths.set(name, [...(paths.get(name) ?? []), event.path])
  }
  return inOrder(rules.steps).flatMap((step) => {
    const asking = paths.get(step.name)
    return asking === undefined ? [] : [{ step, paths: asking }]
  })
}

/** That of the files, each behind those that it comes after; joinRules has refused circles. */
function inOrder(steps: readonly Placed<Step>[]): readonly Placed<Step>[] {
  const byName = new Map(steps.map((step) => [step.name, step]))
  const ordered = new Set<Placed<Step>>()
  const visit = (step: Placed<Step>): void => {
    if (ordered.has(step)) return
    for (const name of step.after) visit(byName.get(name) as Placed<Step>)
    ordered.add(step)
  }
  for (const step of steps) visit(step)
  return [...ordered]
}

export function questionsOf(rules: Rules, events: readonly Event[]): readonly Question[] {
  return askedSteps(rules, events).flatMap(({ step }) => (step.ask === undefined ? [] : [{ step: step.name, text: step.ask }]))
}

/** Throws `usage` for rules that contradict each other about a path, and for a question without an answer. */
export function advise(rules: Rules, events: readonly Event[], answers: Answers): Advice {
  const notices = new Set<string>()
  const configuration: string[] = []
  let reboot: RebootClass = 'none'
  for (const event of events) {
    const speaking = speakingOf(rules, event)
    for (const rule of speaking) {
      reboot = strongestReboot([reboot, rule.reboot])
      if (rule.notice !== undefined) notices.add(rule.notice)
    }
    const isMerged = speaking.some((rule) => rule.configuration === true)
    if (isMerged && event.happening !== 'removed') configuration.push(`/${utf8(event.path)}`)
  }
  const steps = askedSteps(rules, events).flatMap((asked) => commandsOf(asked, answers))
  return { reboot, notices: [...notices], steps, configuration }
}

function commandsOf({ step, paths }: Asked, answers: Answers): readonly AdvisedStep[] {
  const answer = step.ask === undefined ? '' : answers.get(step.name)
  if (answer === undefined) {
    throw new BinderyError('usage', `step '${step.name}' of the rules asks: ${step.ask ?? ''}`, {
      hint: `answer with --answer ${step.name}=TEXT; nothing behind the '=' leaves the step out`,
    })
  }
  if (step.ask !== undefined && answer.trim() === '') return []
  const { name, seconds, failure, afterRollback } = step
  const commands = filled(step, answer, paths)
  return commands.map((command, i) => ({ name: i === 0 ? name : `${name}-${i + 1}`, command, seconds, failure, afterRollback }))
}

/** More than one command where the paths are too many for one. */
function filled({ run, needs }: Step, answer: string, paths: readonly RelPath[]): readonly string[] {
  const text = needs === undefined ? run : `command -v ${needs} >/dev/null 2>&1 || exit 0; ${run}`
  const asked = text.replaceAll(/(?<!\$)\{ask\}/g, () => answer)
  const kind = /(?<!\$)\{(paths|names)\}/.exec(asked)?.[1]
  if (kind === undefined) return [asked]
  const words = [...new Set(paths.map((path) => shellWord(kind === 'paths' ? `/${utf8(path)}` : utf8(baseName(path)))))]
  const room = updateLimits.text - Buffer.byteLength(asked)
  return linesOf(words, room).map((line) => asked.replaceAll(/(?<!\$)\{(?:paths|names)\}/g, () => line))
}

function linesOf(words: readonly string[], room: number): readonly string[] {
  const lines: string[] = []
  for (const word of words) {
    const last = lines.at(-1)
    if (last !== undefined && Buffer.byteLength(`${last} ${word}`) <= room) lines[lines.length - 1] = `${last} ${word}`
    else lines.push(word)
  }
  return lines
}

/** As it is where it may be. */
function shellWord(word: string): string {
  return /^[A-Za-z0-9._+/@:-]+$/.test(word) ? word : quoted(word)
}

/** A record is UTF-8, a command is one line. */
function utf8(path: string): string {
  const text = Buffer.from(path, 'latin1').toString('utf8')
  if (Buffer.from(text, 'utf8').toString('latin1') === path && !/[\u0000-\u001f\u007f]/.test(text)) return text
  throw new BinderyError('not-supported', 'a rule speaks of it, and its name fits into no record', {
    subject: `/${showPath(path)}`,
    hint: "'except' it in a rule of your own",
  })
}
