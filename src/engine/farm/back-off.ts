import type { Random } from '../../port/ambient.ts'

const firstPauseMs = 250
const longestPauseMs = 30_000

/** Before the next try of what somebody else has to answer: twice as long each time, and not all who wait at once. */
export function pauseAfter(tries: number, random: Random): number {
  const most = Math.min(longestPauseMs, firstPauseMs * 2 ** tries)
  return most / 2 + ((random.bytes(1)[0] as number) / 255) * (most / 2)
}
