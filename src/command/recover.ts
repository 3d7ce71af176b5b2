import { readJournal } from '../engine/client/apply/receipts.ts'
import { readLeft, stepsToRun } from '../engine/client/apply/steps.ts'
import { openSession, refuseStranger, withLock } from './client-session.ts'
import { sharedFlags } from './flags.ts'
import { finishing } from './finish.ts'
import { catchUp } from './outcome.ts'
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
  if (journal !== undefined) {
    const isBackward = journal.direction === 'backward'
    await context.out(`${journal.purpose} ${namesOf(journal)} was interrupted${isBackward ? ', and was being taken back' : ''}\n`)
  }
  for (const left of await readLeft(disk)) {
    const names = stepsToRun(left).map(({ name }) => name)
    const what = names.length === 0 ? 'notices left to show' : `steps left to run: ${names.join(', ')}`
    if (left.transaction !== journal?.transaction) await context.out(`${left.purpose} ${namesOf(left)} has ${what}\n`)
  }
  return 0
}

function namesOf({ releases }: Receipt): string {
  return releases.map(({ old, new: next }) => `${old} -> ${next}`).join(', ')
}

async function mend(context: Context, session: Session, input: Input): Promise<number> {
  const undo = input.flag('undo')
  if (undo && (await readJournal(session.disk)) === undefined && (await readLeft(session.disk)).length > 0)
    context.say("the install is done; 'bindery rollback' takes it back")
  const work = async (): Promise<number> => await catchUp(context, session, { undo, tell: context.explain })
  return (await finishing(context, session, work)).result
}
