/** The one global object by which instrumented code and its runner talk (Stryker's instrumenter, `INSTRUMENTER_CONSTANTS`). */
export type Counters = {
  activeMutant?: string
  currentTestId?: string
  hitCount?: number
  hitLimit?: number
  mutantCoverage?: unknown
}

const global = globalThis as { __stryker__?: Counters }
export const counters: Counters = (global.__stryker__ ??= {})
