import { BinderyError } from '../base/error.ts'
import { formatChannel, formatDistName } from '../base/name.ts'
import { recordsOf } from '../engine/client/apply/after.ts'
import { phasesOf } from '../engine/client/apply/phases.ts'
import { failureOf, stepEnvironment } from '../engine/client/apply/run-steps.ts'
import { readPhase } from '../engine/client/phase.ts'
import type { Incoming } from '../engine/client/incoming.ts'
import type { Session } from '../engine/client/fetch/session.ts'
import type { Context } from './command.ts'

const checkSeconds = 300

/**
 * A machine that has started again may have come back with what it ran before, since what a phase brought did not start. Whether it is
 * well, the release has its own command to ask by. Says which check failed, and answers whether one did.
 */
export async function failsItsCheck(context: Context, { disk }: Session, all: readonly Incoming[]): Promise<boolean> {
  const boot = await context.boot.ofRoot()
  let fails = false
  for (const incoming of all) {
    const { channel, installed, update } = incoming
    const state = await readPhase(disk, channel, installed)
    const isOfThis = state !== undefined && formatDistName(state.release) === formatDistName(update.value.release.name)
    if (!isOfThis || boot === undefined || state.boot === undefined || state.boot === boot) continue
    const phase = phasesOf(recordsOf(incoming)).find(({ name }) => name === state.done.at(-1))
    const failure = phase?.check === undefined ? undefined : await failureOfCheck(context, incoming, phase.name, phase.check)
    if (failure === undefined) continue
    context.say(
      `${formatChannel(channel)}: the machine has started again, and the check of ${phase?.name ?? ''} ${failure}; 'bindery install' tries it again, 'bindery rollback' takes the phase back`,
    )
    fails = true
  }
  return fails
}

async function failureOfCheck(
  { steps, explain, signal }: Context,
  { installed, update }: Incoming,
  name: string,
  text: string,
): Promise<string | undefined> {
  const title = `check of ${name}`
  explain(`running ${title}`)
  const names = { BINDERY_OLD: formatDistName(installed.name), BINDERY_NEW: formatDistName(update.value.release.name) }
  const end = await steps.run({ title, text, env: { ...stepEnvironment, ...names }, seconds: checkSeconds, log: undefined, signal })
  if (end.kind === 'stopped') throw new BinderyError('stopped', `stopped at the ${title}; nothing was changed`)
  return failureOf(end)
}
