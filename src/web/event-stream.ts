import type { FastifyReply } from 'fastify'

/** Server-sent events to one browser, which asks again by itself when the connection breaks. */
export type EventStream = {
  /** `id` comes back as Last-Event-ID. */
  send(event: string, data: unknown, id?: number): void
  /** Whether what was sent is still waiting for a slow reader. */
  isBehind(): boolean
  onClose(work: () => void): void
  close(): void
}

const headers = { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-store', 'x-accel-buffering': 'no' }
const quietMs = 15_000

export function openEventStream(reply: FastifyReply): EventStream {
  reply.hijack()
  const { raw } = reply
  raw.writeHead(200, { ...headers, 'x-content-type-options': 'nosniff' })
  raw.write('retry: 3000\n\n')
  // So that proxies, and we, notice a reader that is gone.
  const alive = setInterval(() => raw.write(':\n\n'), quietMs)
  raw.once('close', () => clearInterval(alive))
  return {
    send: (event, data, id) => void raw.write(`${id === undefined ? '' : `id: ${id}\n`}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`),
    isBehind: () => raw.writableNeedDrain,
    onClose: (work) => void raw.once('close', work),
    close: () => void raw.end(),
  }
}
