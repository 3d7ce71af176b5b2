import { connect, createServer, type AddressInfo, type Socket } from 'node:net'

/** Passes bytes on to a server on loopback and counts them: what went over the wire, headers included. */
export type Relay = {
  readonly url: string
  takeCounts(): Counts
  /** To another server, for connections that begin from now on. */
  leadTo(port: number): void
  close(): void
}

export type Counts = { readonly connections: number; readonly sent: number; readonly received: number }

const none: Counts = { connections: 0, sent: 0, received: 0 }

export async function startRelay(port: number): Promise<Relay> {
  let counts = none
  let target = port
  const count = (more: Partial<Counts>): void => {
    counts = {
      connections: counts.connections + (more.connections ?? 0),
      sent: counts.sent + (more.sent ?? 0),
      received: counts.received + (more.received ?? 0),
    }
  }
  const sockets = new Set<Socket>()
  const server = createServer((near) => {
    const far = connect(target, '127.0.0.1')
    count({ connections: 1 })
    near.on('data', (bytes) => count({ sent: bytes.length }))
    far.on('data', (bytes) => count({ received: bytes.length }))
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(one)
      one.on('error', () => other.destroy())
      one.on('close', () => sockets.delete(one))
      one.pipe(other)
    }
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    takeCounts: () => {
      const taken = counts
      counts = none
      return taken
    },
    leadTo: (other) => void (target = other),
    close: () => {
      server.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}
