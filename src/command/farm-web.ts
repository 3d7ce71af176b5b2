import { startWebServer } from '../web/server.ts'
import { dashboardRoutes } from './dashboard.ts'
import { deskRoutes } from './farm-desk.ts'
import type { Farm } from '../host/farm/open.ts'
import type { DashboardFarm } from '../web/dashboard.ts'
import type { RunningWebServer } from '../web/server.ts'
import type { Context } from './command.ts'

/** How a farm shows itself. */
export type FarmWebConfig = {
  readonly title: string
  readonly read: 'public' | 'token'
  /** Browsers come by https, through a proxy. */
  readonly https: boolean
  /** Addresses of proxies that are believed. */
  readonly proxies: readonly string[]
  /** Which machines of the fleet are believed. */
  readonly enroll: 'first-use' | 'known'
  /** A repository whose channels are shown, too. */
  readonly repository: string | undefined
}

export type FarmWeb = {
  readonly folder: string
  readonly farm: Farm
  readonly listen: { readonly host: string; readonly port: number }
  readonly web: FarmWebConfig
  readonly leaseSeconds: number
  /** Somebody says that the sources of a branch have changed; `not-found` for no branch. */
  readonly hook: DashboardFarm['hook']
  readonly tell: (line: string) => void
}

/** What the controller serves: pages for people, and calls of builders on other machines. */
export async function startFarmWeb(context: Context, input: FarmWeb): Promise<RunningWebServer> {
  const { folder, farm, listen, web, leaseSeconds, hook, tell } = input
  const pages = await dashboardRoutes(context, {
    title: web.title,
    read: web.read,
    secure: web.https,
    farm: { folder, farm, acts: true, enroll: web.enroll, hook },
    repository: web.repository,
  })
  const calls = await deskRoutes({ ...farm, folder, leaseSeconds, tell, clock: context.clock, random: context.random })
  return await startWebServer({ ...listen, modules: [pages, calls], log: context.explain, proxies: web.proxies })
}
