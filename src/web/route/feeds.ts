import { atomFeed } from '../atom.ts'
import { reader } from './reading.ts'
import type { FarmView } from '../../port/farm-view.ts'
import type { Feed, FeedEntry } from '../atom.ts'
import type { RoutePart } from '../dashboard.ts'

const entriesOfFeed = 50

export const feedRoutes: RoutePart = (input) => (server) => {
  const { farm, title } = input.options
  if (farm === undefined) return
  for (const [path, label, load] of feeds(farm.view)) {
    server.get(path, async (request, reply) => {
      if ((await reader(input, request, reply)) === undefined) return
      const base = `${request.protocol}://${request.host}`
      const feed: Feed = { title: `${title}: ${label}`, base, path, entries: await load() }
      await reply.type('application/atom+xml; charset=utf-8').send(atomFeed(feed))
    })
  }
}

function feeds(view: FarmView): readonly (readonly [string, string, () => Promise<readonly FeedEntry[]>])[] {
  return [
    ['/updates.atom', 'updates', async () => await updates(view, false)],
    ['/security.atom', 'security updates', async () => await updates(view, true)],
    ['/failures.atom', 'failures', async () => await failures(view)],
    ['/published.atom', 'published', async () => await published(view)],
  ]
}

async function updates(view: FarmView, security: boolean): Promise<readonly FeedEntry[]> {
  const { rows } = await view.updates({ security, limit: entriesOfFeed })
  return rows.map(({ id, pkgpath, branch, seen, isSecurity, cves, messages }) => ({
    id: `update:${id}`,
    title: `${pkgpath} ${branch}${isSecurity ? ' (security)' : ''}`,
    at: seen,
    path: `/packages/${pkgpath}`,
    text: [...cves, ...messages].join('\n'),
  }))
}

async function failures(view: FarmView): Promise<readonly FeedEntry[]> {
  const { failures: rows } = await view.overview()
  return rows.map(({ id, pkgpath, branch, arch, state, since, attempt }) => ({
    id: `failure:${id}:${since}`,
    title: `${pkgpath} ${branch} ${arch}: ${state}`,
    at: since,
    path: `/builds/${id}`,
    text: [attempt?.why ?? '', ...(attempt?.lines ?? [])].join('\n'),
  }))
}

async function published(view: FarmView): Promise<readonly FeedEntry[]> {
  const { rows } = await view.publications({ limit: entriesOfFeed })
  return rows.map(({ id, branch, arch, at, packages, digest }) => ({
    id: `publication:${id}`,
    title: `${branch} ${arch}: ${packages} packages`,
    at,
    path: '/mirrors',
    text: `SHA256.sig ${digest}`,
  }))
}
