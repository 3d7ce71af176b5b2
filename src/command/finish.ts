import { channelOfRole, formatChannel } from '../base/name.ts'
import { showPath } from '../base/path.ts'
import { showText } from '../base/show-text.ts'
import { replacedFiles } from '../engine/client/apply/replaced.ts'
import { readLeft, stepsToRun, updateSteps } from '../engine/client/apply/steps.ts'
import { pendingReboots } from '../engine/client/reboot.ts'
import { strongestReboot } from '../format/update.ts'
import { inPlace } from './outcome.ts'
import type { Left } from '../engine/client/apply/steps.ts'
import type { Session } from '../engine/client/fetch/session.ts'
import type { RebootClass } from '../format/update.ts'
import type { StaleProcess } from '../port/processes.ts'
import type { Context, Input } from './command.ts'

/** The end of a run: one notice for all that was done in it, and for what an interrupted run did not come to say. */

/** Does `work`, and then says what there is to say, also when the work failed on its way. Answers the strongest class of reboot. */
export async function finishing<T>(context: Context, session: Session, work: () => Promise<T>): Promise<Finished<T>> {
  try {
    const result = await work()
    return { result, reboot: await inPlace(async () => await tellNotices(context, session)) }
  } catch (error) {
    await tellNotices(context, session).catch(() => 'the first error is the one to tell')
    throw error
  }
}

/** The same of a verb that changes the machine: a report of it is left where somebody wants one. */
export async function reported(
  context: Context,
  session: Session,
  { verb, input }: { readonly verb: string; readonly input: Input },
  work: () => Promise<number>,
): Promise<Finished<number>> {
  const finish = async (): Promise<Finished<number>> => await finishing(context, session, work)
  const given = input.list('report')
  if (given.length === 0 && session.config.reports.length === 0) return await finish()
  const { placesOf, reporting } = await import('./report.ts')
  return await reporting(context, session, { verb, places: placesOf(given) ?? session.config.reports }, finish)
}

export type Finished<T> = { readonly result: T; readonly reboot: RebootClass }

/** Of all transactions whose steps have been tried; what was said is left no more. */
async function tellNotices(context: Context, session: Session): Promise<RebootClass> {
  const { disk } = session
  const all = (await readLeft(disk)).filter((left) => stepsToRun({ ...left, failed: [] }).length === 0 && isToTell(left))
  for (const [text, channels] of notices(all)) sayOf(context, channels, text)
  const needs = await needsOf(context, session, all)
  if (needs.restart.length > 0) await tellRestart(context, session, all, needs.restart)
  if (needs.reboot.length > 0)
    context.say(`reboot to finish the update of ${channelNames(needs.reboot).join(', ')}${withCare(needs.class)}`)
  for (const left of all) await updateSteps(disk, { ...left, postSteps: [], kept: [], reboot: [] })
  // Where a step has failed, a machine should not be started that cannot be.
  return all.some(({ failed = [] }) => failed.length > 0) ? 'none' : needs.class
}

function isToTell({ postSteps, reboot }: Left): boolean {
  return postSteps.length > 0 || reboot.length > 0
}

function notices(all: readonly Left[]): ReadonlyMap<string, readonly Left[]> {
  const texts = new Map<string, Left[]>()
  for (const left of all) {
    for (const step of left.postSteps) if (step.kind === 'notice') texts.set(step.text, [...(texts.get(step.text) ?? []), left])
  }
  return texts
}

function sayOf(context: Context, of: readonly Left[], text: string): void {
  const [first = '', ...more] = showText(text.trimEnd()).split('\n')
  context.say(`${channelsOf(of).join(', ')}: ${first}`)
  for (const line of more) context.say(`  ${line}`)
}

function channelsOf(all: readonly Left[]): readonly string[] {
  return channelNames(all.flatMap(({ releases }) => releases.map(({ role }) => role)))
}

function channelNames(roles: readonly string[]): readonly string[] {
  return [...new Set(roles)].map((role) => {
    const channel = channelOfRole(role)
    return channel === undefined ? role : formatChannel(channel)
  })
}

type Needs = { readonly restart: readonly string[]; readonly reboot: readonly string[]; readonly class: RebootClass }

/** By roles. A rollback to what the machine has been running all the time needs no reboot, whatever it took back. */
async function needsOf({ boot }: Context, { disk }: Session, all: readonly Left[]): Promise<Needs> {
  const isTold = (await boot.id()) !== undefined
  const pending = new Set((await pendingReboots(disk, boot)).map(({ role }) => role))
  const needs = all.flatMap(({ reboot }) => reboot).filter((one) => one.class === 'restart' || !isTold || pending.has(one.role))
  const rolesOf = (isRestart: boolean): readonly string[] =>
    needs.filter((one) => (one.class === 'restart') === isRestart).map(({ role }) => role)
  return { restart: rolesOf(true), reboot: rolesOf(false), class: strongestReboot(needs.map((one) => one.class)) }
}

function withCare(kind: RebootClass): string {
  return kind === 'careful' ? '; somebody should be near the machine' : ''
}

async function tellRestart(context: Context, { disk }: Session, all: readonly Left[], roles: readonly string[]): Promise<void> {
  const those = all.filter(({ releases }) => releases.some(({ role }) => roles.includes(role)))
  const report = await context.processes.usersOf(await replacedFiles(disk, new Set(those.map(({ transaction }) => transaction))))
  const what = channelNames(roles).join(', ')
  if (report.processes.length === 0) context.say(`restart services that use what was updated of ${what}`)
  else context.say(`restart what still runs files that ${what} had before:`)
  for (const one of report.processes) context.say(`  ${staleText(one)}`)
  if (report.unseen !== undefined) context.say(`  (${report.unseen})`)
}

/** `812 /usr/sbin/sshd: /usr/lib/libcrypto.so.50`. */
export function staleText({ pid, program, files }: StaleProcess): string {
  return `${pid} ${showText(program)}: ${files.map((path) => `/${showPath(path)}`).join(', ')}`
}
