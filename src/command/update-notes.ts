import { BinderyError } from '../base/error.ts'
import { showText } from '../base/show-text.ts'
import { isStepName, isCommand, stepsOfCommands } from '../format/post-step.ts'
import { isDetailsUrl, isTitle, rebootClasses, updateLimits } from '../format/update.ts'
import type { Answers } from '../engine/update/advise.ts'
import type { MakerNotes } from '../engine/update/notes.ts'
import type { RebootClass } from '../format/update.ts'
import type { Input, Option } from './command.ts'

/** What a maker says of an update on the command line. */

export const noteOptions = {
  notice: { kind: 'list', value: 'TEXT', help: 'a notice for whoever installs it; may be repeated' },
  'post-step': { kind: 'list', value: 'COMMAND', help: 'run by sh when it has been installed; may be repeated' },
  security: { kind: 'flag', help: 'it mends a security problem' },
  reboot: { kind: 'value', value: 'CLASS', help: 'none, restart (of services), reboot or careful (default: by the rules)' },
  answer: { kind: 'list', value: 'STEP=TEXT', help: 'the answer to what a step of the rules asks; none leaves the step out' },
} as const satisfies Readonly<Record<string, Option>>

export function notesOfFlags(input: Input, title: string | undefined): MakerNotes {
  const url = input.value('url')
  const reboot = input.value('reboot')
  if (url !== undefined && !isDetailsUrl(url)) throw new BinderyError('usage', '--url takes an address of http or https')
  return {
    ...(title === undefined ? {} : { title }),
    ...(url === undefined ? {} : { url }),
    notices: input.list('notice').map(noticeOf),
    postSteps: stepsOfCommands(input.list('post-step').map(commandOf)),
    ...(reboot === undefined ? {} : { reboot: rebootOf(reboot) }),
    security: input.flag('security'),
  }
}

/** `flag`: where it came from. */
export function titleOf(text: string, flag: string): string {
  if (!isTitle(text)) throw new BinderyError('usage', `${flag} takes one line of at most 200 characters`)
  return text
}

function noticeOf(text: string): string {
  if (text.trim() !== '' && text.length <= updateLimits.text && text === showText(text)) return text
  throw new BinderyError('usage', `--notice takes a text of at most ${updateLimits.text} characters, without control characters`)
}

function commandOf(text: string): string {
  if (!isCommand(text) || text.length > updateLimits.text)
    throw new BinderyError('usage', `--post-step takes a command of one line of at most ${updateLimits.text} characters`)
  return text
}

function rebootOf(text: string): RebootClass {
  const found = rebootClasses.find((known) => known === text)
  if (found === undefined) throw new BinderyError('usage', `--reboot takes none, restart, reboot or careful, not '${text}'`)
  return found
}

export function answersOf(input: Input): Answers {
  return new Map(
    input.list('answer').map((text) => {
      const [step, answer] = /^([^=]*)=(.*)$/s.exec(text)?.slice(1) ?? []
      if (step === undefined || answer === undefined || !isStepName(step) || /[\u0000-\u001f\u007f]/.test(answer))
        throw new BinderyError('usage', `--answer takes STEP=TEXT, not '${text}'`)
      return [step, answer]
    }),
  )
}
