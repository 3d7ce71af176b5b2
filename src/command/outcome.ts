import { BinderyError, failureIn, isBinderyError } from '../base/error.ts'
import { showLine } from '../base/show-text.ts'
import { recover } from '../engine/client/apply/recover.ts'
import { planRollback, rollbackPlan } from '../engine/client/apply/rollback.ts'
import { afterStep, runSteps } from '../engine/client/apply/run-steps.ts'
import { readJournal } from '../engine/client/apply/receipts.ts'
import { logPath, readLeft, stepsToRun, updateSteps, withoutSteps } from '../engine/client/apply/steps.ts'
import { sweepCache } from '../engine/client/fetch/cache.ts'
import { recordReboot } from '../engine/client/reboot.ts'
import { keptText } from './plan-text.ts'
import type { Recovered } from '../engine/client/apply/recover.ts'
import type { FailedStep } from '../engine/client/apply/run-steps.ts'
import type { Left } from '../engine/client/apply/steps.ts'
import type { Done } from '../engine/client/apply/transaction.ts'
import type { Sha256 } from '../base/digest.ts'
import type { Disk } from '../port/disk.ts'
import type { Session } from '../engine/client/fetch/session.ts'
import type { Journal, Kept } from '../format/journal.ts'
import type { Context } from './command.ts'

/** What is left to do and to say when a plan has been carried out; the notices come at the end of the run (finish.ts). */

/** Done, but something needs a person. */
export const needsAttention = 6

/**
 * Says what was kept, runs the post-steps, and answers the exit status. Whoever is killed before the end leaves it to the next
 * recover or install. Throws `command-failed` when a step wanted the install taken back, and it was.
 */
export async function conclude(
  context: Context,
  session: Session,
  done: Done,
  { isToRun = everyStep, skip }: Pick<Catching, 'isToRun' | 'skip'> = {},
): Promise<number> {
  const { receipt, kept, unswept, unsynced } = done
  if (unswept !== undefined) tellUnswept(context, unswept)
  if (unsynced !== undefined) context.say(`all is in place, but a power cut might undo it: ${unsynced.subject ?? ''}: ${unsynced.message}`)
  const hasFailed = unswept !== undefined || unsynced !== undefined
  const status = Math.max(hasFailed ? needsAttention : 0, tellKept(context, kept))
  const left = (await readLeft(session.disk)).find(({ transaction }) => transaction === receipt.transaction)
  return left === undefined || !isToRun(left) ? status : Math.max(status, await runLeft(context, session, left, skip))
}

function tellUnswept(context: Context, { subject = '', message }: BinderyError): void {
  context.say(`what is needed no more was not removed: ${subject}: ${message}`)
}

/** Behind what was done by them all downloads but `keep`. What cannot go is for the next run, and no failure of this one; answers the exit status. */
export async function removeDownloads(context: Context, disk: Disk, keep: ReadonlySet<Sha256>): Promise<number> {
  const unswept = await failureIn(async () => await sweepCache(disk, keep))
  if (unswept === undefined) return 0
  tellUnswept(context, unswept)
  return needsAttention
}

const everyStep = (_: Left): boolean => true

function tellKept(context: Context, kept: readonly Kept[]): number {
  for (const one of kept) context.say(keptText(one))
  return kept.some(({ reason }) => reason !== 'merged' && reason !== 'needed') ? needsAttention : 0
}

async function runLeft(context: Context, session: Session, all: Left, skip: ReadonlySet<string> = new Set()): Promise<number> {
  const { disk, signal } = session
  const { left, run } = await inPlace(async () => {
    const left = await skipSteps(context, session, all, skip)
    const boot = left.reboot.every((one) => one.class === 'restart') ? undefined : await context.boot.id()
    if (boot !== undefined) await recordReboot(disk, left, boot)
    return { left, run: await runSteps({ disk, runner: context.steps, signal, explain: context.explain }, left) }
  })
  for (const failure of run.failed) context.say(`${failureText(failure, left)}; ${wayOut(failure)}`)
  if (run.rollBack === undefined) return run.failed.length > 0 ? needsAttention : 0
  return await takeBack(context, session, run.left, run.rollBack)
}

/** Whatever ends it here, a full disk for instance, leaves something to do. */
export async function inPlace<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!isBinderyError(error)) throw error
    throw new BinderyError('interrupted', `the files are in place, but not all that follows was done: ${error.message}`, {
      subject: error.subject,
      hint: "'bindery recover' runs the steps that are left",
      cause: error,
    })
  }
}

