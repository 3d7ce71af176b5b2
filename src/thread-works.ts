import type { Works } from './port/thread.ts'

/** What threads of this program can do, loaded when one is started. */
export const threadWorks: Works = {
  sections: async () => (await import('./engine/delta/section-work.ts')).sectionWork,
}
