import { serveThread } from './host/thread-service.ts'
import { threadWorks } from './thread-works.ts'

/** A thread of dist/bindery.js. */
await serveThread(threadWorks)
