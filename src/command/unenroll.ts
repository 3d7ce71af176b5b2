import { BinderyError } from '../base/error.ts'
import { showPath } from '../base/path.ts'
import { describeLeaving, planUnenroll, unenroll as leave } from '../engine/client/unenroll.ts'
import { takeBootHookAway } from './boot-hook.ts'
import { changing, changingRoot, channelsOf, openSession, refuseReader, withLock } from './client-session.ts'
import { sharedFlags } from './flags.ts'
import { needsAttention } from './outcome.ts'
import type { Session } from '../engine/client/fetch/session.ts'
import type { Command, Context, Input } from './command.ts'

export const unenroll: Command = {
  name: 'unenroll',
  summary: 'follow channels no longer, and leave the tree as it is',
  operands: '[CHANNEL ...]',
  operandCount: { min: 0, max: 64 },
  options: {
    'dry-run': sharedFlags.dryRun,
    all: { kind: 'flag', help: 'all channels, instead of naming them' },
  },
  examples: ['bindery unenroll comp/amd64', 'bindery unenroll -n --all', 'bindery -C /mnt unenroll --all'],
  run: async (context, input) => {
    if (input.flag('all') !== (input.operands.length === 0)) throw new BinderyError('usage', 'name the channels, or give --all')
    const run = async (here: Context, opened: Session): Promise<number> => {
      await refuseReader(opened)
      return await withLock(here, 'unenroll', async () => await leaving(here, opened, input))
    }
    if (context.staged !== undefined && !input.flag('dry-run')) return await changingRoot(context, 'unenroll', run)
    const session = await openSession(context)
    const work = async (opened: Session): Promise<number> => await run(context, opened)
    return input.flag('dry-run') ? await work(session) : await changing(context, session, work)
  },
}

/** The boot hook goes with the last channel, before the program that it runs. */
async function leaving(context: Context, { disk, beforeCommit }: Session, input: Input): Promise<number> {
  const plan = await planUnenroll(disk, channelsOf(input))
  if (input.flag('dry-run')) {
    for (const line of describeLeaving(plan)) await context.out(`${line}\n`)
    return 0
  }
  await beforeCommit()
  const changed = plan.staying.length > 0 ? [] : await takeBootHookAway(context, disk)
  await leave(disk, plan)
  for (const line of describeLeaving(plan)) context.say(line)
  for (const path of changed) context.say(`/${showPath(path)}: was changed since enroll wrote it, and stays`)
  return changed.length > 0 ? needsAttention : 0
}
