import { BinderyError } from '../base/error.ts'
import { isRepeated } from '../engine/client/apply/history.ts'
import { readJournal } from '../engine/client/apply/receipts.ts'
import { planRollback, rollbackPlan } from '../engine/client/apply/rollback.ts'
import { changingRoot, openSession, refuseStranger, withLock } from './client-session.ts'
import { reported } from './finish.ts'
import { sharedFlags } from './flags.ts'
import { refuseInterrupted } from './install.ts'
import { conclude, recoverFirst } from './outcome.ts'
import { planLines } from './plan-text.ts'
import { print } from './output.ts'
import type { Goal } from '../engine/client/apply/history.ts'
import type { Session } from '../engine/client/fetch/session.ts'
import type { Command, Context, Input } from './command.ts'

export const rollback: Command = {
  name: 'rollback',
  summary: 'take back the newest install, or several',
  operands: '',
  operandCount: { min: 0, max: 0 },
  options: {
    'dry-run': sharedFlags.dryRun,
    json: sharedFlags.json,
    steps: { kind: 'value', value: 'N', help: 'take back the N newest installs (default: 1)' },
    report: sharedFlags.report,
    to: { kind: 'value', value: 'RELEASE', help: 'take back installs until RELEASE is installed' },
  },
  examples: ['bindery rollback', 'bindery rollback -n --steps 2', 'bindery rollback --to base-1.0-20260101-amd64'],
  run: async (context, input) => {
    const goal = goalOf(input)
    if (input.flag('dry-run')) return await goBackHere(context, await openSession(context), input, goal)
    return await changingRoot(context, 'rollback', async (here, session) => await goBackHere(here, session, input, goal))
  },
}

async function goBackHere(context: Context, session: Session, input: Input, goal: Goal | undefined): Promise<number> {
  await refuseStranger(session)
  const work = async (): Promise<number> => await goBack(context, session, input, goal)
  if (input.flag('dry-run')) return await withLock(context, 'rollback', work)
  return (await withLock(context, 'rollback', async () => await reported(context, session, { verb: 'rollback', input }, work))).result
}

const newest: Goal = { kind: 'steps', count: 1 }

/** Undefined where none is named. */
function goalOf(input: Input): Goal | undefined {
  const [steps, to] = [input.value('steps'), input.value('to')]
  if (steps !== undefined && to !== undefined) throw new BinderyError('usage', '--steps and --to exclude each other')
  if (to !== undefined) return { kind: 'release', name: to }
  if (steps === undefined) return undefined
  if (!/^[1-9][0-9]{0,3}$/.test(steps)) throw new BinderyError('usage', `'${steps}' is no number of installs`)
  return { kind: 'steps', count: Number(steps) }
}

async function goBack(context: Context, session: Session, input: Input, goal: Goal | undefined): Promise<number> {
  const { disk, config, clock, recovery, signal } = session
  const begun = input.flag('dry-run')
    ? { status: await refuseInterrupted(session), isAll: false }
    : await finishBegun(context, session, goal)
  if (begun.isAll) return begun.status
  const work = { disk, config, clock, recovery, signal, goal: goal ?? newest }
  const plan = await planRollback(work)
  if (input.flag('dry-run') || input.flag('json')) for (const line of planLines(plan, input.flag('json'))) await print(context, `${line}\n`)
  if (input.flag('dry-run')) return 0
  await session.beforeCommit()
  const done = await rollbackPlan(work, plan)
  for (const { old, new: next } of done.receipt.releases) context.explain(`${old} -> ${next}`)
  return Math.max(begun.status, await conclude(context, session, done))
}

type Begun = { readonly status: number; readonly isAll: boolean }

/** An interrupted rollback that is asked for once more is the one that is wanted; any other run comes before it. */
async function finishBegun(context: Context, session: Session, goal: Goal | undefined): Promise<Begun> {
  const journal = await readJournal(session.disk)
  const isAll = journal !== undefined && (await isRepeated(session.disk, journal, goal))
  // Somebody may go back because of a step that hangs.
  return { status: await recoverFirst(context, session, ({ purpose }) => purpose !== 'install'), isAll }
}
