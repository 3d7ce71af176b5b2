import { utf8 } from '../../base/bytes.ts'
import { sha256 } from '../../base/digest.ts'
import type { RoutePart } from '../dashboard.ts'

/** Files of share/web, by name. */
export type Assets = Readonly<Record<'style.css' | 'live.js' | 'icon.svg', string>>

const types = { 'style.css': 'text/css', 'live.js': 'text/javascript', 'icon.svg': 'image/svg+xml' } as const

export const assetRoutes: RoutePart =
  ({ options }) =>
  (server) => {
    for (const [name, text] of Object.entries(options.assets)) {
      const etag = `"${sha256(utf8(text)).slice(0, 32)}"`
      const type = `${types[name as keyof Assets]}; charset=utf-8`
      server.get(`/assets/${name}`, async (request, reply) => {
        reply.header('etag', etag).header('cache-control', 'no-cache')
        if (request.headers['if-none-match'] === etag) return await reply.code(304).send()
        return await reply.type(type).send(text)
      })
    }
    server.get('/healthz', async (_request, reply) => await reply.type('text/plain').send('ok\n'))
  }
