import { formatDistName } from '../../../base/name.ts'
import { readReleaseState } from '../state.ts'
import { listReleases } from './releases.ts'
import type { Channel } from '../../../base/name.ts'
import type { DiskReader } from '../../../port/disk.ts'
import type { Offer } from './offer.ts'

/** What a channel says now of the release that is installed. */
export type Prospects = {
  readonly channel: Channel
  readonly release: string
  readonly endOfLife?: string
  readonly withdrawn?: true
}

/** Nothing of one that the channel does not list any more. */
export async function prospectsOf(
  disk: DiskReader,
  { enrolled: { channel }, trust }: Pick<Offer, 'enrolled' | 'trust'>,
): Promise<Prospects> {
  const release = formatDistName((await readReleaseState(disk, channel)).name)
  const listed = (await listReleases(trust, channel)).find(({ name }) => formatDistName(name) === release)
  return {
    channel,
    release,
    ...(listed?.endOfLife === undefined ? {} : { endOfLife: listed.endOfLife }),
    ...(listed?.withdrawn === undefined ? {} : { withdrawn: listed.withdrawn }),
  }
}

/** How many days ahead an end of life is announced; with 0 it has come. */
const stages = [0, 7, 30, 90] as const

/** The announcement that is due at that time, in milliseconds; none is before the first. */
export function stageOf(date: string, now: number): (typeof stages)[number] | undefined {
  const days = daysUntil(date, now)
  return stages.find((stage) => days <= stage)
}

export function daysUntil(date: string, now: number): number {
  return Math.ceil((Date.parse(`${date}T00:00:00Z`) - now) / 86_400_000)
}
