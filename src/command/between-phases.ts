import { formatChannel } from '../base/name.ts'
import { readPhase, standingOf } from '../engine/client/phase.ts'
import { readEnrolled, readReleaseState } from '../engine/client/state.ts'
import type { Session } from '../engine/client/fetch/session.ts'
import type { Standing } from '../engine/client/phase.ts'
import type { Context } from './command.ts'

/** By channel: releases that have come in part. */
export type Standings = ReadonlyMap<string, Standing>

export async function betweenPhases({ boot }: Context, { disk }: Session): Promise<Standings> {
  const standings = new Map<string, Standing>()
  for (const { channel } of await readEnrolled(disk)) {
    const state = await readPhase(disk, channel, await readReleaseState(disk, channel))
    if (state !== undefined) standings.set(formatChannel(channel), standingOf(channel, state, await boot.ofRoot()))
  }
  return standings
}
