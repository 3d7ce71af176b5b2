import type { FarmView } from '../port/farm-view.ts'
import type { EventStream } from './event-stream.ts'

const everyMs = 1000
const partBytes = 64 << 10

/** The log of a build from `from` on, as it grows, until it has ended. */
export function openLogFeed(view: FarmView, build: number, from: number, stream: EventStream): void {
  const decoder = new TextDecoder('utf-8', { fatal: false, ignoreBOM: true })
  let place = from
  let timer: NodeJS.Timeout | undefined
  let isClosed = false
  stream.onClose(() => {
    isClosed = true
    clearTimeout(timer)
  })
  /** Answers after how long to look again. */
  const look = async (): Promise<number | undefined> => {
    if (stream.isBehind()) return everyMs
    const part = await view.log(build, place, partBytes)
    if (part !== undefined && part.bytes.length > 0) {
      place += part.bytes.length
      stream.send('part', decoder.decode(part.bytes, { stream: true }), place)
      return part.bytes.length === partBytes ? 0 : everyMs
    }
    if (part !== undefined && !part.ended) return everyMs
    stream.send('end', '')
    stream.close()
    return undefined
  }
  const run = async (): Promise<void> => {
    const wait = await look().catch(() => everyMs)
    if (wait !== undefined && !isClosed) timer = setTimeout(() => void run(), wait)
  }
  void run()
}
