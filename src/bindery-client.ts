import { clientVerbs } from './command/verbs-client.ts'
import { main } from './main.ts'

/** What a machine needs that only takes updates: dist/bindery-client.js, one file without the maker's half. */
await main(clientVerbs)
