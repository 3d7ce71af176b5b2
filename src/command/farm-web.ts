import { startWebServer } from '../web/server.ts'
import { dashboardRoutes } from './dashboard.ts'
import { deskRoutes } from './farm-desk.ts'
import type { WebConfig } from '../format/farm-config.ts'
import type { Farm } from '../host/farm/open.ts'
import type { DashboardFarm } from '../web/dashboard.ts'
import type { ServerCertificate } from '../port/server-certificate.ts'
import type { RunningWebServer } from '../web/server.ts'
import type { Context } from './command.ts'

export type FarmWeb = {
  readonly folder: string
  readonly farm: Farm
  readonly listen: { readonly host: string; readonly port: number }
  readonly web: WebConfig
  readonly tls: ServerCertificate | undefined
  readonly leaseSeconds: number
  /** Somebody says that the sources of a branch have changed; `not-found` for no branch. */
  readonly hook: DashboardFarm['hook']
  readonly tell: (line: string) => void
}

/** What the controller serves: pages for people, and calls of builders on other machines. */
export async function startFarmWeb(context: Context, input: FarmWeb): Promise<RunningWebServer> {
  const { folder, farm, listen, web, leaseSeconds, hook, tell, tls } = input
  const pages = await dashboardRoutes(context, {
    title: web.title,
    read: web.read,
    secure: web.https || tls !== undefined,
    farm: { folder, farm, acts: true, enroll: web.enroll, hook },
    repository: web.repository,
  })
  const calls = await deskRoutes({ ...farm, folder, leaseSeconds, tell, clock: context.clock, random: context.random })
  return await startWebServer({ ...listen, modules: [pages, calls], log: context.explain, proxies: web.proxies, tls })
}
