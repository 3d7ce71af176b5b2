import { decodeListing } from '../../format/listing.ts'
import { releaseTargets } from '../update/compose.ts'
import { rolloutFrom } from './amend.ts'
import type { Listing } from '../../format/listing.ts'
import type { Update } from '../../format/update.ts'
import type { Clock } from '../../port/ambient.ts'
import type { Amendment } from './amend.ts'
import type { ChannelDraft } from './channel-draft.ts'

/** What a maker wants to be said of new releases beside their records. */
export type ListingWish = Pick<Amendment, 'endOfLife' | 'rollout'>

type Wishes = { readonly clock: Clock; readonly explain: (line: string) => void; readonly listing?: ListingWish | undefined }

/** A day that is not named again goes on to hold: who forgets it is not the one who would miss the warning. */
export function newListing({ clock, explain, listing = {} }: Wishes, draft: ChannelDraft, { sequence }: Update): Listing {
  const before = endBefore(draft)
  const endOfLife = listing.endOfLife ?? before
  const rollout = listing.rollout === undefined ? undefined : rolloutFrom(listing.rollout, clock)
  if (listing.endOfLife === undefined && before !== undefined) explain(`${draft.role}: its end of life stays ${before}`)
  return {
    sequence,
    ...(endOfLife === undefined || endOfLife === 'none' ? {} : { endOfLife }),
    ...(rollout === undefined ? {} : { rollout }),
  }
}

function endBefore({ updates, targets }: ChannelDraft): string | undefined {
  const newest = updates.at(-1)
  if (newest === undefined) return undefined
  const path = releaseTargets(newest.release.name).update
  return decodeListing(path, targets.get(path)?.custom)?.endOfLife
}
