import { BinderyError } from '../../../base/error.ts'
import { stepsToRun, logPath, updateSteps, withoutSteps } from './steps.ts'
import type { StepToRun } from '../../../format/post-step.ts'
import type { Disk } from '../../../port/disk.ts'
import type { StepEnd, StepRunner } from '../../../port/step-runner.ts'
import type { Left } from './steps.ts'

export type RunSteps = {
  readonly disk: Disk
  readonly runner: StepRunner
  readonly signal: AbortSignal
  /** Of each step that begins. */
  readonly explain: (line: string) => void
}

export type FailedStep = {
  readonly step: StepToRun
  readonly reason: string
  /** Not for the first time. */
  readonly isOld: boolean
}

/** `rollBack`: the step whose failure says that the whole is to be taken back; those after it were not run. */
export type StepsRun = { readonly left: Left; readonly failed: readonly FailedStep[]; readonly rollBack?: FailedStep }

/**
 * Runs what is left to run, in its order. After each step the disk says what is left, so that a step that was done is not run
 * again after a kill, and one that was under way is. A step that has failed before is only told when it fails again: the install
 * that could have been taken back for it is an old one by now.
 */
export async function runSteps(input: RunSteps, begun: Left): Promise<StepsRun> {
  const before = new Set(begun.failed)
  const failed: FailedStep[] = []
  let left = begun
  for (const step of stepsToRun(begun)) {
    const reason = failureOf(await runOne(input, left, step))
    const isOld = before.has(step)
    if (reason !== undefined && step.failure === 'roll-back' && !isOld) return { left, failed, rollBack: { step, reason, isOld } }
    if (reason !== undefined) failed.push({ step, reason, isOld })
    left = afterStep(left, step, reason !== undefined)
    await updateSteps(input.disk, left)
  }
  return { left, failed }
}

async function runOne({ runner, signal, explain }: RunSteps, { transaction, releases }: Left, step: StepToRun): Promise<StepEnd> {
  explain(`running ${step.name}`)
  const [change, ...others] = releases
  const names = change === undefined || others.length > 0 ? {} : { BINDERY_OLD: change.old, BINDERY_NEW: change.new }
  const end = await runner.run({
    title: step.name,
    text: step.kind === 'run' ? step.command : step.text,
    env: { ...stepEnvironment, ...names },
    seconds: step.seconds,
    log: logPath(transaction),
    signal,
  })
  if (end.kind === 'stopped') throw new BinderyError('stopped', `stopped at the step ${step.name}`)
  return end
}

/** environ(7) of every step; BINDERY_OLD and BINDERY_NEW name the releases, unless several channels go back at once. */
export const stepEnvironment: Readonly<Record<string, string>> = {
  HOME: '/root',
  LC_ALL: 'C',
  PATH: '/sbin:/bin:/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin',
}

export function failureOf(end: StepEnd): string | undefined {
  if (end.kind !== 'ended') return end.kind === 'out of time' ? 'took too long' : 'printed too much'
  if (end.status === 0) return undefined
  const last = end.lastLine.trim().slice(0, mostOfLine)
  return `failed with status ${end.status}${last === '' ? '' : `: ${last}`}`
}

/** The log has all of it. */
const mostOfLine = 200

/** Of a failed step as of one that was never tried, when it cannot be taken back. */
export function afterStep(left: Left, step: StepToRun, hasFailed: boolean): Left {
  const rest = withoutSteps(left, (one) => one === step)
  return { ...rest, kept: [], ...(hasFailed ? { failed: [...(rest.failed ?? []), step] } : {}) }
}
