import { createServer } from 'node:http'
import { memoryHttp } from '../../src/host/memory-http.ts'
import type { AddressInfo } from 'node:net'
import type { Page } from '../../src/host/memory-http.ts'

export type SeenRequest = {
  readonly path: string
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  /** Bytes of the body that were written to the socket. */
  bytes: number
}

export type Site = { readonly base: string; readonly seen: SeenRequest[]; close(): Promise<void> }

/** Pages by path (`/a/b`) over a real socket on loopback; `pages` may be changed while it runs. */
export async function serveSite(pages: Map<string, Page>): Promise<Site> {
  const seen: SeenRequest[] = []
  const server = createServer((request, response) => {
    const record: SeenRequest = { path: request.url ?? '/', headers: request.headers, bytes: 0 }
    seen.push(record)
    void (async () => {
      const page = pages.get(record.path)
      if (page?.redirect !== undefined) return response.writeHead(302, { location: page.redirect }).end()
      const answer = await memoryHttp(pages).get({ url: record.path, headers: request.headers as Record<string, string> })
      response.writeHead(answer.status, answer.headers)
      try {
        for await (const chunk of answer.body) {
          record.bytes += chunk.length
          if (response.destroyed) return
          await new Promise((resolve) => response.write(chunk, resolve))
        }
        response.end()
      } catch {
        // Only after what was written has left: otherwise the client would not even see the head.
        setTimeout(() => response.destroy(), 20)
      }
    })()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const close = async (): Promise<void> => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
  return { base: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen, close }
}
