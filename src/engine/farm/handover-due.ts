import type { Build } from '../../port/farm-build.ts'

export type Pending = {
  /** Of one branch and architecture. */
  readonly built: readonly Build[]
  /** How many wait or are being built. */
  readonly unfinished: number
  readonly now: number
  readonly mostSeconds: number
}

/** Whether what is built is to be handed over now: when nothing more is to come, when it waits for long enough, and for security's sake at once. */
export function isHandoverDue({ built, unfinished, now, mostSeconds }: Pending): boolean {
  if (built.length === 0) return false
  return unfinished === 0 || built.some(({ isSecurity, since }) => isSecurity || now - since >= mostSeconds * 1000)
}
