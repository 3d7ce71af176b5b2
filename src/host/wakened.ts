import { setTimeout as sleep } from 'node:timers/promises'

/** Who waits for something to do, in this process. */
export type Wakened = {
  readonly wake: () => void
  /** How often somebody has woken: who worked meanwhile has not heard of it otherwise. */
  readonly times: () => number
  /** Resolves when somebody wakes, or after so long. */
  readonly changed: (milliseconds: number, signal?: AbortSignal) => Promise<void>
}

export function wakened(): Wakened {
  let next = Promise.withResolvers<void>()
  let times = 0
  return {
    times: () => times,
    wake: () => {
      times++
      next.resolve()
      next = Promise.withResolvers<void>()
    },
    changed: async (milliseconds, signal) => {
      const ended = new AbortController()
      const either = signal === undefined ? ended.signal : AbortSignal.any([ended.signal, signal])
      // Whatever ended it, nobody is told why: whoever waits looks himself.
      await Promise.race([next.promise, sleep(milliseconds, undefined, { signal: either }).catch(() => {})])
      ended.abort()
    },
  }
}
