import { BinderyError, isBinderyError } from '../base/error.ts'
import { channelRole, formatChannel, formatDistName } from '../base/name.ts'
import { showPath } from '../base/path.ts'
import { showSize } from '../base/show-size.ts'
import { selectChannels } from '../engine/client/fetch/offer.ts'
import { readReceiptHeads } from '../engine/client/apply/receipts.ts'
import { replacedFiles } from '../engine/client/apply/replaced.ts'
import { readLeft, stepsToRun } from '../engine/client/apply/steps.ts'
import { readEnrolled, readReleaseState } from '../engine/client/state.ts'
import { describeStanding, standingJson } from '../engine/client/phase.ts'
import { pendingReboots } from '../engine/client/reboot.ts'
import { channelsLeft, describeLeft } from '../engine/client/rest.ts'
import { readToRemove } from '../engine/client/to-remove.ts'
import { betweenPhases } from './between-phases.ts'
import { channelsOf, hasHistory, openSession } from './client-session.ts'
import { staleText } from './finish.ts'
import { sharedFlags } from './flags.ts'
import { pendingText } from './reboot.ts'
import type { Channel } from '../base/name.ts'
import type { RelPath } from '../base/path.ts'
import type { ReceiptHead } from '../engine/client/apply/receipts.ts'
import type { Left } from '../engine/client/apply/steps.ts'
import type { Session } from '../engine/client/fetch/session.ts'
import type { Standing } from '../engine/client/phase.ts'
import type { Enrolled } from '../format/enrolled.ts'
import type { KeptBase, ReleaseState } from '../format/release-state.ts'
import type { RebootClass } from '../format/update.ts'
import type { StaleProcess } from '../port/processes.ts'
import type { Command, Context, Input } from './command.ts'

export const list: Command = {
  name: 'list',
  summary: 'show channels, installed releases and what can be rolled back',
  operands: '[CHANNEL ...]',
  operandCount: { min: 0, max: 64 },
  options: {
    json: sharedFlags.json,
    fleet: { kind: 'value', value: 'DIR', help: 'show instead what machines say that have left their reports in DIR' },
    stale: { kind: 'flag', help: 'show instead the processes that still use files that were replaced' },
  },
  examples: ['bindery list', 'bindery list --stale', 'bindery -C /mnt list --json', 'bindery list --fleet /var/spool/reports'],
  run: async (context, input) => {
    const fleet = input.value('fleet')
    if (fleet !== undefined) return await listOthers(context, input, fleet)
    const session = await openSession(context)
    if (input.flag('stale')) return await listStale(context, session, input.flag('json'))
    const enrolled = await enrolledOf(session, channelsOf(input))
    const [line, receiptLine] = input.flag('json') ? [channelJson, receiptJson] : [channelText, receiptText]
    for (const one of enrolled) {
      const state = await readReleaseState(session.disk, one.channel)
      await context.out(`${line(one, state, await restOf(context, session, one.channel))}\n`)
    }
    for (const shown of await receiptsOf(context, session)) await context.out(`${receiptLine(shown)}\n`)
    if (context.staged !== undefined) await (await context.staging?.())?.listTrees(context, input.flag('json'))
    return 0
  },
}

/** Loaded for this alone. */
async function listOthers(context: Context, input: Input, fleet: string): Promise<number> {
  if (input.flag('stale') || input.operands.length > 0) throw new BinderyError('usage', '--fleet goes with no channel, nor with --stale')
  return await (await import('./fleet-list.ts')).listFleet(context, fleet, input.flag('json'))
}

/** A bundle leaves receipts where nothing is enrolled. */
async function enrolledOf({ disk, access }: Session, channels: readonly Channel[]): Promise<readonly Enrolled[]> {
  const enrolled = await readEnrolled(disk)
  if (enrolled.length === 0 && channels.length === 0 && access === 'write' && (await hasHistory(disk))) return []
  return selectChannels(enrolled, channels)
}

/** Receipts name what was where: they are root's alone. */
async function receiptsOf(context: Context, { disk }: Session): Promise<readonly Shown[]> {
  try {
    const left = new Map((await readLeft(disk)).map((one) => [one.transaction, one]))
    return (await readReceiptHeads(disk)).map((head) => ({ head, left: left.get(head.transaction) }))
  } catch (error) {
    if (!isBinderyError(error, 'permission')) throw error
    context.explain('what was installed before is only shown to root')
    return []
  }
}

