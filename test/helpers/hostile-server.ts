import { createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'

/** What the server does with one request: it owns the socket and may do anything. */
export type Mischief = (request: { readonly path: string; readonly headers: ReadonlyMap<string, string> }, socket: Socket) => void

export type HostileServer = {
  readonly base: string
  readonly requests: { path: string; headers: ReadonlyMap<string, string> }[]
  close(): Promise<void>
}

/** Speaks HTTP by hand, so that it can lie in ways that a real server library would not let it. */
export async function hostileServer(mischief: Mischief): Promise<HostileServer> {
  const sockets = new Set<Socket>()
  const requests: { path: string; headers: ReadonlyMap<string, string> }[] = []
  const server = createServer((socket) => {
    sockets.add(socket)
    let buffered = ''
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
    socket.on('data', (data) => {
      buffered += data.toString('latin1')
      for (let end = buffered.indexOf('\r\n\r\n'); end >= 0; end = buffered.indexOf('\r\n\r\n')) {
        const request = parseHead(buffered.slice(0, end))
        buffered = buffered.slice(end + 4)
        requests.push(request)
        mischief(request, socket)
      }
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const close = async (): Promise<void> => {
    for (const socket of sockets) socket.destroy()
    await new Promise((resolve) => server.close(resolve))
  }
  return { base: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, requests, close }
}

function parseHead(head: string): { path: string; headers: ReadonlyMap<string, string> } {
  const [first = '', ...lines] = head.split('\r\n')
  const headers = lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()] as const)
  return { path: first.split(' ')[1] ?? '', headers: new Map(headers) }
}

/** Never answers. */
export const hangs: Mischief = () => {}

/** Answers the head and `bytes` of the body, then falls silent. */
export function stallsAfter(content: Uint8Array, bytes: number): Mischief {
  return (_, socket) => {
    socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${content.length}\r\n\r\n`)
    socket.write(content.subarray(0, bytes))
  }
}

/** One byte every `everyMs`. */
export function drips(content: Uint8Array, everyMs: number): Mischief {
  return (_, socket) => {
    socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${content.length}\r\n\r\n`)
    let at = 0
    const timer = setInterval(() => socket.write(content.subarray(at, ++at)), everyMs)
    socket.on('close', () => clearInterval(timer))
  }
}

/** Closes after `bytes` of a body that was promised whole. */
export function cutsAfter(content: Uint8Array, bytes: number): Mischief {
  return (_, socket) => {
    socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${content.length}\r\nETag: "x"\r\n\r\n`)
    socket.end(content.subarray(0, bytes))
  }
}

/** A body without a length that goes on for as long as somebody reads. */
export function neverEnds(): Mischief {
  return (_, socket) => {
    socket.write('HTTP/1.1 200 OK\r\n\r\n')
    const chunk = Buffer.alloc(64 << 10)
    const more = (): void => {
      while (!socket.destroyed && socket.write(chunk));
    }
    socket.on('drain', more)
    more()
  }
}

/** What a hotel's portal says, whatever was asked. */
export const portal: Mischief = (_, socket) => {
  const page = '<!DOCTYPE html><html><body>Please log in</body></html>'
  socket.write(`HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: ${page.length}\r\n\r\n${page}`)
}

export function answers(status: number, headers: Readonly<Record<string, string>> = {}, content: Uint8Array = new Uint8Array(0)): Mischief {
  return (_, socket) => {
    const lines = Object.entries({ 'Content-Length': String(content.length), ...headers }).map(([name, value]) => `${name}: ${value}\r\n`)
    socket.write(`HTTP/1.1 ${status} X\r\n${lines.join('')}\r\n`)
    socket.write(content)
  }
}
