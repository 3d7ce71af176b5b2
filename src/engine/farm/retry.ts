import type { Retry } from '../../port/farm-build.ts'

export type RetryPolicy = {
  /** After so many failures in a row, only a person has it tried again. */
  readonly failures: number
  /** Nor when it has lost so many builders: a port that takes machines down would take all of them. */
  readonly losses: number
  readonly firstSeconds: number
  readonly mostSeconds: number
}

export const usualRetries: RetryPolicy = { failures: 3, losses: 5, firstSeconds: 300, mostSeconds: 6 * 3600 }

/**
 * `failures` counts this one. A mirror of sources that was away comes back within minutes, a port that is broken does not: each wait is four
 * times the one before.
 */
export function afterFailure(failures: number, { failures: most, firstSeconds, mostSeconds }: Omit<RetryPolicy, 'losses'>): Retry {
  if (failures >= most) return { kind: 'quarantine' }
  return { kind: 'again', afterSeconds: Math.min(mostSeconds, firstSeconds * 4 ** Math.max(0, failures - 1)) }
}
