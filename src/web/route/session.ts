import { sessionCookie } from '../access.ts'
import { loginPage } from '../page/login.ts'
import { renderPage } from '../page/frame.ts'
import { sessionHours } from '../session.ts'
import { fieldOf, takeForms } from './forms.ts'
import { contextOf, queryOf } from './reading.ts'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { RouteInput, RoutePart } from '../dashboard.ts'

export const sessionRoutes: RoutePart = (input) => (server) => {
  const { farm } = input.options
  if (farm === undefined) return
  takeForms(server)
  server.get('/login', async (request, reply) => await show(input, reply, 200, localPath(queryOf(request)['to'])))
  server.post('/login', async (request, reply) => await login(input, request, reply))
  server.post('/logout', async (request, reply) => {
    input.access.logout(await input.access.callerOf(request))
    await reply.header('set-cookie', cookieOf(input, '', 0)).redirect('/', 303)
  })
}

async function show(input: RouteInput, reply: FastifyReply, status: number, to: string, failure?: string): Promise<void> {
  const text = renderPage(contextOf(input, { kind: 'nobody' }), loginPage(to, failure))
  await reply.code(status).header('cache-control', 'no-store').type('text/html; charset=utf-8').send(text)
}

async function login(input: RouteInput, request: FastifyRequest, reply: FastifyReply): Promise<void> {
  const to = localPath(fieldOf(request, 'to'))
  const opened = await input.access.login(request, (fieldOf(request, 'token') ?? '').trim())
  if (opened === undefined) return await show(input, reply, 403, to, 'Nobody has this token.')
  await input.options.farm?.addEvent({ actor: opened.name, kind: 'operator', subject: opened.name, what: 'logged in' })
  await reply.header('set-cookie', cookieOf(input, opened.cookie, sessionHours.longest * 3600)).redirect(to, 303)
}

function cookieOf({ options }: RouteInput, value: string, seconds: number): string {
  return `${sessionCookie}=${value}; Path=/; Max-Age=${seconds}; HttpOnly; SameSite=Strict${options.secure ? '; Secure' : ''}`
}

/** Nowhere but here: a login must not lead to another site. */
function localPath(text: string | undefined): string {
  return text !== undefined && /^\/(?![/\\])[\x21-\x7e]*$/.test(text) ? text : '/'
}
