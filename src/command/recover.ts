import { readJournal, readSteps } from '../engine/client/apply/receipts.ts'
import { recover as recoverTree } from '../engine/client/apply/recover.ts'
import { openSession, refuseStranger, withLock } from './client-session.ts'
import { sharedFlags } from './flags.ts'
import { conclude, describeRecovered } from './outcome.ts'
import type { Receipt } from '../engine/client/apply/receipts.ts'
import type { Session } from '../engine/client/fetch/session.ts'
import type { Command, Context, Input } from './command.ts'

export const recover: Command = {
  name: 'recover',
  summary: 'finish what an interrupted run left, or take it back',
  operands: '',
  operandCount: { min: 0, max: 0 },
  options: {
    'dry-run': sharedFlags.dryRun,
    undo: { kind: 'flag', help: 'take it back instead of finishing it' },
  },
  examples: ['bindery recover', 'bindery -C /mnt recover --undo'],
  run: async (context, input) => {
    const session = await openSession(context)
    await refuseStranger(session)
    return await withLock(
      context,
      'recover',
      async () => await (input.flag('dry-run') ? tell(context, session) : mend(context, session, input)),
    )
  },
}

async function tell(context: Context, { disk }: Session): Promise<number> {
  const journal = await readJournal(disk)
  const steps = await readSteps(disk)
  if (journal === undefined && steps !== undefined) await context.out(`install ${namesOf(steps)} has steps left to run\n`)
  if (journal === undefined) return 0
  await context.out(
    `${journal.purpose} ${namesOf(journal)} was interrupted${journal.direction === 'backward' ? ', and was being taken back' : ''}\n`,
  )
  return 0
}

function namesOf({ releases }: Receipt): string {
  return releases.map(({ old, new: next }) => `${old} -> ${next}`).join(', ')
}

async function mend(context: Context, { disk, config }: Session, input: Input): Promise<number> {
  const recovered = await recoverTree(disk, { undo: input.flag('undo'), keepReleases: config.keepReleases })
  if (recovered.kind === 'nothing') return 0
  context.explain(describeRecovered(recovered))
  if (input.flag('undo') && recovered.kind === 'finished') context.say("the install is done; 'bindery rollback' takes it back")
  return await conclude(context, disk, recovered)
}
