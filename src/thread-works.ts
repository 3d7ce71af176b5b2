import type { Works } from './port/thread.ts'

/** What threads of this program can do, loaded when one is started. */
export const threadWorks: Works = {
  match: async () => (await import('./engine/delta/match-work.ts')).matchWork,
}
