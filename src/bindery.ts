import { verbs } from './command/verbs.ts'
import { main } from './main.ts'

/** The whole tool: dist/bindery.js. */
await main(verbs)
