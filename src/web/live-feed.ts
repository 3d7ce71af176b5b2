import type { FarmView } from '../port/farm-view.ts'
import type { EventStream } from './event-stream.ts'

/** Tells all that watch when something has happened. As long as nobody watches, nothing is asked. */
export type LiveFeed = { add(stream: EventStream): void; close(): void }

const everyMs = 1000
const atOnce = 100

export function openLiveFeed(view: FarmView): LiveFeed {
  const streams = new Set<EventStream>()
  let timer: NodeJS.Timeout | undefined
  let cursor: number | undefined
  let isClosed = false
  const look = async (): Promise<void> => {
    const news = await view.eventsAfter(cursor, atOnce)
    cursor = news.cursor
    if (news.events.length === 0) return
    const subjects = news.events.map(({ kind, subject, what }) => ({ kind, subject, what }))
    for (const stream of streams) if (!stream.isBehind()) stream.send('change', subjects, news.cursor)
  }
  const run = async (): Promise<void> => {
    // A database that is away for a moment costs a look, no more.
    await look().catch(() => {})
    timer = streams.size === 0 || isClosed ? undefined : setTimeout(() => void run(), everyMs)
    if (timer === undefined) cursor = undefined
  }
  return {
    add: (stream) => {
      streams.add(stream)
      stream.onClose(() => streams.delete(stream))
      if (timer === undefined) timer = setTimeout(() => void run(), 0)
    },
    close: () => {
      isClosed = true
      clearTimeout(timer)
    },
  }
}
