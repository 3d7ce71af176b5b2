import { BinderyError } from '../base/error.ts'
import { showPath } from '../base/path.ts'
import { planFinish } from '../engine/client/apply/finish.ts'
import { runPlan } from '../engine/client/apply/transaction.ts'
import { readEnrolled, readReleaseState } from '../engine/client/state.ts'
import { refuseInterrupted } from './install.ts'
import { conclude, needsAttention, recoverFirst } from './outcome.ts'
import { print } from './output.ts'
import { planLines } from './plan-text.ts'
import type { FinishInput, Finishing } from '../engine/client/apply/finish.ts'
import type { Session } from '../engine/client/fetch/session.ts'
import type { Context, Input } from './command.ts'

/** `install --finish`: former libraries go when nothing needs them; of the others it is listed what does. */
export async function finishInstalls(context: Context, session: Session, input: Input): Promise<number> {
  if (input.operands.length > 0 || input.value('to') !== undefined)
    throw new BinderyError('usage', '--finish goes with no channel, nor with --to')
  const { disk, config, clock, recovery, signal } = session
  const isDry = input.flag('dry-run')
  const status = isDry ? await refuseInterrupted(session) : await recoverFirst(context, session)
  const work: FinishInput = { disk, config, clock, signal, processes: context.processes, channels: await channelsHere(session) }
  const found = await planFinish(work)
  if (isDry) for (const line of planLines(found.plan, input.flag('json'))) await print(context, `${line}\n`)
  for (const line of neededLines(found, input.flag('json'))) await print(context, `${line}\n`)
  if (found.running.unseen !== undefined) context.say(found.running.unseen)
  const left = found.needed.length > 0 ? needsAttention : 0
  if (isDry || found.plan.journal.actions.length === 0) return Math.max(status, left)
  const plan = {
    ...found.plan,
    journal: { ...found.plan.journal, kept: found.plan.journal.kept.filter(({ reason }) => reason !== 'needed') },
  }
  const done = await runPlan(disk, plan, { contents: nothingComes, keepReleases: config.keepReleases, recovery, signal })
  return Math.max(status, left, await conclude(context, session, done))
}

async function channelsHere({ disk }: Session): Promise<FinishInput['channels']> {
  const channels: { channel: FinishInput['channels'][number]['channel']; installed: FinishInput['channels'][number]['installed'] }[] = []
  for (const { channel } of await readEnrolled(disk)) channels.push({ channel, installed: await readReleaseState(disk, channel) })
  return channels
}

/** `/usr/lib/libfoo.so.1 is needed by /usr/local/bin/x, 812 /usr/sbin/sshd`. */
function neededLines({ needed, running }: Finishing, json: boolean): readonly string[] {
  return needed.map(({ path, users }) => {
    const processes = running.processes.filter(({ files }) => files.includes(path)).map(({ pid, program }) => ({ pid, program }))
    if (json) return JSON.stringify({ library: `/${showPath(path)}`, programs: users.map((user) => `/${showPath(user)}`), processes })
    const by = [...users.map((user) => `/${showPath(user)}`), ...processes.map(({ pid, program }) => `process ${pid} (${program})`)]
    return `/${showPath(path)} ${by.length === 0 ? 'may be needed: there is too much to look through' : `is needed by ${by.join(', ')}`}`
  })
}

/** All that changes is what goes. */
async function* nothingComes(): AsyncGenerator<never> {}
