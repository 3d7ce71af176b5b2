import { latin1 } from '../../../base/bytes.ts'
import type { Clock } from '../../../port/ambient.ts'
import type { Sandbox } from '../../../port/sandbox.ts'

/**
 * 400 days, as FreeBSD's builders have it: day of the week, day, month and year are all others then, whatever day it is. The
 * hours on top make another hour, of twelve too, and mostly the other half of the day; minutes and seconds are others as well
 * unless a build takes just so much longer.
 */
export const clockShiftSeconds: number = 400 * 86_400 + 13 * 3600 + 11 * 60 + 13

/** A machine that sleeps meanwhile is no reason to say that the clock did not move. */
const tolerance = 3600

/** Whether date(1) of the sandbox sees the clock moved. A static one does not, even where all else would. */
export async function clockMoves(sandbox: Sandbox, clock: Clock, signal: AbortSignal): Promise<boolean> {
  let text = ''
  const output = (bytes: Uint8Array): void => void (text = (text + latin1(bytes)).slice(0, 1000))
  const expected = Math.floor(clock.now() / 1000) + clockShiftSeconds
  const job = { command: ['date', '+%s'], network: false, timeLimitMs: 60_000, clockAheadSeconds: clockShiftSeconds, output, signal }
  const result = await sandbox.run(job)
  const seen = /^(\d{1,12})\n$/.exec(text)?.[1]
  return result.kind === 'ended' && result.status === 0 && seen !== undefined && Math.abs(Number(seen) - expected) < tolerance
}
