import { isBinderyError } from '../base/error.ts'
import { formatChannel } from '../base/name.ts'
import { readReceiptHeads } from '../engine/client/apply/receipts.ts'
import { findOffers, newestOf } from '../engine/client/fetch/offer.ts'
import { ownerOf } from '../engine/client/rest.ts'
import { readEnrolled } from '../engine/client/state.ts'
import { needsAttention, takingBack } from './outcome.ts'
import type { Channel } from '../base/name.ts'
import type { FittingOffers } from '../engine/client/fetch/fitting-offers.ts'
import type { Offer } from '../engine/client/fetch/offer.ts'
import type { Session } from '../engine/client/fetch/session.ts'
import type { Context } from './command.ts'

/** An install that brings another bindery: that comes first, and does the rest (doc/decisions/0209). */

/** How far a run has come. `goesOn`: the bindery that lies there now does the rest. */
export type Went = { readonly status: number; readonly goesOn: boolean }

/** A channel whose records this bindery cannot read does not keep it from becoming one that can: then its own channel is all that is offered. */
export async function offersFor(
  context: Context,
  session: Session,
  channels: readonly Channel[],
): Promise<{ readonly offers: readonly Offer[]; readonly areAll: boolean }> {
  try {
    return { offers: await findOffers(session, channels), areAll: true }
  } catch (error) {
    if (!isBinderyError(error, 'not-supported')) throw error
    const asked = channels.length > 0 ? channels : (await readEnrolled(session.disk)).map(({ channel }) => channel)
    const own = await ownerOf(session.disk, asked, context.program.paths)
    const offers = own === undefined ? [] : await findOffers(session, [own])
    if (!offers.some((offer) => newestOf(offer) !== undefined && (channels.length > 0 || !offer.isHeld))) throw error
    context.say(`${error.message}; bindery itself is updated first`)
    return { offers, areAll: false }
  }
}

/** The channel that brings bindery comes first, and without those that it does not need: what comes later is done by the newer one. */
export async function ownFirst(
  { program }: Context,
  { disk }: Session,
  groups: FittingOffers['groups'],
  alone: (own: Offer) => Promise<FittingOffers>,
): Promise<FittingOffers['groups']> {
  const all = groups.flat()
  const channel =
    all.length < 2
      ? undefined
      : await ownerOf(
          disk,
          all.map(({ enrolled }) => enrolled.channel),
          program.paths,
        )
  if (channel === undefined) return groups
  const isOwn = ({ enrolled }: Offer): boolean => formatChannel(enrolled.channel) === formatChannel(channel)
  const own = all.find(isOwn) as Offer
  const others = groups.filter((group) => !group.includes(own))
  const together = groups.find((group) => group.includes(own)) as readonly Offer[]
  const [first] = (await alone(own)).groups
  if (together.length === 1 || first === undefined || releaseOf(first[0] as Offer) !== releaseOf(own)) return [together, ...others]
  return [first, together.filter((offer) => offer !== own), ...others]
}

function releaseOf(offer: Offer): number | undefined {
  return newestOf(offer)?.value.sequence
}

/** When another bindery has come. One that does not start goes back: throws `command-failed`. */
export async function handOver(
  context: Context,
  session: Session,
  { status, hasRest }: { readonly status: number; readonly hasRest: boolean },
): Promise<Went> {
  const { program, say, explain } = context
  const there = await program.there()
  if (there.kind === 'broken') return await takeBack(context, session, `the bindery that has come does not start: it ${there.why}`)
  if (there.kind === 'starts' && program.become !== undefined) {
    const tell = hasRest ? say : explain
    tell(`bindery is now ${there.version}, which goes on`)
    return { status, goesOn: true }
  }
  if (!hasRest) return { status, goesOn: false }
  say(`bindery is now ${there.kind === 'starts' ? there.version : 'somewhere else'}: run the same command again`)
  return { status: Math.max(status, needsAttention), goesOn: false }
}

async function takeBack(context: Context, session: Session, why: string): Promise<Went> {
  const newest = (await readReceiptHeads(session.disk)).at(-1)
  const error = newest === undefined ? undefined : await takingBack(context, session, newest, why)
  context.say(`${why}; it could not be taken back: ${error?.message ?? 'there is no receipt'}`)
  return { status: needsAttention, goesOn: false }
}
