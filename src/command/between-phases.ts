import { channelRole, formatChannel } from '../base/name.ts'
import { readPhase, standingOf } from '../engine/client/phase.ts'
import { pendingReboots } from '../engine/client/reboot.ts'
import { readEnrolled, readReleaseState } from '../engine/client/state.ts'
import type { Session } from '../engine/client/fetch/session.ts'
import type { Standing } from '../engine/client/phase.ts'
import type { Context } from './command.ts'

/** By channel: releases that have come in part. */
export type Standings = ReadonlyMap<string, Standing>

/** A phase that was cut off came to its end in a later start than it began in, and that one has not had it either: the recorded need says so. */
export async function betweenPhases({ boot }: Context, { disk }: Session): Promise<Standings> {
  const standings = new Map<string, Standing>()
  let pending: ReadonlySet<string> | undefined
  for (const { channel } of await readEnrolled(disk)) {
    const state = await readPhase(disk, channel, await readReleaseState(disk, channel))
    if (state === undefined) continue
    pending ??= new Set((await pendingReboots(disk, boot)).map(({ role }) => role))
    const isPending = pending.has(channelRole(channel))
    standings.set(formatChannel(channel), standingOf(channel, state, { boot: await boot.ofRoot(), isPending }))
  }
  return standings
}
