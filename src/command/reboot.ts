import { resolve } from 'node:path'
import { BinderyError } from '../base/error.ts'
import type { RebootClass } from '../format/update.ts'
import type { Context, Input } from './command.ts'

/** Whether a run that needs a reboot asks for one, or does it. */
export type RebootWish = (typeof wishes)[number]
const wishes = ['never', 'ask', 'now'] as const

export const rebootOption = {
  kind: 'value',
  value: 'WHEN',
  help: 'when a reboot is needed: never, ask, or now (default: ask on a terminal)',
} as const

/** Asked is only a person who is there: never by cron, never under -q, and only about the machine that runs. */
export function rebootWish(context: Context, input: Input): RebootWish {
  const text = input.value('reboot') ?? 'ask'
  const wish = wishes.find((known) => known === text)
  if (wish === undefined) throw new BinderyError('usage', `--reboot takes never, ask or now, not '${text}'`)
  if (wish !== 'ask') return wish
  const { stdin, stderr } = context.isTerminal
  return isThisMachine(context) && stdin && stderr && context.verbosity !== 'quiet' ? 'ask' : 'never'
}

/** At the very end, when nothing is left to do. */
export async function rebootAsWished(context: Context, wish: RebootWish, need: RebootClass): Promise<void> {
  if (wish === 'never' || (need !== 'reboot' && need !== 'careful')) return
  if (!isThisMachine(context)) {
    context.say(`not rebooted: ${context.root} is not the system that runs here`)
    return
  }
  if (wish === 'ask' && !/^y(?:es)?$/i.test(((await context.ask('Reboot now? [y/N] ')) ?? '').trim())) return
  const { status } = await context.exec.run('shutdown', ['-r', 'now'])
  if (status !== 0) context.say(`shutdown failed with status ${status}: reboot by hand`)
}

/** `base/amd64: base-1.1-20260201-amd64 is installed, and waits for a reboot`. */
export function pendingText(channel: string, release: string, kind: RebootClass): string {
  return `${channel}: ${release} is installed, and waits for a reboot${kind === 'careful' ? ' with somebody near the machine' : ''}`
}

function isThisMachine({ root }: Context): boolean {
  return resolve(root) === '/'
}
