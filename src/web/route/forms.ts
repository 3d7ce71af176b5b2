import type { FastifyInstance, FastifyRequest } from 'fastify'

const mostBytes = 16 << 10

/** Forms of pages, for the routes of this scope. */
export function takeForms(server: FastifyInstance): void {
  server.addContentTypeParser(
    'application/x-www-form-urlencoded',
    { parseAs: 'string', bodyLimit: mostBytes },
    async (_request: FastifyRequest, body: string) => await Promise.resolve(new URLSearchParams(body)),
  )
}

export function fieldOf(request: FastifyRequest, name: string): string | undefined {
  return request.body instanceof URLSearchParams ? (request.body.get(name) ?? undefined) : undefined
}
