import { loadavg } from 'node:os'

/** Of the last minute, in hundredths. */
export function loadNow(): number {
  return Math.round((loadavg()[0] ?? 0) * 100)
}
