import { formatChannel, formatDistName } from '../base/name.ts'
import { showSize } from '../base/show-size.ts'
import { withIncoming } from '../engine/client/fetch/fetch.ts'
import { describeKeptBack, fitOffers } from '../engine/client/fetch/fitting-offers.ts'
import { findOffers } from '../engine/client/fetch/offer.ts'
import { needsAttention, removeDownloads } from './outcome.ts'
import { changing, channelsOf, openSession, refuseReader, withLock } from './client-session.ts'
import { sharedFlags } from './flags.ts'
import { print } from './output.ts'
import type { Sha256 } from '../base/digest.ts'
import type { Incoming } from '../engine/client/incoming.ts'
import type { Offer } from '../engine/client/fetch/offer.ts'
import type { Session } from '../engine/client/fetch/session.ts'
import type { Command, Context, Input } from './command.ts'

export const fetch: Command = {
  name: 'fetch',
  summary: 'download updates, to be installed later',
  operands: '[CHANNEL ...]',
  operandCount: { min: 0, max: 64 },
  options: { json: sharedFlags.json },
  examples: ['bindery fetch', 'bindery fetch && bindery install'],
  run: async (context, input) => {
    return await changing(context, await openSession(context, 'fetching'), async (session) => {
      await refuseReader(session)
      return await withLock(context, 'fetch', async () => await fetchAll(context, session, input))
    })
  },
}

async function fetchAll(context: Context, session: Session, input: Input): Promise<number> {
  const keep = new Set<Sha256>()
  let status = 0
  const offers = await findOffers(session, channelsOf(input))
  const isHeld = (offer: Offer): boolean => offer.isHeld && input.operands.length === 0
  for (const offer of offers) if (isHeld(offer)) context.explain(`${formatChannel(offer.enrolled.channel)} is held`)
  const { groups, keptBack } = await fitOffers(session, offers, (offer) => (isHeld(offer) ? [] : offer.goals))
  for (const one of keptBack) context.say(describeKeptBack(one))
  for (const offer of groups.flat()) if ((await fetchOne(context, session, input, offer, keep)).length > 0) status = needsAttention
  // What a run for other channels left may still be wanted; only a run for all knows.
  if (input.operands.length === 0) status = Math.max(status, await removeDownloads(context, session.disk, keep))
  return status
}

/** Answers what turned out to be broken on the way. */
async function fetchOne(context: Context, session: Session, input: Input, offer: Offer, keep: Set<Sha256>): Promise<readonly string[]> {
  const used = await withIncoming(session, offer, async (incoming) => incoming)
  if (used === undefined) return []
  for (const digest of used.result.cached) keep.add(digest)
  await report(context, input, used.result, used.broken)
  return used.broken
}

async function report(context: Context, input: Input, incoming: Incoming, broken: readonly string[]): Promise<void> {
  const channel = formatChannel(incoming.channel)
  const release = formatDistName(incoming.update.value.release.name)
  if (input.flag('json')) await print(context, `${JSON.stringify({ channel, release, ...incoming.fetched, broken })}\n`)
  else context.explain(`${channel}: ${release} is here, ${showSize(incoming.fetched.bytes)}`)
}
