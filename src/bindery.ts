import { verbs } from './command/verbs.ts'
import { hostThreads } from './host/thread.ts'
import { main } from './main.ts'

/** The whole tool: dist/bindery.js. Its threads have an entry of their own beside it. */
await main(verbs, {
  threads: hostThreads(new URL(import.meta.url.replace(/bindery(?=\.[jt]s$)/, 'bindery-thread'))),
  staging: async () => (await import('./command/staging.ts')).staging,
})
