import { BinderyError } from '../base/error.ts'
import { planRollback, rollbackPlan } from '../engine/client/apply/rollback.ts'
import { openSession, refuseReader, withLock } from './client-session.ts'
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
    to: { kind: 'value', value: 'RELEASE', help: 'take back installs until RELEASE is installed' },
  },
  examples: ['bindery rollback', 'bindery rollback -n --steps 2', 'bindery rollback --to base-1.0-20260101-amd64'],
  run: async (context, input) => {
    const goal = goalOf(input)
    const session = await openSession(context)
    await refuseReader(session)
    return await withLock(context, 'rollback', async () => await goBack(context, session, input, goal))
  },
}

function goalOf(input: Input): Goal {
  const [steps, to] = [input.value('steps'), input.value('to')]
  if (steps !== undefined && to !== undefined) throw new BinderyError('usage', '--steps and --to exclude each other')
  if (to !== undefined) return { kind: 'release', name: to }
  if (!/^[1-9][0-9]{0,3}$/.test(steps ?? '1')) throw new BinderyError('usage', `'${steps ?? ''}' is no number of installs`)
  return { kind: 'steps', count: Number(steps ?? '1') }
}

async function goBack(context: Context, session: Session, input: Input, goal: Goal): Promise<number> {
  const { disk, config, clock, signal } = session
  const status = input.flag('dry-run') ? await refuseInterrupted(session) : await recoverFirst(context, session)
  const work = { disk, config, clock, signal, goal }
  const plan = await planRollback(work)
  if (input.flag('dry-run') || input.flag('json')) for (const line of planLines(plan, input.flag('json'))) await print(context, `${line}\n`)
  if (input.flag('dry-run')) return 0
  const done = await rollbackPlan(work, plan)
  for (const { old, new: next } of done.receipt.releases) context.explain(`${old} -> ${next}`)
  return Math.max(status, await conclude(context, disk, done))
}
