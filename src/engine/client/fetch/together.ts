import { withIncoming } from './fetch.ts'
import type { Incoming } from '../incoming.ts'
import type { Used } from './fetch.ts'
import type { Offer } from './offer.ts'
import type { Session } from './session.ts'

/** Like `withIncoming`, for channels that come by one plan: when a way of one of them turns out to be broken, `use` is called again with all. */
export async function withAllIncoming<T>(
  session: Session,
  offers: readonly Offer[],
  use: (all: readonly Incoming[]) => Promise<T>,
): Promise<Used<T>> {
  const [first, ...rest] = offers
  if (first === undefined) return { result: await use([]), broken: [] }
  const used = await withIncoming(
    session,
    first,
    async (incoming) => await withAllIncoming(session, rest, async (others) => await use([incoming, ...others])),
  )
  if (used === undefined) return await withAllIncoming(session, rest, use)
  return { result: used.result.result, broken: [...used.broken, ...used.result.broken] }
}
