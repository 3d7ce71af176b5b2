import { isBinderyError } from '../base/error.ts'
import { recover } from '../engine/client/apply/recover.ts'
import { removeSteps } from '../engine/client/apply/receipts.ts'
import { keptText } from './plan-text.ts'
import type { Recovered } from '../engine/client/apply/recover.ts'
import type { Session } from '../engine/client/fetch/session.ts'
import type { Done } from '../engine/client/apply/transaction.ts'
import type { PostStep } from '../format/update.ts'
import type { Disk } from '../port/disk.ts'
import type { Context } from './command.ts'

/** What is left to do and to say when a plan has been carried out. */

/** Done, but something needs a person. */
export const needsAttention = 6

/**
 * Says what was kept, runs the post-steps of what is now installed, and answers the exit status. Whoever is killed before
 * the end leaves it to the next recover or install.
 */
export async function conclude(context: Context, disk: Disk, { receipt, kept, unswept }: Done): Promise<number> {
  for (const one of kept) context.say(keptText(one))
  if (unswept !== undefined) context.say(`what is needed no more was not removed: ${unswept.subject ?? ''}: ${unswept.message}`)
  const isInstalled = receipt.purpose === 'install' && receipt.direction === 'forward'
  const allRan = !isInstalled || (await runPostSteps(context, receipt.postSteps))
  if (isInstalled) await removeSteps(disk)
  const isLeftOpen = kept.some(({ reason }) => reason !== 'merged' && reason !== 'needed')
  return isLeftOpen || !allRan ? needsAttention : 0
}

async function runPostSteps(context: Context, steps: readonly PostStep[]): Promise<boolean> {
  let allRan = true
  for (const step of steps) {
    if (step.kind === 'run' && !(await runCommand(context, step.command))) allRan = false
  }
  for (const step of steps) if (step.kind === 'notice') context.say(step.text)
  return allRan
}

/** In the root that was updated, with its own sh. A failure is told and never undone: the tree is the new one. */
async function runCommand(context: Context, command: string): Promise<boolean> {
  context.explain(`running ${command}`)
  const shell = ['/bin/sh', '-c', command] as const
  try {
    const run = context.root === '/' ? context.exec.run(shell[0], shell.slice(1)) : context.exec.run('chroot', [context.root, ...shell])
    const { status, stderr } = await run
    if (status !== 0) context.say(`'${command}' failed with status ${status}${lastLine(stderr)}`)
    return status === 0
  } catch (error) {
    if (!isBinderyError(error)) throw error
    context.say(`'${command}' could not be run: ${error.message}`)
    return false
  }
}

function lastLine(bytes: Uint8Array): string {
  const line = Buffer.from(bytes).toString('utf8').trimEnd().split('\n').at(-1) ?? ''
  return line === '' ? '' : `: ${line}`
}

/** Before any other change: what a killed run left is finished. Answers the exit status of that. */
export async function recoverFirst(context: Context, { disk, config }: Session): Promise<number> {
  const recovered = await recover(disk, { undo: false, keepReleases: config.keepReleases })
  if (recovered.kind === 'nothing') return 0
  context.say(`${describeRecovered(recovered)}, after an interruption`)
  return await conclude(context, disk, recovered)
}

/** `finished the install of base-1.1-20260201-amd64`. */
export function describeRecovered({ kind, receipt }: Exclude<Recovered, { kind: 'nothing' }>): string {
  const isRollback = receipt.purpose === 'rollback'
  const which = receipt.releases.map((release) => (isRollback ? `from ${release.old} to ${release.new}` : `of ${release.new}`))
  return [`${kind} the ${receipt.purpose}`, ...which].join(' ')
}
