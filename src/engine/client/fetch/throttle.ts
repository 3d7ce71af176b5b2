import type { Clock, Wait } from '../../../port/ambient.ts'

/** Called with the bytes of each piece as it comes: returns when the next one may be taken. What is not read, the network holds back. */
export type Throttle = (bytes: number) => Promise<void>

export type Pacing = { readonly clock: Clock; readonly wait: Wait; readonly signal: AbortSignal }

/** Waits shorter than this are saved up: a timer costs more than a small piece. */
const leastWaitMs = 50

/** `rate` bytes a second over all requests of a run; 0 for as fast as it goes. */
export function throttle(rate: number, { clock, wait, signal }: Pacing): Throttle {
  if (rate === 0) return async () => {}
  let paidUntil = 0
  return async (bytes) => {
    const now = clock.now()
    const span = (bytes * 1000) / rate
    // A clock that is set back must not make a pause of an hour.
    const from = paidUntil - now > span + 2 * leastWaitMs ? now : Math.max(now, paidUntil)
    paidUntil = from + span
    if (paidUntil - now >= leastWaitMs) await wait(paidUntil - now, signal)
  }
}