/** Given up by a person, for whom they would fail for ever. */
async function skipSteps(context: Context, { disk }: Session, all: Left, skip: ReadonlySet<string>): Promise<Left> {
  const given = stepsToRun(all).filter(({ name }) => skip.has(name))
  if (given.length === 0) return all
  const left = withoutSteps(all, ({ name }) => skip.has(name))
  await updateSteps(disk, left)
  for (const { name } of given) context.say(`the step ${name} of ${all.releases.map(({ new: next }) => next).join(', ')} is given up`)
  return left
}

function wayOut({ step, isOld }: FailedStep): string {
  const again = "'bindery recover' tries it again"
  return isOld ? `${again}, with --skip-step ${step.name} it is given up` : again
}

function failureText({ step, reason }: FailedStep, { transaction }: Left): string {
  return `the step ${step.name} ${showLine(reason)} (its output is in /${logPath(transaction)})`
}

/** Where that cannot be done, the step has failed like one whose failure is only told. */
async function takeBack(context: Context, session: Session, left: Left, failure: FailedStep): Promise<number> {
  const why = failureText(failure, left)
  const error = await takingBack(context, session, left, why)
  await updateSteps(session.disk, afterStep(left, failure.step, true))
  context.say(`${why}; ${newReleases(left)} could not be taken back: ${error.message}`)
  return needsAttention
}

/** The newest install goes back at once, and `command-failed` says why; answers what was in the way. */
export async function takingBack(
  context: Context,
  session: Session,
  install: Pick<Journal, 'transaction' | 'releases'>,
  why: string,
): Promise<BinderyError> {
  const { disk, config, clock, recovery, signal } = session
  const work = { disk, config, clock, recovery, signal, goal: { kind: 'steps', count: 1 } as const }
  let done: Done
  try {
    const plan = await planRollback(work)
    if (!plan.journal.undoes.includes(install.transaction)) return new BinderyError('conflict', 'it is not the newest install')
    done = await rollbackPlan(work, plan)
  } catch (error) {
    if (!isBinderyError(error) || error.code === 'interrupted' || error.code === 'stopped') throw error
    return error
  }
  await conclude(context, session, done)
  throw new BinderyError('command-failed', `${why}; ${newReleases(install)} was taken back`)
}

function newReleases({ releases }: Pick<Journal, 'releases'>): string {
  return releases.map(({ new: next }) => next).join(', ')
}

export type Catching = {
  readonly undo: boolean
  readonly tell: (line: string) => void
  /** Of whose transactions steps are run; of all, where it is not given. */
  readonly isToRun?: (left: Left) => boolean
  /** Names of steps that are not run any more. */
  readonly skip?: ReadonlySet<string> | undefined
}

/** Before any other change: what killed runs left is finished, or taken back. Answers the exit status of that. */
export async function catchUp(context: Context, session: Session, { undo, tell, isToRun = everyStep, skip }: Catching): Promise<number> {
  const { disk, config, recovery } = session
  if ((await readJournal(disk)) !== undefined || (await readLeft(disk)).length > 0) await session.beforeCommit()
  const recovered = await recover(disk, { undo, keepReleases: config.keepReleases, recovery })
  let status = 0
  if (recovered.kind !== 'nothing') {
    tell(describeRecovered(recovered))
    status = await conclude(context, session, recovered, { isToRun, skip })
  }
  for (const left of await readLeft(disk)) {
    if (!isToRun(left) || (recovered.kind !== 'nothing' && left.transaction === recovered.receipt.transaction)) continue
    status = Math.max(status, tellKept(context, left.kept), await runLeft(context, session, left, skip))
  }
  return status
}

export async function recoverFirst(context: Context, session: Session, isToRun = everyStep): Promise<number> {
  return await catchUp(context, session, { undo: false, tell: (line) => context.say(`${line}, after an interruption`), isToRun })
}

/** `finished the install of base-1.1-20260201-amd64`. */
function describeRecovered({ kind, receipt }: Exclude<Recovered, { kind: 'nothing' }>): string {
  const isRollback = receipt.purpose === 'rollback'
  const which = receipt.releases.map((release) => (isRollback ? `from ${release.old} to ${release.new}` : `of ${release.new}`))
  return [`${kind} the ${receipt.purpose}`, ...which].join(' ')
}
