import { BinderyError } from '../../base/error.ts'
import { openLiveFeed } from '../live-feed.ts'
import { openLogFeed } from '../log-feed.ts'
import { fromUtf8Lossy } from '../text.ts'
import { openEventStream } from '../event-stream.ts'
import { queryOf, reader, wholeOf } from './reading.ts'
import type { EventStream } from '../event-stream.ts'
import type { RoutePart } from '../dashboard.ts'

/** So many browsers can watch at once; the others have to reload. */
const mostStreams = 500

export const liveRoutes: RoutePart = (input) => (server) => {
  const { farm } = input.options
  if (farm === undefined) return
  const streams = new Set<EventStream>()
  const feed = openLiveFeed(farm.view)
  const keep = (stream: EventStream): EventStream => {
    streams.add(stream)
    stream.onClose(() => streams.delete(stream))
    return stream
  }
  server.addHook('preClose', async () => {
    feed.close()
    for (const stream of streams) stream.close()
  })
  server.get('/live', async (request, reply) => {
    if ((await reader(input, request, reply)) === undefined) return
    checkRoom(streams.size)
    feed.add(keep(openEventStream(reply)))
  })
  server.get('/builds/:id/log/live', async (request, reply) => {
    if ((await reader(input, request, reply)) === undefined) return
    const { id } = request.params as { readonly id: string }
    const from = wholeOf(request.headers['last-event-id']?.toString() ?? queryOf(request)['from'] ?? '0')
    if ((await farm.view.log(wholeOf(id), 0, 0)) === undefined) throw new BinderyError('not-found', 'has no log')
    checkRoom(streams.size)
    openLogFeed(farm.view, wholeOf(id), from, keep(openEventStream(reply)))
  })
  server.get('/builds/:id/log', async (request, reply) => {
    if ((await reader(input, request, reply)) === undefined) return
    const { id } = request.params as { readonly id: string }
    const log = await farm.view.log(wholeOf(id), 0, largestLog)
    if (log === undefined) throw new BinderyError('not-found', 'has no log')
    await reply.type('text/plain; charset=utf-8').send(fromUtf8Lossy(log.bytes))
  })
}

/** Of a longer log, the beginning. */
const largestLog = 32 << 20

function checkRoom(open: number): void {
  if (open >= mostStreams) throw new BinderyError('conflict', 'too many browsers watch already')
}
