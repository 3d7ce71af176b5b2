import { serveFolder } from '../src/host/http-server.ts'

/** node bench/serve-folder.ts FOLDER: serves it on loopback, prints the URL, and ends with SIGTERM. */
const server = await serveFolder({ folder: process.argv[2] as string, host: '127.0.0.1', port: 0 })
process.stdout.write(`${server.url}\n`)