/** What is not at rest yet: former libraries that something needs, the class of a reboot that has not been, a release that came in part, or is left. */
type AtRest = {
  readonly needed: readonly RelPath[]
  readonly reboot: RebootClass
  readonly phase: Standing | undefined
  readonly isLeft: boolean
}

async function restOf(context: Context, session: Session, channel: Channel): Promise<AtRest> {
  const { disk } = session
  const pending = (await pendingReboots(disk, context.boot)).find(({ role }) => role === channelRole(channel))
  const needed = (await readToRemove(disk, channel)).items.map(({ path }) => path)
  const name = formatChannel(channel)
  const isLeft = (await channelsLeft(disk)).has(name)
  return { needed, reboot: pending?.class ?? 'none', phase: (await betweenPhases(context, session)).get(name), isLeft }
}

function channelText({ channel, basis }: Enrolled, { name, base }: ReleaseState, { needed, reboot, phase, isLeft }: AtRest): string {
  const lines = [
    ...needed.map((path) => `\n${formatChannel(channel)}: /${showPath(path)} is still needed`),
    ...(phase === undefined ? [] : [`\n${describeStanding(phase)}`]),
    ...(isLeft ? [`\n${describeLeft(formatChannel(channel))}`] : []),
    ...(reboot === 'none' || phase !== undefined ? [] : [`\n${pendingText(formatChannel(channel), formatDistName(name), reboot)}`]),
  ]
  return `${formatChannel(channel)}: ${formatDistName(name)}, basis ${basis}${base === undefined ? '' : ` (${showSize(keptBytes(base))})`}${lines.join('')}`
}

function channelJson(
  { channel, basis, urls, repository }: Enrolled,
  { name, sequence, tar, base }: ReleaseState,
  { needed, reboot, phase, isLeft }: AtRest,
): string {
  const kept = base === undefined ? {} : { keptBytes: keptBytes(base), keptDeltas: base.deltas.length }
  return JSON.stringify({
    channel: formatChannel(channel),
    release: formatDistName(name),
    sequence,
    sha256: tar.sha256,
    basis,
    ...kept,
    ...(needed.length === 0 ? {} : { needed: needed.map(showPath) }),
    pendingReboot: reboot,
    ...(phase === undefined ? {} : { phase: standingJson(phase) }),
    ...(isLeft ? { left: true } : {}),
    repository,
    urls,
  })
}

function keptBytes({ file, deltas }: KeptBase): number {
  return deltas.reduce((sum, delta) => sum + delta.file.size, file.size)
}

type Shown = { readonly head: ReceiptHead; readonly left: Left | undefined }

function receiptText({ head: { transaction, purpose, time, releases }, left }: Shown): string {
  const changes = releases.map(({ old, new: next }) => `${old} -> ${next}`).join(', ')
  const { failed, waiting } = stepNames(left)
  const remarks = [
    ...(failed.length === 0 ? [] : [`, failed: ${failed.join(', ')}`]),
    ...(waiting.length === 0 ? [] : [`, not run yet: ${waiting.join(', ')}`]),
  ]
  return `${transaction}: ${purpose} ${formatTime(time)} ${changes}`.trimEnd() + remarks.join('')
}

function receiptJson({ head: { transaction, purpose, time, releases }, left }: Shown): string {
  return JSON.stringify({ receipt: transaction, purpose, time: formatTime(time), releases, ...stepNames(left) })
}

/** Post-steps of a transaction whose files are in place. */
function stepNames(left: Left | undefined): { readonly failed: readonly string[]; readonly waiting: readonly string[] } {
  const failed = left?.failed ?? []
  const waiting = left === undefined ? [] : stepsToRun({ ...left, failed: [] })
  return { failed: failed.map(({ name }) => name), waiting: waiting.map(({ name }) => name) }
}

/** Receipts say what was replaced, and they are root's alone. */
async function listStale(context: Context, { disk }: Session, json: boolean): Promise<number> {
  const { processes, unseen } = await context.processes.usersOf(await replacedFiles(disk))
  const jsonOf = ({ pid, program, files }: StaleProcess): string => JSON.stringify({ pid, program, files: files.map(showPath) })
  for (const one of processes) await context.out(`${json ? jsonOf(one) : staleText(one)}\n`)
  if (unseen !== undefined) context.say(unseen)
  return 0
}

/** Whole seconds since the epoch. */
function formatTime(time: number): string {
  return `${new Date(time * 1000).toISOString().slice(0, 19)}Z`
}
