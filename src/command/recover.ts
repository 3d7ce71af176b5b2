import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { BinderyError } from '../base/error.ts'
import { didYouMean } from '../base/suggest.ts'
import { readJournal } from '../engine/client/apply/receipts.ts'
import { readLeft, stepsToRun } from '../engine/client/apply/steps.ts'
import { changing, changingRoot, isInPlace, openSession, refuseStranger, stagingOf, withLock } from './client-session.ts'
import { sharedFlags } from './flags.ts'
import { reported } from './finish.ts'
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
    report: sharedFlags.report,
    'skip-step': { kind: 'list', value: 'NAME', help: 'give up a step that is left, instead of running it; may be repeated' },
  },
  examples: ['bindery recover', 'bindery -C /mnt recover --undo', 'bindery recover --skip-step makewhatis'],
  run: async (context, input) => {
    const work = input.flag('dry-run') ? tell : mend
    const run = async (here: Context, opened: Session): Promise<number> => {
      await refuseStranger(opened)
      return await withLock(here, 'recover', async () => await work(here, opened, input))
    }
    if (input.flag('dry-run')) return await run(context, await openSession(context))
    if (await isWithoutRoot(context)) return await (await stagingOf(context)).mendRoot(context)
    if (context.staged !== undefined) return await changingRoot(context, 'recover', run, isUnfinished)
    const session = await openSession(context)
    if (!isInPlace(context, session.config) && (await (await stagingOf(context)).recoverNext(context, input.flag('undo')))) return 0
    return await changing(context, session, async (opened) => await run(context, opened))
  },
}

/** A change of mode that was cut off leaves trees, and nothing that leads to one. */
async function isWithoutRoot({ root }: Context): Promise<boolean> {
  return !existsSync(root) && existsSync(`${resolve(root)}.trees`)
}

async function isUnfinished(current: Context): Promise<boolean> {
  return (await readLeft((await openSession(current)).disk)).length > 0
}

async function tell(context: Context, session: Session, input: Input): Promise<number> {
  const { disk } = session
  const skip = await stepsToSkip(session, input)
  const journal = await readJournal(disk)
  if (journal !== undefined) {
    const isBackward = journal.direction === 'backward'
    await context.out(`${journal.purpose} ${namesOf(journal)} was interrupted${isBackward ? ', and was being taken back' : ''}\n`)
  }
  for (const left of await readLeft(disk)) {
    const names = stepsToRun(left).flatMap(({ name }) => (skip.has(name) ? [] : [name]))
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
  const skip = await stepsToSkip(session, input)
  const work = async (): Promise<number> => await catchUp(context, session, { undo, tell: context.explain, skip })
  return (await reported(context, session, { verb: 'recover', input }, work)).result
}

/** A slip of the pen would run the very step that somebody wants to be rid of. */
async function stepsToSkip({ disk }: Session, input: Input): Promise<ReadonlySet<string>> {
  const skip = new Set(input.list('skip-step'))
  const journal = await readJournal(disk)
  const known = [...(await readLeft(disk)), ...(journal === undefined ? [] : [journal])].flatMap(stepsToRun).map(({ name }) => name)
  for (const name of skip) {
    if (known.includes(name)) continue
    const near = didYouMean(name, known)
    const others = known.length === 0 ? 'none is' : `these are: ${known.join(', ')}`
    throw new BinderyError('usage', `no step '${name}' is left to run`, { hint: near === undefined ? others : `did you mean '${near}'?` })
  }
  return skip
}
