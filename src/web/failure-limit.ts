import { BinderyError } from '../base/error.ts'
import type { Clock } from '../port/ambient.ts'

/** Wrong tokens from one address: so many, then none is looked at for a while. */
export type FailureLimit = { check(address: string): void; note(address: string): void }

export const failuresAllowed = { count: 10, windowMs: 600_000 } as const
const mostAddresses = 10_000

export function failureLimit(clock: Clock): FailureLimit {
  const failures = new Map<string, { count: number; readonly since: number }>()
  const current = (address: string): { count: number; readonly since: number } | undefined => {
    const known = failures.get(address)
    return known !== undefined && clock.now() < known.since + failuresAllowed.windowMs ? known : undefined
  }
  return {
    check: (address) => {
      if ((current(address)?.count ?? 0) >= failuresAllowed.count)
        throw new BinderyError('permission', 'too many wrong tokens from this address: wait ten minutes')
    },
    note: (address) => {
      const known = current(address)
      if (known !== undefined) known.count++
      else {
        const oldest = failures.keys().next()
        if (failures.size >= mostAddresses && oldest.done !== true) failures.delete(oldest.value)
        failures.delete(address)
        failures.set(address, { count: 1, since: clock.now() })
      }
    },
  }
}
