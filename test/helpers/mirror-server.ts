import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { hostileServer } from './hostile-server.ts'
import type { Socket } from 'node:net'

/** A mirror of a repository in a folder, whose behaviour can be changed at any time, and which counts what it serves. */
export type MirrorServer = {
  /** Its address, with a slash at the end. */
  readonly url: string
  behave: Behaviour
  readonly served: Served[]
  close(): Promise<void>
}

/** One request, and how many bytes of its body have gone out. */
export type Served = { readonly path: string; readonly range: string | undefined; bytes: number }

export type Asked = {
  readonly path: string
  readonly headers: ReadonlyMap<string, string>
  /** Of the file that is asked for; undefined where there is none. */
  readonly content: Buffer | undefined
  readonly socket: Socket
  /** The head as it is given, then these bytes, counted; `wanted` of them are some that somebody may want, else as many as the file has. */
  answer(head: readonly string[], body?: Iterable<Uint8Array>, then?: 'close', wanted?: number): void
}

export type Behaviour = (asked: Asked) => void

export async function mirrorServer(folder: string): Promise<MirrorServer> {
  const served: Served[] = []
  const server = await hostileServer(({ path, headers }, socket) => {
    const seen: Served = { path, range: headers.get('range'), bytes: 0 }
    served.push(seen)
    const file = join(folder, decodeURIComponent(path))
    const content = existsSync(file) ? readFileSync(file) : undefined
    mirror.behave({
      path,
      headers,
      content,
      socket,
      // All of a whole file is too much for who asked for a part.
      answer: (head, body = [], then, wanted = content?.length ?? 0) =>
        void pour({ socket, seen, size: headers.has('range') && head[0]?.startsWith('200') === true ? 0 : wanted }, head, body, then),
    })
  })
  const mirror: MirrorServer = { url: `${server.base}/`, behave: honest, served, close: server.close }
  return mirror
}

const pieceBytes = 16 << 10

/** What lies in the sockets is counted, though nobody may have read it: so what nobody should ask for comes in small pieces, 160 ms for 64 KiB. */
const spare = { bytes: 4 << 10, everyMs: 10 }

type Pouring = { readonly socket: Socket; readonly seen: Served; /** Bytes that somebody may want. */ readonly size: number }

async function pour({ socket, seen, size }: Pouring, head: readonly string[], body: Iterable<Uint8Array>, then?: 'close'): Promise<void> {
  socket.write(`HTTP/1.1 ${head.join('\r\n')}\r\n\r\n`)
  for (const whole of body)
    for (let at = 0; at < whole.length;) {
      const isSpare = seen.bytes >= size
      const piece = whole.subarray(at, at + (isSpare ? spare.bytes : Math.min(pieceBytes, size - seen.bytes)))
      if (socket.destroyed) return
      await new Promise<void>((resolve) => void socket.write(piece, () => resolve()))
      at += piece.length
      seen.bytes += piece.length
      if (isSpare) await new Promise((resolve) => setTimeout(resolve, spare.everyMs))
    }
  if (then === 'close') socket.end()
}

/** As a sound server of files: ranges, no conditions. */
export const honest: Behaviour = ({ content, headers, answer }) => {
  if (content === undefined) return answer(['404 Not Found', 'Content-Length: 0'])
  const range = /^bytes=([0-9]+)-([0-9]*)$/.exec(headers.get('range') ?? '')
  const [from, last] = [Number(range?.[1] ?? 0), Number(range?.[2] || content.length - 1)]
  const part = content.subarray(from, last + 1)
  const head =
    part.length === content.length ? ['200 OK'] : ['206 Partial Content', `Content-Range: bytes ${from}-${last}/${content.length}`]
  answer([...head, `Content-Length: ${part.length}`], [part], undefined, part.length)
}

/** The whole, whatever part is asked for. */
export const ignoresRanges: Behaviour = ({ content, answer }) =>
  content === undefined
    ? answer(['404 Not Found', 'Content-Length: 0'])
    : answer(['200 OK', `Content-Length: ${content.length}`], [content])

/** What each of the ways to be no good does, to whatever is asked. */
export const mischiefs: Readonly<Record<string, Behaviour>> = {
  'hangs before the answer': () => {},
  'sends a byte every half second': ({ content, socket, answer }) => {
    answer(['200 OK', `Content-Length: ${content?.length ?? 1000}`])
    let at = 0
    const timer = setInterval(() => socket.write((content ?? Buffer.alloc(1000)).subarray(at, ++at)), 500)
    socket.on('close', () => clearInterval(timer))
  },
  'falls silent in the middle': ({ content, answer }) => answer(['200 OK', `Content-Length: ${content?.length ?? 1000}`], [half(content)]),
  'never ends': ({ answer }) => answer(['200 OK'], endless()),
  'has a longer file': ({ content, answer }) => {
    const longer = Buffer.concat([content ?? Buffer.alloc(0), Buffer.alloc(200_000)])
    answer(['200 OK', `Content-Length: ${longer.length}`], [longer])
  },
  'has a longer file, and does not say so': ({ content, answer }) =>
    answer(['200 OK'], [content ?? Buffer.alloc(0), Buffer.alloc(200_000)], 'close'),
  'has a shorter file': ({ content, answer }) => answer(['200 OK', `Content-Length: ${half(content).length}`], [half(content)]),
  'breaks off': ({ content, answer }) => answer(['200 OK', `Content-Length: ${content?.length ?? 1000}`], [half(content)], 'close'),
  'redirects in a circle': ({ path, answer }) => answer(['302 Found', `Location: ${path}`, 'Content-Length: 0']),
  'is a portal': ({ answer }) => answer(['200 OK', 'Content-Type: text/html', `Content-Length: ${page.length}`], [page]),
  'is a portal that says nothing of HTML': ({ answer }) => answer(['200 OK', `Content-Length: ${page.length}`], [page]),
  'has other bytes': ({ content, answer }) => {
    const other = content?.map((byte, i) => (i === content.length >> 1 ? byte ^ 1 : byte)) ?? page
    answer(['200 OK', `Content-Length: ${other.length}`], [other])
  },
  'answers 500': ({ answer }) => answer(['500 Oops', 'Content-Length: 0']),
}

const page = Buffer.from('<!DOCTYPE html><html><body>Please log in</body></html>')

function half(content: Buffer | undefined): Buffer {
  return content === undefined ? Buffer.alloc(0) : content.subarray(0, content.length >> 1)
}

function* endless(): Iterable<Uint8Array> {
  yield Buffer.from('{')
  for (;;) yield new Uint8Array(pieceBytes)
}
