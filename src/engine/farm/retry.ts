import type { Retry } from '../../port/farm-build.ts'

export type RetryPolicy = {
  /** After so many failures in a row, only a person has it tried again. */
  readonly failures: number
  readonly firstSeconds: number
  readonly mostSeconds: number
}

export const usualRetries: RetryPolicy = { failures: 3, firstSeconds: 300, mostSeconds: 6 * 3600 }

/**
 * `failures` counts this one. A mirror of sources that was away comes back within minutes, a port that is broken does not: each wait is four
 * times the one before.
 */
export function afterFailure(failures: number, { failures: most, firstSeconds, mostSeconds }: RetryPolicy): Retry {
  if (failures >= most) return { kind: 'quarantine' }
  return { kind: 'again', afterSeconds: Math.min(mostSeconds, firstSeconds * 4 ** Math.max(0, failures - 1)) }
}
