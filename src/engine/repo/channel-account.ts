import { channelOfRole, formatChannel, formatDistName } from '../../base/name.ts'
import { cheapestRoute } from '../update/route.ts'
import { readUpdates } from './channel-draft.ts'
import { loadRepository } from './repository.ts'
import type { Update } from '../../format/update.ts'
import type { Store } from '../../port/store.ts'

/** What the releases of a channel cost those who follow it, in bytes on the wire. */
export type ChannelAccount = {
  readonly channel: string
  /** When its metadata expires: milliseconds since the epoch. */
  readonly expires: number
  /** By sequence. */
  readonly releases: readonly ReleaseAccount[]
}

export type ReleaseAccount = {
  readonly sequence: number
  readonly name: string
  readonly security: boolean
  /** The smallest way without an earlier release. */
  readonly full: number
  /** The cheapest way from the release before; undefined where there is none but the full one. */
  readonly step: number | undefined
  readonly deltas: readonly { readonly from: string; readonly size: number }[]
}

/** Everything in it was signed and checked; `not-found` where there is no repository. */
export async function readChannelAccounts(store: Store): Promise<readonly ChannelAccount[]> {
  const { channels } = await loadRepository(store)
  const accounts: ChannelAccount[] = []
  for (const [role, { signed }] of channels) {
    const channel = channelOfRole(role)
    if (channel === undefined) continue
    const updates = await readUpdates(store, signed.value.targets)
    accounts.push({
      channel: formatChannel(channel),
      expires: signed.value.expires,
      releases: updates.map((_, i) => accountOf(updates, i)),
    })
  }
  return accounts
}

function accountOf(updates: readonly Update[], at: number): ReleaseAccount {
  const update = updates[at] as Update
  const before = updates[at - 1]
  const name = formatDistName(update.release.name)
  const step = before && cheapestRoute({ updates: updates.slice(0, at + 1), from: formatDistName(before.release.name), to: name })
  const full = cheapestRoute({ updates: [update], from: undefined, to: name })
  return {
    sequence: update.sequence,
    name,
    security: update.security,
    full: full.kind === 'none' ? 0 : full.bytes,
    step: step?.kind === 'deltas' ? step.bytes : undefined,
    deltas: update.deltas.map(({ from, size }) => ({ from, size })),
  }
}
