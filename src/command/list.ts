import { isBinderyError } from '../base/error.ts'
import { formatChannel, formatDistName } from '../base/name.ts'
import { showPath } from '../base/path.ts'
import { showSize } from '../base/show-size.ts'
import { selectChannels } from '../engine/client/fetch/offer.ts'
import { readReceiptHeads } from '../engine/client/apply/receipts.ts'
import { readEnrolled, readReleaseState } from '../engine/client/state.ts'
import { readToRemove } from '../engine/client/to-remove.ts'
import { channelsOf, hasHistory, openSession } from './client-session.ts'
import { sharedFlags } from './flags.ts'
import type { Channel } from '../base/name.ts'
import type { RelPath } from '../base/path.ts'
import type { ReceiptHead } from '../engine/client/apply/receipts.ts'
import type { Session } from '../engine/client/fetch/session.ts'
import type { Enrolled } from '../format/enrolled.ts'
import type { KeptBase, ReleaseState } from '../format/release-state.ts'
import type { Command, Context } from './command.ts'

export const list: Command = {
  name: 'list',
  summary: 'show channels, installed releases and what can be rolled back',
  operands: '[CHANNEL ...]',
  operandCount: { min: 0, max: 64 },
  options: { json: sharedFlags.json },
  examples: ['bindery list', 'bindery -C /mnt list --json'],
  run: async (context, input) => {
    const session = await openSession(context)
    const enrolled = await enrolledOf(session, channelsOf(input))
    const [line, receiptLine] = input.flag('json') ? [channelJson, receiptJson] : [channelText, receiptText]
    for (const one of enrolled) {
      const state = await readReleaseState(session.disk, one.channel)
      const waiting = (await readToRemove(session.disk, one.channel)).items.map(({ path }) => path)
      await context.out(`${line(one, state, waiting)}\n`)
    }
    for (const head of await receiptsOf(context, session)) await context.out(`${receiptLine(head)}\n`)
    return 0
  },
}

/** A bundle leaves receipts where nothing is enrolled. */
async function enrolledOf({ disk, access }: Session, channels: readonly Channel[]): Promise<readonly Enrolled[]> {
  const enrolled = await readEnrolled(disk)
  if (enrolled.length === 0 && channels.length === 0 && access === 'write' && (await hasHistory(disk))) return []
  return selectChannels(enrolled, channels)
}

/** Receipts name what was where: they are root's alone. */
async function receiptsOf(context: Context, { disk }: Session): Promise<readonly ReceiptHead[]> {
  try {
    return await readReceiptHeads(disk)
  } catch (error) {
    if (!isBinderyError(error, 'permission')) throw error
    context.explain('what was installed before is only shown to root')
    return []
  }
}

function channelText({ channel, basis }: Enrolled, { name, base }: ReleaseState, needed: readonly RelPath[]): string {
  const lines = needed.map((path) => `\n${formatChannel(channel)}: /${showPath(path)} is still needed`)
  return `${formatChannel(channel)}: ${formatDistName(name)}, basis ${basis}${base === undefined ? '' : ` (${showSize(keptBytes(base))})`}${lines.join('')}`
}

function channelJson(
  { channel, basis, urls, repository }: Enrolled,
  { name, sequence, tar, base }: ReleaseState,
  needed: readonly RelPath[],
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
    repository,
    urls,
  })
}

function keptBytes({ file, deltas }: KeptBase): number {
  return deltas.reduce((sum, delta) => sum + delta.file.size, file.size)
}

function receiptText({ transaction, purpose, time, releases }: ReceiptHead): string {
  const changes = releases.map(({ old, new: next }) => `${old} -> ${next}`).join(', ')
  return `${transaction}: ${purpose} ${formatTime(time)} ${changes}`.trimEnd()
}

function receiptJson({ transaction, purpose, time, releases }: ReceiptHead): string {
  return JSON.stringify({ receipt: transaction, purpose, time: formatTime(time), releases })
}

/** Whole seconds since the epoch. */
function formatTime(time: number): string {
  return `${new Date(time * 1000).toISOString().slice(0, 19)}Z`
}
