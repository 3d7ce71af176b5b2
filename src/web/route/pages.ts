import { BinderyError } from '../../base/error.ts'
import { buildPage } from '../page/build.ts'
import { buildersPage } from '../page/builders.ts'
import { buildsPage, packagePage, updatesPage } from '../page/builds.ts'
import { fleetPage, trailPage } from '../page/fleet.ts'
import { renderPage } from '../page/frame.ts'
import { mirrorsPage } from '../page/mirrors.ts'
import { overviewPage } from '../page/overview.ts'
import { releasesPage } from '../page/releases.ts'
import { together } from '../together.ts'
import { contextOf, queryOf, reader, wholeOf } from './reading.ts'
import { buildStates } from '../../engine/farm/pipeline.ts'
import type { BuildState } from '../../port/farm-build.ts'
import type { BuildQuery, FarmView, PageQuery } from '../../port/farm-view.ts'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { RouteInput, RoutePart } from '../dashboard.ts'
import type { PageBody, PageContext } from '../page/frame.ts'

/** What a page shows, as JSON and as a page. */
type Shown = { readonly value: unknown; readonly page: (context: PageContext) => PageBody }
type Query = Readonly<Record<string, string | undefined>>
/** `rest` is what the path has at its `*`. */
type Load = (query: Query, rest: string) => Promise<Shown>

export const pageRoutes: RoutePart = (input) => (server) => {
  const { farm, channels } = input.options
  const pages: readonly (readonly [string, Load])[] = [
    ...(farm === undefined ? [] : farmPages(farm.view)),
    ...(channels === undefined ? [] : [['/releases', releases(channels)] as const]),
  ]
  for (const [path, load] of pages) register(server, input, path, load)
  if (farm === undefined) server.get('/', async (_request, reply) => await reply.redirect('/releases', 303))
}

function register(server: FastifyInstance, input: RouteInput, path: string, load: Load): void {
  const answer = async (request: FastifyRequest, reply: FastifyReply): Promise<void> => await send(input, load, request, reply)
  server.get(path, answer)
  if (!path.endsWith('*')) server.get(path === '/' ? '/index.json' : `${path}.json`, answer)
}

async function send(input: RouteInput, load: Load, request: FastifyRequest, reply: FastifyReply): Promise<void> {
  const caller = await reader(input, request, reply)
  if (caller === undefined) return
  const rest = (request.params as { readonly '*'?: string })['*'] ?? ''
  const asJson = (request.url.split('?')[0] as string).endsWith('.json')
  const { value, page } = await load(queryOf(request), asJson ? rest.replace(/\.json$/, '') : rest)
  if (asJson) await reply.type('application/json; charset=utf-8').send(`${JSON.stringify(value)}\n`)
  else {
    const context = contextOf(input, caller)
    await reply.type('text/html; charset=utf-8').send(renderPage(context, page(context)))
  }
}

function farmPages(view: FarmView): readonly (readonly [string, Load])[] {
  const overview = together(view.overview)
  return [
    ['/', async () => shown(await overview(), overviewPage)],
    ['/builds', async (query) => await builds(view, query)],
    ['/builds/*', async (_query, id) => await build(view, wholeOf(id))],
    ['/packages/*', async (query, pkgpath) => await history(view, pageQuery(query), pkgpath)],
    ['/updates', async (query) => await updates(view, { ...pageQuery(query), security: false })],
    ['/security', async (query) => await updates(view, { ...pageQuery(query), security: true })],
    ['/builders', async () => shown(await view.builders(), buildersPage)],
    ['/mirrors', async (query) => await mirrors(view, query)],
    ['/fleet', async (query) => await fleet(view, query)],
    ['/trail', async (query) => await trail(view, pageQuery(query))],
  ]
}

function shown<T>(value: T, page: (context: PageContext, value: T) => PageBody): Shown {
  return { value, page: (context) => page(context, value) }
}

const rowsOfPage = 50

function pageQuery({ before }: Query): PageQuery {
  return { before: before === undefined ? undefined : wholeOf(before), limit: rowsOfPage }
}

async function builds(view: FarmView, given: Query): Promise<Shown> {
  const { state, branch, arch } = given
  if (state !== undefined && !isState(state)) throw new BinderyError('usage', 'there is no such state')
  const query: BuildQuery = { ...pageQuery(given), state, branch, arch }
  const [page, { branches }] = await Promise.all([view.builds(query), view.filters()])
  return { value: page, page: (context) => buildsPage(context, { query, states: buildStates, branches, page }) }
}

function isState(text: string): text is BuildState {
  return (buildStates as readonly string[]).includes(text)
}

const logShown = 64 << 10

async function build(view: FarmView, id: number): Promise<Shown> {
  const [found, end] = await Promise.all([view.build(id), view.log(id, 0, 0)])
  if (found === undefined) throw new BinderyError('not-found', 'there is no such build')
  const log = end && (await view.log(id, Math.max(0, end.size - logShown), logShown))
  return { value: found, page: (context) => buildPage(context, found, log) }
}

async function history(view: FarmView, query: PageQuery, pkgpath: string): Promise<Shown> {
  const page = await view.history(pkgpath, query)
  if (page.rows.length === 0 && query.before === undefined) throw new BinderyError('not-found', 'there is no such port here')
  return { value: page, page: (context) => packagePage(context, pkgpath, query, page) }
}

async function updates(view: FarmView, query: PageQuery & { readonly security: boolean }): Promise<Shown> {
  const page = await view.updates(query)
  return { value: page, page: (context) => updatesPage(context, query, page) }
}

async function mirrors(view: FarmView, { mirror, state, from }: Query): Promise<Shown> {
  const query = { mirror, state, from: from === undefined ? undefined : wholeOf(from) }
  const [sightings, publications] = await Promise.all([view.sightings(), view.publications({ limit: rowsOfPage })])
  return {
    value: { sightings, publications: publications.rows },
    page: (context) => mirrorsPage(context, { query, sightings, publications }),
  }
}

async function fleet(view: FarmView, { after }: Query): Promise<Shown> {
  const query = { after, limit: rowsOfPage }
  const page = await view.fleet(query)
  return { value: page, page: (context) => fleetPage(context, query, page) }
}

async function trail(view: FarmView, query: PageQuery): Promise<Shown> {
  const page = await view.events(query)
  return { value: page, page: (context) => trailPage(context, query, page) }
}

function releases(channels: NonNullable<RouteInput['options']['channels']>): Load {
  return async () => shown(await channels(), (_context, accounts) => releasesPage(accounts))
}
