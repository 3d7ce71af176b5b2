import { connect, createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'

/** A TCP relay in front of a server, that counts what passes and may be slow. */
export type Relay = {
  readonly url: string
  readonly passed: { connections: number; sent: number; received: number }
  /** From now on at most so many bytes of answers every 10 ms. */
  throttle(bytesPerTick: number): void
  /** Breaks off the connection that sends the byte after so many from now on, once. */
  cutAfter(bytes: number): void
  reset(): void
  close(): Promise<void>
}

export async function relayTo(target: string): Promise<Relay> {
  const { port } = new URL(target)
  const passed = { connections: 0, sent: 0, received: 0 }
  const sockets = new Set<Socket>()
  let perTick = Infinity
  let beforeCut = Infinity
  const server = createServer((client) => {
    passed.connections++
    const upstream = connect(Number(port), '127.0.0.1')
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => sockets.delete(socket))
    }
    client.on('data', (data: Buffer) => {
      passed.sent += data.length
      upstream.write(data.subarray(0, beforeCut))
      beforeCut -= data.length
      if (beforeCut >= 0) return
      beforeCut = Infinity
      upstream.end()
      client.destroy()
    })
    client.on('close', () => upstream.destroy())
    upstream.on('close', () => client.end())
    void forward(upstream, client)
  })
  const forward = async (upstream: Socket, client: Socket): Promise<void> => {
    try {
      for await (const data of upstream as AsyncIterable<Buffer>) {
        for (let at = 0; at < data.length; at += perTick) {
          const piece = data.subarray(at, at + perTick)
          if (client.destroyed) return
          passed.received += piece.length
          client.write(piece)
          if (perTick < Infinity) await new Promise((resolve) => setTimeout(resolve, 10))
          else break
        }
      }
    } catch {
      client.destroy()
    }
  }
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    passed,
    throttle: (bytes) => void (perTick = bytes),
    cutAfter: (bytes) => void (beforeCut = bytes),
    reset: () => void Object.assign(passed, { connections: 0, sent: 0, received: 0 }),
    close: async () => {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
