import { verbs } from './command/verbs.ts'
import { hostThreads, isThread, serveThread } from './host/thread.ts'
import { main } from './main.ts'
import { threadWorks } from './thread-works.ts'

/** The whole tool: dist/bindery.js. Its threads run it, too. */
if (isThread) await serveThread(threadWorks)
else await main(verbs, hostThreads(import.meta.url))
